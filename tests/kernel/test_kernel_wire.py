"""The wire to a kernel: libzmq at the other end, and code that means harm."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from glmdemo.kernel.channels import Channels, Connection, KernelMessage
from glmdemo.kernel.wire import Wire
from glmdemo.sandbox.limits import MB, Limits

LARGEST = 5000
HELLO = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48) + b"\x04\x06\x05READY"


@pytest.fixture
def path() -> Iterator[str]:
    """Of a socket; pytest's own directories are too long for one."""
    with tempfile.TemporaryDirectory() as directory:
        yield f"{directory}/k-1"


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 10)


def listen(path: str, kind: int, talk: Callable[[zmq.asyncio.Socket], Awaitable[None]]) -> None:
    """Bind a socket of libzmq a moment later than its counterpart connects, and let it talk."""

    async def main() -> None:
        with zmq.asyncio.Context() as context, context.socket(kind) as socket:
            socket.linger = 0
            asyncio.get_running_loop().call_later(0.1, socket.bind, f"ipc://{path}")
            await asyncio.wait_for(talk(socket), 20)

    asyncio.run(main())


def serve(path: str, sends: bytes, talk: Callable[[], Awaitable[None]]) -> None:
    """A server that sends each client the same and hangs up."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sends)
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(answer, path)
        await talk()
        server.close()

    asyncio.run(main())


def test_requests_and_replies_go_both_ways_and_early_ones_wait(path: str) -> None:
    async def talk(router: zmq.asyncio.Socket) -> None:
        got: list[tuple[list[bytes], bool]] = []
        wire = Wire(path, "DEALER", b"me", LARGEST, lambda *message: got.append(message))
        for body in (b"", b"x" * 255, b"x" * 4000):
            wire.send([b"first", body])
            request = await router.recv_multipart()
            assert request == [b"me", b"first", body]
            await router.send_multipart(request)
        await until(lambda: len(got) == 3)
        assert got[2] == ([b"first", b"x" * 4000], True)
        assert wire.received > 4255
        wire.close()

    listen(path, zmq.ROUTER, talk)


def test_a_message_that_is_too_large_is_passed_over(path: str) -> None:
    async def talk(publisher: zmq.asyncio.Socket) -> None:
        got: list[tuple[list[bytes], bool]] = []
        wire = Wire(path, "SUB", b"", LARGEST, lambda *message: got.append(message))
        while not got:  # until the subscription has arrived
            await publisher.send_multipart([b"hello"])
            await asyncio.sleep(0.01)
        await publisher.send_multipart([b"a", b"b", b"x" * 5_000_000, b"c", b"x" * 5_000_000])
        await publisher.send_multipart([b"x" * 4000] * 20)
        await publisher.send_multipart([b"last"])
        await until(lambda: got[-1] == ([b"last"], True))
        others = [message for message in got if message[0] not in ([b"hello"], [b"last"])]
        assert others == [([b"a", b"b"], False), ([b"x" * 4000], False)]
        assert wire.received > 10_080_000
        wire.close()

    listen(path, zmq.PUB, talk)


@pytest.mark.parametrize(
    "sends",
    [
        b"HTTP/1.1 200 OK\r\n" * 10,
        HELLO[:12] + b"CURVE" + HELLO[17:],
        HELLO.replace(b"\x04\x06\x05READY", b"\x00\x01x"),
        HELLO + b"\x06" + (1 << 40).to_bytes(8, "big"),
        HELLO + b"\x01\x01x" * 1000,
    ],
)
def test_what_is_not_the_protocol_is_not_listened_to(path: str, sends: bytes) -> None:
    async def talk() -> None:
        got: list[object] = []
        wire = Wire(path, "SUB", b"", LARGEST, lambda *message: got.append(message))
        await until(lambda: wire.broken)
        assert not got

    serve(path, sends, talk)


def test_a_connection_that_ends_is_made_again(path: str) -> None:
    async def talk() -> None:
        got: list[object] = []
        wire = Wire(path, "SUB", b"", LARGEST, lambda *message: got.append(message))
        await until(lambda: len(got) > 1)
        assert not wire.broken
        wire.close()

    serve(path, HELLO + b"\x00\x01x" + b"\x02" + (1 << 62).to_bytes(8, "big") + b"half", talk)


def test_content_that_swells_is_left_out_and_told(path: str) -> None:
    connection = Connection()
    header = {"msg_id": "1", "msg_type": "display_data", "version": "5.4"}
    large = b'{"data": {"image/png": "' + b"A" * 5 * MB + b'"}}'
    parts = {
        "picture": large,
        "lists": b'{"x": [' + b"[]," * 2_000_000 + b"0]}",
        "wide": large[:-3] + "😀".encode() + b'"}}',
        "escapes": b'{"x": "' + b"\\u001b" * MB + b'"}',
    }

    async def talk(publisher: zmq.asyncio.Socket) -> None:
        got: list[KernelMessage] = []
        channels = Channels(connection, str(Path(path).parent), Limits(), got.append)
        sign = channels._session.sign
        named = [json.dumps(each).encode() for each in (header, {"msg_id": "p"}, {})]
        while channels.garbage < 1:  # until the subscription has arrived
            await publisher.send_multipart([b"no message"])
            await asyncio.sleep(0.01)
        for content in parts.values():
            signed = [*named, content]
            await publisher.send_multipart([b"t", b"<IDS|MSG>", sign(signed), *signed])
        await until(lambda: len(got) == len(parts))
        assert [message.too_large for message in got] == [False, True, True, True]
        assert {(message.type, message.parent_id) for message in got} == {("display_data", "p")}
        assert not any(message.content for message in got[1:])
        channels.close()

    listen(path.replace("k-1", "k-2"), zmq.PUB, talk)
