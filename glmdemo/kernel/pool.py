"""All code interpreters of the application: one per conversation, a bounded number alive."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psutil

from glmdemo.errors import GlmDemoError, KernelError, SandboxUnavailable
from glmdemo.kernel.inside import OWN_KERNEL, installed_kernel
from glmdemo.kernel.loop import LoopThread
from glmdemo.kernel.session import KernelSession, Surroundings, cannot_start
from glmdemo.sandbox.limits import GB, Limits
from glmdemo.sandbox.probe import Isolation, probe, tier_named
from glmdemo.sandbox.room import Room, RuntimeDir

_LOG = logging.getLogger(__name__)
# The key of the session that no conversation has yet.
_SPARE = "\0spare"
_WARM_UP = "import matplotlib.pyplot, numpy, pandas\ndel matplotlib, numpy, pandas"
_MAX_KERNELS = 8
_MEMORY_PER_KERNEL = 3 * GB
_CULL_INTERVAL = 10.0
_GUARD_INTERVAL = 0.5


class KernelPool:
    """Hands out one `KernelSession` per conversation. Methods may be called from any thread.

    `max_kernels` bounds the kernels alive at once (default: 8, fewer where memory is small);
    conversations beyond that wait for one that has become idle. `allow_unisolated` is the
    user's explicit consent to run code without isolation where none works.
    `runtime_parent` is where work directories are made. `kernel_name` chooses a kernel that
    Jupyter knows, with packages of its own; without it cells run in the application's own
    Python. Nothing happens before `open`.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        allow_unisolated: bool = False,
        max_kernels: int | None = None,
        runtime_parent: Path | None = None,
        isolation: Isolation | None = None,
        kernel_name: str | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.max_kernels = max_kernels or default_max_kernels()
        self._allow_unisolated = allow_unisolated
        self._runtime_parent = runtime_parent
        self._isolation = isolation
        self._kernel_name = kernel_name
        self._lock = threading.Lock()
        self._works: _Works | None = None
        self._sessions: dict[str, KernelSession] = {}

    def open(self, conversation_id: str) -> KernelSession:
        """The code interpreter of the conversation, the same one as long as it is not closed.

        Its kernel begins to start. Raises SandboxUnavailable when code cannot be isolated
        here, KernelError when too many kernels are busy.
        """
        with self._lock:
            if session := self._sessions.get(conversation_id):
                return session
            if spare := self._sessions.pop(_SPARE, None):
                self._sessions[conversation_id] = spare
                return spare
            return self._new_session(conversation_id)

    def prepare(self) -> None:
        """Start a kernel ahead of need, for the next conversation that opens one.

        It has the usual libraries loaded. Nothing happens where no kernel can be had, or where
        another one would have to make room.
        """
        with self._lock, contextlib.suppress(GlmDemoError):
            running = sum(session.running for session in self._sessions.values())
            if _SPARE not in self._sessions and running < self.max_kernels:
                self._new_session(_SPARE, warm_up=_WARM_UP)

    def close(self, conversation_id: str) -> None:
        """End the conversation's code interpreter and delete its files; fine if there is none."""
        with self._lock:
            session = self._sessions.pop(conversation_id, None)
        if session is not None:
            session.close()

    def close_all(self) -> None:
        """End all code interpreters. The pool can be used again."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
            works, self._works = self._works, None
            if works is not None:
                atexit.unregister(self.close_all)
                works.close(sessions)

    def __enter__(self) -> KernelPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close_all()

    def _new_session(self, name: str, warm_up: str = "") -> KernelSession:
        if self._works is None:
            self._works = self._start_works()
        works = self._works
        works.loop.run(self._admit_another(works.surroundings.starting))
        session = KernelSession(works.surroundings, works.new_room(), self._admit)
        self._sessions[name] = session
        works.loop.submit(_start(session, warm_up))
        return session

    def _start_works(self) -> _Works:
        isolation = self._isolation or probe()
        if not isolation.available and not self._allow_unisolated:
            raise SandboxUnavailable(f"{isolation.reason} {isolation.fix}")
        kernel = installed_kernel(self._kernel_name) if self._kernel_name else OWN_KERNEL
        works = _Works(isolation, self.limits, self._runtime_parent, kernel)
        works.loop.submit(self._cull_idle())
        works.loop.submit(self._guard_machine())
        atexit.register(self.close_all)
        return works

    async def _admit_another(self, starting: asyncio.Lock) -> None:
        async with starting:
            await self._admit(None)

    async def _admit(self, newcomer: KernelSession | None) -> None:
        """Make sure that one more kernel may run. Raises KernelError otherwise."""
        others = [s for s in list(self._sessions.values()) if s is not newcomer and s.running]
        if len(others) < self.max_kernels:
            return
        if (spare := self._sessions.get(_SPARE)) in others:
            await spare.put_to_sleep("")
            return
        longest = max(others, key=lambda session: session.idle_seconds)
        if longest.idle_seconds < self.limits.busy_seconds:
            raise KernelError(
                f"All {self.max_kernels} code interpreters are in use; "
                "try again in a minute, or close a conversation that has one."
            )
        await longest.put_to_sleep("The kernel was closed to make room for another one.")

    async def _cull_idle(self) -> None:
        while True:
            await asyncio.sleep(_CULL_INTERVAL)
            for name, session in list(self._sessions.items()):
                if session.running and session.idle_seconds > self.limits.idle_seconds:
                    if name != _SPARE:
                        reason = "The kernel was closed after a long idle time."
                        await session.put_to_sleep(reason)
                    elif self._sessions.pop(_SPARE, None) is not None:
                        await session.aclose()  # `prepare` makes another one

    async def _guard_machine(self) -> None:
        """Close the largest kernel while the machine itself is short of memory or disk."""
        while True:
            await asyncio.sleep(_GUARD_INTERVAL)
            running = [s for s in list(self._sessions.values()) if s.running]
            memory = psutil.virtual_memory()
            if running and memory.available < self.limits.host_reserve * memory.total:
                max(running, key=lambda session: session.memory).sacrifice("memory")
            elif (
                running and psutil.disk_usage(str(running[0].workdir)).free < self.limits.host_disk
            ):
                max(running, key=lambda session: session.disk).sacrifice("disk space")


class _Works:
    """The thread and directory that a pool has while it is in use."""

    def __init__(
        self,
        isolation: Isolation,
        limits: Limits,
        runtime_parent: Path | None,
        kernel: Sequence[str],
    ) -> None:
        self.runtime = RuntimeDir(runtime_parent)
        self.loop = LoopThread()
        tier = tier_named(isolation.tier)
        self.surroundings = Surroundings(self.loop, tier, limits, asyncio.Lock(), kernel)

    def new_room(self) -> Room:
        try:
            return self.runtime.new_room()
        except OSError as error:
            raise cannot_start(error) from error

    def close(self, sessions: list[KernelSession]) -> None:
        self.loop.run(_close_sessions(sessions))
        self.loop.close()
        self.runtime.close()


async def _close_sessions(sessions: list[KernelSession]) -> None:
    for result in await asyncio.gather(*(s.aclose() for s in sessions), return_exceptions=True):
        if isinstance(result, BaseException):
            _LOG.error("a code interpreter did not close cleanly", exc_info=result)


async def _start(session: KernelSession, warm_up: str) -> None:
    try:
        await session.start(warm_up)
    except GlmDemoError as error:
        _LOG.info("a kernel did not start ahead of its first cell: %s", error)


def default_max_kernels() -> int:
    """As many kernels as this machine's memory carries, at most 8."""
    return max(1, min(_MAX_KERNELS, psutil.virtual_memory().total // _MEMORY_PER_KERNEL))
