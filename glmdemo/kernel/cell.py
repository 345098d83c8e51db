"""One run of a cell: which messages belong to it, when it is over, and how it is ended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from glmdemo.kernel.channels import KernelMessage
from glmdemo.kernel.outputs import TOO_LARGE, Budget, to_output
from glmdemo.outputs import NoticeOutput, Output
from glmdemo.sandbox.limits import Limits

LOST = "A new kernel takes over: variables are lost, files are kept."
_KEPT = "Variables are kept."
_TICK = 0.05
_MAX_GARBAGE = 20
# The end of a cell is announced on two sockets. A busy machine may pause one of them for a
# second or two; after this long without a word that one is lost: a flood's end was dropped, or
# what came there was no protocol.
_LATE_SECONDS = 5.0


def ignore_message(_message: KernelMessage) -> None:
    """Listens to a kernel that no cell runs in."""


class RunningKernel(Protocol):
    """What a cell needs of its kernel."""

    listener: Callable[[KernelMessage], None]
    death: str

    @property
    def alive(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def garbage(self) -> int: ...
    def execute(self, code: str) -> str: ...
    def interrupt(self) -> None: ...
    def reconnect(self) -> None: ...
    def kill(self, death: str) -> None: ...


class Cell:
    """Runs `code` and passes what it shows to `emit`. `stop` may be set from any thread.

    Only messages whose parent is this cell's request count, and the cell is over when both
    its reply and the kernel's idle status have come: either alone may be late or forged.
    `patience` is how long the kernel may take to begin it, apart from the time limit.
    """

    def __init__(
        self,
        kernel: RunningKernel,
        code: str,
        limits: Limits,
        emit: Callable[[Output], None],
        stop: threading.Event,
        patience: float,
    ) -> None:
        self._kernel, self._code, self._limits = kernel, code, limits
        self._emit, self._stop, self._patience = emit, stop, patience
        self._budget = Budget(limits)
        self._message_id = ""
        self._began = self._idle = self._exits = False
        self._replied = False
        self._heard_at = 0.0
        self._changed = asyncio.Event()

    async def run(self) -> bool:
        """Run to the end, in at most the time limit plus twice the grace period.

        False when the kernel has not begun it, and was killed for that.
        """
        self._kernel.listener = self._take
        try:
            self._message_id = self._kernel.execute(self._code)
            if await self._is_ignored():
                self._kernel.kill(f"The kernel did not take up the cell. {LOST}")
                return False
            await self._run()
            return True
        finally:
            self._kernel.listener = ignore_message

    async def _is_ignored(self) -> bool:
        """Wait for the kernel's first word about the cell; whether it lives but says none."""
        deadline = time.monotonic() + self._patience
        while not self._heard_at and self._kernel.alive and not self._stop.is_set():
            if time.monotonic() > deadline:
                await self._drain()  # it may have been us who were paused
                return not self._heard_at
            await self._wait()
        return False

    async def _run(self) -> None:
        ending = _Ending(self._kernel, self._limits)
        while not self._finished:
            if not self._kernel.alive:
                await self._drain()
                self._emit(NoticeOutput(death_sentence(self._kernel)))
                return
            ending.proceed(self._began, self._stop.is_set())
            self._check_connection()
            await self._wait()
        if ending.sentence:
            self._emit(NoticeOutput(ending.sentence))
        if self._exits:
            self._kernel.kill(f"The code ended the kernel. {LOST}")
            self._emit(NoticeOutput(death_sentence(self._kernel)))

    @property
    def _finished(self) -> bool:
        return self._idle and self._replied

    def _take(self, message: KernelMessage) -> None:
        if message.parent_id != self._message_id:
            return
        self._heard_at = time.monotonic()
        if message.type == "execute_reply":
            self._replied = True
            self._exits = _asks_to_exit(message.content)
        elif message.type == "execute_input":
            self._began = True
        elif message.type == "status":
            self._idle = message.content.get("execution_state") == "idle"
        elif output := to_output(message, self._limits):
            for admitted in self._budget.admit(output):
                self._emit(admitted)
        self._changed.set()

    def _check_connection(self) -> None:
        if self._kernel.garbage > _MAX_GARBAGE:
            self._kernel.kill(f"The kernel sent messages that cannot be read. {LOST}")
        late = time.monotonic() - self._heard_at > _LATE_SECONDS
        if late and self._replied and not self._idle:
            self._kernel.reconnect()
            self._emit(TOO_LARGE)
            self._idle = True

    async def _drain(self) -> None:
        """Give the last messages of a dead kernel time to arrive."""
        while not self._finished:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 2 * _TICK)
            except asyncio.TimeoutError:
                return

    async def _wait(self) -> None:
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), _TICK)
        except asyncio.TimeoutError:
            return


class _Ending:
    """Ends a cell at its time limit or on request: interrupt, then kill after the grace."""

    def __init__(self, kernel: RunningKernel, limits: Limits) -> None:
        self._kernel, self._limits = kernel, limits
        self._deadline = time.monotonic() + limits.cell_seconds
        self._since: float | None = None
        self._sent = 0
        self._cause = ""

    @property
    def sentence(self) -> str:
        """What to say about a cell that was interrupted; "" when it ended by itself."""
        return f"{self._cause} {_KEPT}" if self._cause else ""

    def proceed(self, began: bool, stop: bool) -> None:
        """Do what is due now. `began` tells that the kernel has taken up the cell."""
        now = time.monotonic()
        if self._since is None:
            if not stop and now < self._deadline:
                return
            limit = f"The cell was stopped at its time limit of {self._limits.cell_seconds:g} s."
            self._cause = "The cell was stopped." if stop else limit
            self._since = now
        waited = now - self._since
        if waited > self._limits.grace_seconds:
            self._kernel.kill(f"{self._cause} It did not react to the interrupt. {LOST}")
            return
        # A kernel ignores an interrupt that comes before it has taken up the cell.
        due = int(began) + int(waited > self._limits.grace_seconds / 2)
        while self._sent < due:
            self._kernel.interrupt()
            self._sent += 1


def _asks_to_exit(reply: dict[str, Any]) -> bool:
    """Whether a cell called `exit()`: the kernel is still there then, but not for long."""
    payload = reply.get("payload")
    return isinstance(payload, list) and any(
        isinstance(each, dict) and each.get("source") == "ask_exit" for each in payload
    )


def death_sentence(kernel: RunningKernel) -> str:
    """Why the kernel is dead, and what that means for the conversation."""
    if kernel.death:
        return kernel.death
    code = kernel.exit_code or 0
    how = f"signal {code - 128}" if code > 128 else f"exit code {code}"
    return f"The kernel died ({how}). {LOST}"
