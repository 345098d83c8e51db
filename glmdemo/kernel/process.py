"""One kernel: its confined process, its sockets, and the watch over what it takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Sequence

from glmdemo.errors import KernelDied, KernelError, KernelTimeout
from glmdemo.kernel import inside
from glmdemo.kernel.cell import LOST, ignore_message
from glmdemo.kernel.channels import Channels, Connection, KernelMessage
from glmdemo.kernel.watchdog import Watchdog
from glmdemo.sandbox.limits import Limits
from glmdemo.sandbox.process import ConfinedProcess
from glmdemo.sandbox.room import Room
from glmdemo.sandbox.supervisor import descendants
from glmdemo.sandbox.tiers import Tier

_LOG = logging.getLogger(__name__)
_TICK = 0.02
_ASK_AGAIN = 0.25
_STOP_SECONDS = 10.0
_METER_SECONDS = 0.1


class _Meter:
    """Compares what a kernel sends with what it may, in a cell and between cells."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_cell = False
        self._since = time.monotonic()
        self._received = 0

    def complaint(self, channels: Channels, in_cell: bool) -> str:
        """What is wrong by now, "" when nothing is."""
        limits, now = self._limits, time.monotonic()
        if in_cell != self._in_cell or channels.received < self._received:
            self._in_cell, self._since, self._received = in_cell, now, channels.received
        sent = channels.received - self._received
        if in_cell and sent > limits.received_bytes:
            return "The code sent more messages than can be taken."
        if not in_cell and sent > limits.stray_bytes * (1 + (now - self._since) / 60):
            return "The code went on sending messages after its cell had ended."
        return ""


class Kernel:
    """A running kernel. Made and used only within the loop of the pool.

    `death` says why we killed it, "" while we did not. `listener` gets the kernel's messages.
    """

    def __init__(self, tier: Tier, room: Room, limits: Limits, kernel: Sequence[str]) -> None:
        self.death = ""
        self.listener: Callable[[KernelMessage], None] = ignore_message
        self.connected = False
        self._tidying = False
        self._cell_began = time.time()
        self._room, self._limits = room, limits
        self._connection = Connection()
        room.tidy()
        view = tier.view(room)
        inside.lay_out(room, view, self._connection)
        self._process = ConfinedProcess(
            tier, room, inside.command(view, kernel), inside.environment(view, kernel), limits
        )
        self._channels = self._connect()
        self._watchdog = Watchdog(room, self._process.pid, limits)
        self._meter = _Meter(limits)
        loop = asyncio.get_running_loop()
        self._watch = loop.create_task(self._obey(self._watchdog))
        self._metering = loop.create_task(self._measure_traffic())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def garbage(self) -> int:
        """How many messages were unreadable."""
        return self._channels.garbage

    @property
    def memory(self) -> int:
        """Bytes in memory of all its processes, as last seen."""
        return self._watchdog.memory

    @property
    def disk(self) -> int:
        """Bytes on the disk of its files, as last seen."""
        return self._watchdog.disk

    async def ready(self, seconds: float | None = None) -> None:
        """Wait until the kernel answers, by default as long as a start may take.

        Raises KernelDied or KernelTimeout.
        """
        seconds = self._limits.start_seconds if seconds is None else seconds
        answered: set[str] = set()
        self.listener = lambda message: answered.add(message.type)
        deadline = time.monotonic() + seconds
        asked = 0.0
        # The reply alone is not enough: iopub must be connected before the first cell.
        while not ("kernel_info_reply" in answered and "status" in answered):
            if not self._watchdog.founders:
                self._room.name_sockets()
            if self.death:
                raise KernelDied(self.death)
            if not self.alive:
                _LOG.error("kernel did not start: %s", self._log_tail())
                raise KernelDied("The code interpreter did not start; the log says why.")
            if time.monotonic() > deadline:
                raise KernelTimeout(
                    f"The code interpreter did not start within {seconds:g} "
                    "seconds; try again when the machine is less busy."
                )
            if time.monotonic() - asked > _ASK_AGAIN:
                self._channels.send("shell", "kernel_info_request", {})
                asked = time.monotonic()
            await asyncio.sleep(_TICK)
        self.listener = ignore_message
        self.connected = True
        if not self._watchdog.founders:
            self._watchdog.founders = frozenset(descendants(self._process.pid))

    def execute(self, code: str, silent: bool = False) -> str:
        """Begin to run `code`; the id that all its messages name as their parent.

        `silent` leaves no trace in the numbering of cells.
        """
        if not silent:
            self._cell_began = time.time()
        content = {
            "code": code.encode(errors="replace").decode(),  # a lone surrogate cannot be sent
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        return self._channels.send("shell", "execute_request", content)

    async def check(self, seconds: float | None = None) -> None:
        """Kill the kernel unless it can run, print and end another cell within `seconds`.

        Code may have closed its streams, patched IPython, or left something running.
        """
        seconds = self._limits.check_seconds if seconds is None else seconds
        deadline = time.monotonic() + seconds
        try:
            if not self.connected:
                await self.ready(seconds)
            await asyncio.wait_for(self._print_and_end(), deadline - time.monotonic())
        except (KernelError, asyncio.TimeoutError):
            self.kill(f"The code left the kernel unable to run another cell. {LOST}")
        finally:
            self.listener = ignore_message

    async def _print_and_end(self) -> None:
        word = uuid.uuid4().hex
        due = {"reply", "idle", "word"}

        def hear(message: KernelMessage) -> None:
            if message.parent_id != request:
                return
            if message.type == "execute_reply" and message.content.get("status") == "ok":
                due.discard("reply")
            elif message.type == "stream" and word in str(message.content.get("text")):
                due.discard("word")
            elif message.content.get("execution_state") == "idle":
                due.discard("idle")
            if not due:
                ended.set()

        ended = asyncio.Event()
        self.listener = hear
        # A kernel that was told to exit still runs cells for a moment.
        stays = "not __import__('IPython').get_ipython().exit_now"
        code = f"__import__('sys').stdout.write({word!r} * ({stays}))"
        request = self.execute(code, silent=True)
        while self.alive and due:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ended.wait(), _ASK_AGAIN)

    async def end_crowd(self) -> bool:
        """Kill the kernel where the cell has left too many processes running; whether it did.

        They would slow down everybody, and print into later cells.
        """
        if not self.alive or self.death or not await self._watchdog.crowded():
            return False
        most = self._limits.left_processes
        self.kill(f"The code left more than {most} processes running. {LOST}")
        return True

    def interrupt(self) -> None:
        """Ask for a KeyboardInterrupt in the running cell."""
        self._channels.send("control", "interrupt_request", {})

    def reconnect(self) -> None:
        """Open new sockets: one whose other side broke the protocol is not listened to any more.

        `check` must be awaited before the next cell.
        """
        self._channels.close()
        self._channels = self._connect()
        self.connected = False

    def kill(self, death: str) -> None:
        """Kill the process with all its descendants, for the reason `death`."""
        self.death = self.death or death
        self._process.kill()

    async def stop(self) -> None:
        """End the kernel and everything it started."""
        if not self._tidying:
            self._watch.cancel()
        self._metering.cancel()
        await asyncio.gather(self._watch, self._metering, return_exceptions=True)
        self._channels.close()
        self._process.kill()
        deadline = time.monotonic() + _STOP_SECONDS
        while self.alive and time.monotonic() < deadline:
            await asyncio.sleep(_TICK)
        self._process.stop()

    def _connect(self) -> Channels:
        sockets = str(self._room.channels)
        return Channels(self._connection, sockets, self._limits, lambda m: self.listener(m))

    async def _obey(self, watchdog: Watchdog) -> None:
        """Kill the kernel when the watchdog finds it over a limit."""
        try:
            complaint = await watchdog.complaint()
        except OSError:
            _LOG.exception("a kernel could not be watched")
            complaint = "The kernel could not be watched any longer."
        self.kill(f"{complaint} {LOST}")
        if watchdog.disk_is_full:
            self._tidying = True
            await asyncio.to_thread(self._process.wait)
            await asyncio.to_thread(watchdog.make_room, self._cell_began)

    async def _measure_traffic(self) -> None:
        """Kill a kernel that sends more than anybody will read."""
        while not (complaint := self._meter.complaint(self._channels, self._cell_runs)):
            await asyncio.sleep(_METER_SECONDS)
        self.kill(f"{complaint} {LOST}")

    @property
    def _cell_runs(self) -> bool:
        return self.listener is not ignore_message

    def _log_tail(self) -> str:
        return self._room.log.read_text(errors="replace")[-2000:]
