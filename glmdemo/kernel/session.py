"""The code interpreter of one conversation."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glmdemo.errors import KernelError
from glmdemo.kernel import promised
from glmdemo.kernel.cell import LOST, Cell, death_sentence
from glmdemo.kernel.loop import LoopThread
from glmdemo.kernel.process import Kernel
from glmdemo.outputs import NoticeOutput, Output
from glmdemo.sandbox.limits import Limits
from glmdemo.sandbox.room import Room
from glmdemo.sandbox.tiers import Tier
from glmdemo.stop import Stop

_NEVER_BEGAN = "No kernel began the cell; try again when the machine is less busy."


@dataclass(frozen=True)
class Surroundings:
    """What all sessions of a pool share."""

    loop: LoopThread
    tier: Tier
    limits: Limits
    starting: asyncio.Lock
    kernel: Sequence[str]


def cannot_start(error: OSError) -> KernelError:
    """The sentence for a machine that cannot start a kernel: disk full, too many processes."""
    what = f" ({error.filename})" if error.filename else ""
    return KernelError(f"The code interpreter cannot be started: {error.strerror or error}{what}.")


class KernelSession:
    """Runs cells one after the other; variables and files live from cell to cell.

    The kernel starts when it is first needed and again after it died. Methods may be called
    from any thread.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        room: Room,
        admit: Callable[[KernelSession], Awaitable[None]],
    ) -> None:
        self._shared, self._room, self._admit = surroundings, room, admit
        self._kernel: Kernel | None = None
        self._turn = asyncio.Lock()
        self._stop: threading.Event | None = None
        self._closed = False
        self._to_say = ""
        self._used = False  # whether the kernel has run a cell
        self._last_used = time.monotonic()

    @property
    def workdir(self) -> Path:
        """The conversation's files on the host; inside a sandbox they are in /mnt/data."""
        return self._room.work

    def is_open(self) -> bool:
        """Whether it was not closed; its files are being deleted otherwise."""
        return not self._closed

    @property
    def isolation(self) -> str:
        """The name of the tier that confines the code, "none" without isolation."""
        return self._shared.tier.name

    @property
    def running(self) -> bool:
        """Whether a kernel process is there (it may be idle)."""
        return self._kernel is not None and self._kernel.alive

    @property
    def idle_seconds(self) -> float:
        """Time since the last cell ended, 0 while one runs."""
        return 0.0 if self._stop else time.monotonic() - self._last_used

    @property
    def memory(self) -> int:
        """Bytes in memory of the kernel with all it started, as last seen."""
        return self._kernel.memory if self._kernel is not None else 0

    @property
    def disk(self) -> int:
        """Bytes on the disk of the conversation's files, as last seen."""
        return self._kernel.disk if self._kernel is not None else 0

    def execute(self, code: str, stop: Stop | None = None) -> Generator[Output, None, None]:
        """Run `code` and yield what it shows, as it comes.

        Closing the generator stops the cell, and so does `stop` (also one that is set already).
        Every cell ends within its limits; what went wrong in it is an output. Raises
        KernelError when no kernel can be had.
        """
        outbox: queue.SimpleQueue[Output | None] = queue.SimpleQueue()
        ended = threading.Event()
        self._require_open()
        with (stop or Stop()).calling(ended.set):
            run = self._shared.loop.submit(self._execute(code, self._promised(outbox.put), ended))
            run.add_done_callback(lambda _: outbox.put(None))
            try:
                while (output := outbox.get()) is not None:
                    yield output
                run.result()
            finally:
                ended.set()

    def interrupt(self) -> None:
        """Stop the running cell, if there is one; its outputs so far stay."""
        if stop := self._stop:
            stop.set()

    def restart(self) -> None:
        """Replace the kernel by a new one: variables are lost, files are kept."""
        self._require_open()
        self._shared.loop.run(self._restart())

    def close(self) -> None:
        """End the kernel and delete the conversation's files."""
        if not self._closed:
            self._shared.loop.run(self.aclose())

    async def start(self, warm_up: str = "") -> None:
        """Start the kernel now, so that the first cell need not wait. For the pool's loop.

        `warm_up` is code that it runs before that.
        """
        async with self._turn:
            kernel = await self._living_kernel()
            if warm_up:
                kernel.execute(warm_up, silent=True)
                await kernel.check(self._shared.limits.start_seconds)

    async def put_to_sleep(self, reason: str) -> None:
        """Close an idle kernel, keeping the files; `reason`, if any, is told with the next cell."""
        async with self._turn:
            await self._end_kernel(f"{reason} {LOST}" if reason else "")

    def sacrifice(self, what: str) -> None:
        """Kill the kernel at once, for the sake of the machine. For the pool's loop."""
        if self._kernel is not None:
            self._kernel.kill(
                f"The machine ran out of {what}, and this kernel used more than any other. {LOST}"
            )

    async def aclose(self) -> None:
        """`close`, from within the pool's loop."""
        self._closed = True
        if self._kernel is not None:
            self._kernel.kill("The code interpreter was closed.")
        async with self._turn:
            await self._end_kernel("")
            self._room.remove()

    def _require_open(self) -> None:
        if self._closed:
            raise KernelError("This conversation's code interpreter was closed; open it again.")

    async def _execute(
        self, code: str, emit: Callable[[Output], None], stop: threading.Event
    ) -> None:
        async with self._turn:
            if stop.is_set():
                return
            self._stop = stop
            try:
                # A cell that its kernel does not begin runs in the next one.
                if not await self._try(code, emit, stop) and not await self._try(code, emit, stop):
                    raise KernelError(_NEVER_BEGAN)
            finally:
                self._room.unlock()
                self._stop = None
                self._last_used = time.monotonic()

    async def _try(self, code: str, emit: Callable[[Output], None], stop: threading.Event) -> bool:
        """Run `code`; False when the kernel has not begun it, and was killed for that."""
        kernel = await self._living_kernel()
        if stop.is_set():
            return True
        if self._to_say:
            emit(NoticeOutput(self._to_say))
            self._to_say = ""
        limits = self._shared.limits
        # No earlier cell can have blocked a new kernel: it is the machine that is slow.
        patience = limits.begin_seconds if self._used else limits.start_seconds
        self._used = True
        if not await Cell(kernel, code, limits, emit, stop, patience).run():
            return False
        if await kernel.end_crowd():
            emit(NoticeOutput(death_sentence(kernel)))
        if not kernel.alive or kernel.death:
            await self._end_kernel("")
        return True

    def _promised(self, emit: Callable[[Output], None]) -> Callable[[Output], None]:
        """`emit`, for outputs that name files by the path that models are promised."""
        actual = self._shared.tier.view(self._room).work
        if actual == promised.PATH:
            return emit
        return lambda output: emit(promised.put_back(output, actual))

    async def _living_kernel(self) -> Kernel:
        self._require_open()
        if (kernel := self._kernel) is not None:
            if self._used and kernel.alive and not kernel.death:
                await kernel.check()
            if kernel.alive and not kernel.death:
                return kernel
            await self._end_kernel(death_sentence(kernel))
        shared = self._shared
        async with shared.starting:
            await self._admit(self)
            try:
                kernel = Kernel(shared.tier, self._room, shared.limits, shared.kernel)
            except OSError as error:
                raise cannot_start(error) from error
            self._kernel, self._used = kernel, False
        try:
            await kernel.ready()
        except BaseException:
            self._kernel = None
            await kernel.stop()
            raise
        return kernel

    async def _restart(self) -> None:
        if self._kernel is not None:
            self._kernel.kill(f"The kernel was restarted. {LOST}")
        async with self._turn:
            await self._end_kernel(f"The kernel was restarted. {LOST}")
            await self._living_kernel()

    async def _end_kernel(self, to_say: str) -> None:
        """Stop the kernel, if there is one; `to_say` is told with the next cell."""
        if self._kernel is None:
            return
        kernel, self._kernel = self._kernel, None
        self._to_say = to_say
        await kernel.stop()
