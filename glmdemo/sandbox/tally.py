"""What running processes take, as /proc tells it. A process that is gone takes nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOWEST_PRIORITY = 19


def count_threads(pids: Iterable[int]) -> int:
    return sum(1 for _ in _threads(pids))


def running(pids: Iterable[int]) -> set[int]:
    """Those of `pids` that have not ended; an ended one keeps its entry until it is waited for."""
    return {pid for pid in pids if not _has_ended(pid)}


def yield_to_others(pids: Iterable[int]) -> None:
    """Give `pids`, and what they start from now on, the lowest priority on the processors."""
    for thread in _threads(pids):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, _LOWEST_PRIORITY)


def resident_memory(pids: Iterable[int]) -> int:
    """Bytes in memory of all `pids` together; pages that they share count several times."""
    return sum(map(_resident, pids))


def proportional_memory(pids: Iterable[int]) -> int:
    """Bytes in memory of all `pids` together; a shared page counts once."""
    return sum(map(_proportional, pids))


def hidden(pids: Iterable[int]) -> set[int]:
    """Those of `pids` that keep us from seeing which files they hold."""
    return {pid for pid in pids if _is_hidden(pid)}


def nameless_files(pids: Iterable[int], device: int) -> int:
    """Bytes on `device` of files that are open or mapped, but have no name any more."""
    found = (each for pid in pids for each in (*_mapped(pid, device), *_open(pid, device)))
    sizes = dict(found)
    return sum(sizes.values())


def _threads(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError):
            yield from map(int, os.listdir(f"/proc/{pid}/task"))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except ProcessLookupError:
        return 0
    except OSError:
        return _resident(pid)  # a process may hide this; then the larger number counts
    return 0


def _is_hidden(pid: int) -> bool:
    try:
        os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return not _has_ended(pid)
    except OSError:
        return False
    return False


def _has_ended(pid: int) -> bool:
    """Whether the process is gone, but for its entry: such a one is everybody's secret."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    return fields[0] in "ZX"


def _open(pid: int, device: int) -> Iterator[tuple[int, int]]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found = os.stat(f"/proc/{pid}/fd/{name}")
                if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
                    yield found.st_ino, found.st_blocks * 512


def _mapped(pid: int, device: int) -> Iterator[tuple[int, int]]:
    name = f"{os.major(device):02x}:{os.minor(device):02x}"
    sizes: dict[int, int] = {}
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", errors="replace") as lines:
        for line in lines:
            if line.endswith(" (deleted)\n"):
                addresses, _, _, where, inode, *_ = line.split(maxsplit=5)
                begin, end = (int(address, 16) for address in addresses.split("-"))
                if where == name:
                    sizes[int(inode)] = sizes.get(int(inode), 0) + end - begin
    yield from sizes.items()
