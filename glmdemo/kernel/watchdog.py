"""Watches what the processes and files of one kernel take, and says when it is too much."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from glmdemo.sandbox.limits import MB, Limits
from glmdemo.sandbox.room import Room
from glmdemo.sandbox.supervisor import descendants
from glmdemo.sandbox.tally import (
    count_threads,
    hidden,
    nameless_files,
    proportional_memory,
    resident_memory,
    running,
    yield_to_others,
)
from glmdemo.sandbox.trees import trim, usage

_INTERVAL = 0.1
# Measuring may take this part of the time; a large tree is looked at less often, but never
# less often than once in so many seconds.
_LOAD = 0.1
_LONGEST_INTERVAL = 1.0
_NAP = 0.02
_KEEP = 0.8
# The room's own files and directories do not count against the conversation.
_OWN_ENTRIES = 20
# The file system's clock runs behind the process's by at most this many seconds.
_CLOCK_STEP = 0.02
# More processes and threads than this leave the processors to others first.
_CROWD = 32
# Of processes that end as fast as they begin, one look finds few; so where a cell has left more
# than these, or others a moment later, it is looked for so long.
_FEW = 8
_CROWD_SECONDS = 0.2


class Watchdog:
    """Looks every 100 ms at a room, and apart from that at the processes below `pid`.

    `founders` are those that were there before any cell: the kernel, and what leads to it.
    """

    def __init__(self, room: Room, pid: int, limits: Limits) -> None:
        self._room, self._pid, self._limits = room, pid, limits
        self.disk_is_full = False
        self.founders: frozenset[int] = frozenset()
        self.memory = self.disk = 0
        self._hidden: set[int] = set()

    async def complaint(self) -> str:
        """Wait until a limit is broken; the sentence that says which."""
        looks = ((self._look_at_processes, asyncio.sleep), (self._look_at_files, self._watch_disk))
        tasks = [asyncio.ensure_future(_repeat(look, pause)) for look, pause in looks]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()

    async def crowded(self) -> bool:
        """Whether more processes run, at once or one after the other, than a cell may leave."""
        most = self._limits.left_processes
        first = self._others()
        if not first:
            return False
        await asyncio.sleep(_NAP)
        since = self._others() - first
        if not since and len(first) <= min(most, _FEW):
            return False
        until = time.monotonic() + _CROWD_SECONDS
        while len(since) <= most and time.monotonic() < until:
            await asyncio.sleep(_NAP)
            since |= self._others() - first
        return len(since) > most or len(since) + len(running(first)) > most

    def _others(self) -> set[int]:
        return set(descendants(self._pid)) - self.founders

    def make_room(self, since: float) -> None:
        """Delete the largest files changed after `since` until the next kernel can run.

        Older ones follow only where that does not suffice: then something has written files
        in the background since an earlier cell.
        """
        limits = self._limits
        size, entries = int(limits.disk_bytes * _KEEP), int(limits.disk_files * _KEEP)
        for oldest in (since - _CLOCK_STEP, 0.0):
            trim(self._room.work, oldest, size, entries)

    def _look_at_processes(self) -> str:
        limits = self._limits
        family = descendants(self._pid)
        # Where the system counts, it refuses at the limit itself; this is for where it cannot.
        threads = count_threads(family)
        if threads > 2 * limits.processes:
            return f"The code started more than {limits.processes} processes and threads."
        if threads > _CROWD:
            yield_to_others(set(family) - self.founders)
        before, self._hidden = self._hidden, hidden(family)
        if before & self._hidden:  # a process is hidden for a moment while it begins
            return "The code hid one of its processes."
        self.memory = resident_memory(family)
        # This number counts shared pages once per process; look closer before it matters.
        if self.memory > limits.total_memory < proportional_memory(family):
            return f"The code used more than {limits.total_memory // MB:,} MB of memory."
        return ""

    def _look_at_files(self) -> str:
        limits, family = self._limits, descendants(self._pid)
        self._room.unlock()
        taken = usage(self._room.path, limits.disk_files + _OWN_ENTRIES)
        self.disk = taken.size + nameless_files(family, self._room.work.stat().st_dev)
        if self.disk > limits.disk_bytes:
            self.disk_is_full = True
            return (
                f"The files in the work directory grew over {limits.disk_bytes // MB:,} MB; "
                "the largest new ones were deleted."
            )
        if taken.entries > limits.disk_files + _OWN_ENTRIES:
            self.disk_is_full = True
            return (
                f"The work directory holds more than {limits.disk_files:,} files; "
                "new ones were deleted."
            )
        return ""

    async def _watch_disk(self, seconds: float) -> None:
        """Wait so long, or until the disk fills so fast that it is time to look again."""
        end, free = time.monotonic() + seconds, self._free_disk()
        while time.monotonic() < end:
            await asyncio.sleep(_NAP)
            if free - self._free_disk() > (self._limits.disk_bytes - self.disk) // 2:
                return

    def _free_disk(self) -> int:
        found = os.statvfs(self._room.work)
        return found.f_bavail * found.f_frsize


async def _repeat(look: Callable[[], str], pause: Callable[[float], Awaitable[None]]) -> str:
    """Look until something is found, with a `pause` of so many seconds in between."""
    while True:
        begin = time.monotonic()
        if found := await asyncio.to_thread(look):
            return found
        cost = time.monotonic() - begin
        await pause(min(max(_INTERVAL, cost / _LOAD), _LONGEST_INTERVAL))
