"""Speaks ZMTP, the protocol of ZeroMQ's sockets, on asyncio's own streams.

https://rfc.zeromq.org/spec/23/ and, for the handshake, https://rfc.zeromq.org/spec/37/

libzmq bounds the size of a frame, but a message may have any number of them, and it keeps all
until the last has come: hostile code could fill the application's memory with one message. Here
the size of a whole message is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

MORE, LONG, COMMAND = 1, 2, 4  # a frame's flags
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_SUBSCRIBE_TO_ALL = b"\x01"
_RETRY_SECONDS = 0.02
_READ_AHEAD = 1 << 20
_MAX_COMMAND = 4096
_MAX_FRAMES = 64


class ProtocolError(Exception):
    """The other side does not speak ZMTP."""


class Wire:
    """One socket to the unix socket `path`, kept connected from within a loop.

    `kind` is "DEALER" or "SUB". `on_message` gets the frames of each message; of one with more
    than `max_bytes` only the frames that fit, and False. `received` counts the bytes that came;
    `broken` tells that the other side does not speak the protocol and is not listened to any more.
    """

    def __init__(
        self,
        path: str,
        kind: str,
        identity: bytes,
        max_bytes: int,
        on_message: Callable[[list[bytes], bool], None],
    ) -> None:
        self.received = 0
        self.broken = False
        self._path, self._max_bytes, self._on_message = path, max_bytes, on_message
        properties = {b"Socket-Type": kind.encode(), b"Identity": identity}
        self._hello = _frame(COMMAND, b"\x05READY" + b"".join(map(_property, properties.items())))
        self._subscription = _frame(0, _SUBSCRIBE_TO_ALL) if kind == "SUB" else b""
        self._unsent: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    def send(self, frames: Sequence[bytes]) -> None:
        """Send a message, or keep it until there is a connection."""
        *first, last = frames
        data = b"".join([*(_frame(MORE, frame) for frame in first), _frame(0, last)])
        if self._writer is None:
            self._unsent.append(data)
        else:
            self._writer.write(data)

    def close(self) -> None:
        """Hang up."""
        self._task.cancel()

    async def _stay_connected(self) -> None:
        while not self.broken:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_READ_AHEAD)
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            try:
                await self._greet(reader, writer)
                self._writer = writer
                writer.writelines(self._unsent)
                self._unsent.clear()
                while True:
                    self._on_message(*await self._next_message(reader))
                    # A flood is always ready to be read; other conversations need their turn too.
                    await asyncio.sleep(0)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(_RETRY_SECONDS)
            except ProtocolError:
                self.broken = True
            finally:
                self._writer = None
                writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_GREETING)
        greeting = await reader.readexactly(len(_GREETING))
        if greeting[:1] != _GREETING[:1] or greeting[10] < 3 or greeting[12:16] != b"NULL":
            raise ProtocolError
        writer.write(self._hello)
        flags, size = await self._next_frame(reader)
        if not flags & COMMAND:
            raise ProtocolError
        await self._skip(reader, size)
        writer.write(self._subscription)

    async def _next_message(self, reader: asyncio.StreamReader) -> tuple[list[bytes], bool]:
        """The frames that fit, and whether these are all."""
        frames: list[bytes] = []
        left, flags = self._max_bytes, MORE
        while flags & MORE:
            flags, size = await self._next_frame(reader)
            if flags & COMMAND:
                await self._skip(reader, size)
                await asyncio.sleep(0)
                flags = MORE
            elif size <= left:
                frames.append(await reader.readexactly(size))
                left -= size
            else:
                await self._skip(reader, size)
                left = -1
            if len(frames) > _MAX_FRAMES:
                raise ProtocolError
        return frames, left >= 0

    async def _next_frame(self, reader: asyncio.StreamReader) -> tuple[int, int]:
        """Flags and size of the next frame."""
        flags, *size = await reader.readexactly(2)
        if flags & LONG:
            size += await reader.readexactly(7)
        length = int.from_bytes(bytes(size), "big")
        if flags & COMMAND and length > _MAX_COMMAND:
            raise ProtocolError
        self.received += len(size) + 1 + (length if length <= self._max_bytes else 0)
        return flags, length

    async def _skip(self, reader: asyncio.StreamReader, size: int) -> None:
        while size:
            skipped = await reader.read(min(size, _READ_AHEAD))
            if not skipped:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(skipped)
            self.received += len(skipped)


def _frame(flags: int, body: bytes) -> bytes:
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return bytes((flags | LONG,)) + len(body).to_bytes(8, "big") + body


def _property(item: tuple[bytes, bytes]) -> bytes:
    name, value = item
    return bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value
