"""The sockets to one kernel, by Jupyter's messaging protocol.

https://jupyter-client.readthedocs.io/en/stable/messaging.html

What comes in was made by hostile code: a message may be garbage, forged, endless or nested
without end. Nothing here trusts more than the type of a few fields.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from jupyter_client.session import Session

from glmdemo.kernel.wire import Wire
from glmdemo.sandbox.limits import KB, MB, Limits

_PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "control": 4, "hb": 5}
_KINDS = {"shell": "DEALER", "control": "DEALER", "iopub": "SUB"}
# Lists, wide characters and the like take many times their size when they are unpacked. What is
# larger than this must be like a picture: plain characters, and of those below at most one in 50.
_LARGE = 4 * MB
_SEPARATORS = (b",", b"[", b"{", b"\\")
_SEPARATED = 50
# The parts of a message that are no content: its header, its parent's, and notes.
_MAX_DESCRIPTIONS = 64 * KB
# What a message costs beyond its bytes, in bytes that cost as much.
_MESSAGE_COST = 2048


@dataclass(frozen=True)
class KernelMessage:
    """A message whose shape has been checked; its `content` has not.

    `too_large` tells that it had more content than is taken in, and comes without any.
    """

    type: str
    parent_id: str
    content: dict[str, Any]
    too_large: bool = False


class Connection:
    """The address and key of a kernel, which its connection file tells it."""

    def __init__(self) -> None:
        self.key = uuid.uuid4().hex

    def file(self, socket_dir: str) -> bytes:
        """The connection file for a kernel that finds its sockets in `socket_dir`."""
        ports = {f"{channel}_port": port for channel, port in _PORTS.items()}
        fields = {
            "transport": "ipc",
            "ip": f"{socket_dir}/k",
            "key": self.key,
            "signature_scheme": "hmac-sha256",
            "kernel_name": "",
            **ports,
        }
        return json.dumps(fields).encode()


class Channels:
    """Shell, control and iopub of one kernel, read without pause from within a loop.

    `on_message` gets every message; `garbage` counts what was none. `received` counts the bytes
    of all, and something more for each.
    """

    def __init__(
        self,
        connection: Connection,
        socket_dir: str,
        limits: Limits,
        on_message: Callable[[KernelMessage], None],
    ) -> None:
        self.garbage = 0
        self._messages = 0
        self._on_message = on_message
        # Replayed messages are no danger on a private socket, and the history grows.
        self._session = Session(key=connection.key.encode(), digest_history_size=0)
        identity, size = self._session.bsession, limits.message_bytes
        self._wires = {
            channel: Wire(f"{socket_dir}/k-{_PORTS[channel]}", kind, identity, size, self._take)
            for channel, kind in _KINDS.items()
        }

    @property
    def received(self) -> int:
        bytes_ = sum(wire.received for wire in self._wires.values())
        return bytes_ + self._messages * _MESSAGE_COST

    def send(self, channel: str, message_type: str, content: dict[str, Any]) -> str:
        """Send a request and return its message id, which the answers name as their parent."""
        message = self._session.msg(message_type, content)
        self._wires[channel].send(self._session.serialize(message))
        return str(message["header"]["msg_id"])

    def close(self) -> None:
        """Stop reading and close the sockets."""
        for wire in self._wires.values():
            wire.close()

    def _take(self, frames: list[bytes], whole: bool) -> None:
        self._messages += 1
        message = self._decode(frames, whole)
        if message is None:
            self.garbage += 1
        else:
            self._on_message(message)

    def _decode(self, frames: Sequence[bytes], whole: bool) -> KernelMessage | None:
        try:
            _, signed = self._session.feed_identities(list(frames))
            signature, *parts = cast("list[bytes]", signed)
            *descriptions, content = parts[:4] if whole else (*parts[:2], b"")
            if sum(map(len, descriptions)) > _MAX_DESCRIPTIONS:
                return None
            if fits := whole and not _is_swollen(content):
                raw = self._session.deserialize([signature, *parts])
            else:
                header, parent = map(json.loads, descriptions[:2])
                raw = {"header": header, "parent_header": parent, "content": {}}
            kind, parent, content = raw["header"]["msg_type"], raw["parent_header"], raw["content"]
        except Exception:  # any failure of the parsers on hostile bytes means the same
            return None
        parent_id = parent.get("msg_id") if isinstance(parent, dict) else None
        if not isinstance(kind, str) or not isinstance(content, dict):
            return None
        parent_id = parent_id if isinstance(parent_id, str) else ""
        return KernelMessage(kind, parent_id, content, too_large=not fits)


def _is_swollen(part: bytes) -> bool:
    """Whether a part of a message would take far more memory than it has bytes."""
    if len(part) < _LARGE:
        return False
    return not part.isascii() or sum(map(part.count, _SEPARATORS)) > len(part) // _SEPARATED
