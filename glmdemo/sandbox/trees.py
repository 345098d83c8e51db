"""Measuring, trimming and removing directory trees that hostile code has made.

Nothing here follows a link, recurses, or relies on whole paths: a tree may be thousands of
levels deep (longer than any path the system accepts), unreadable by mode, full of links to
the host's files, and may change while it is looked at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASS_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | OPEN_DIRECTORY
# Paths are measured from the root, and from a new start where they get longer than this.
# Each start is an open descriptor, and the application needs those for other things too.
_MAX_PATH = 2000
_MAX_STARTS = 64


class TooDeepError(OSError):
    """A tree cannot be walked without many open descriptors; only hostile code makes such."""


@dataclass(frozen=True)
class Entry:
    """A file or directory: `path` from the root, "" where that is too long, and its lstat."""

    path: str
    found: os.stat_result

    @property
    def size(self) -> int:
        """Bytes that it takes from the disk."""
        return self.found.st_blocks * 512

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.found.st_mode)


@dataclass(frozen=True)
class Usage:
    """What a tree takes from the disk: bytes in blocks, and the number of its entries."""

    size: int
    entries: int


def walk(root: Path) -> Iterator[Entry]:
    """Every entry below `root`. What vanishes meanwhile is left out. Raises TooDeepError."""
    starts = [os.open(root, OPEN_DIRECTORY)]
    pending = [(starts[0], ".")]
    try:
        while pending:
            start, above = pending.pop()
            for path, found in _entries(start, above):
                entry = Entry(path if start == starts[0] else "", found)
                yield entry
                if not entry.is_directory:
                    continue
                if len(os.fsencode(path)) < _MAX_PATH:
                    pending.append((start, path))
                elif len(starts) == _MAX_STARTS:
                    raise TooDeepError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
                elif (below := _open_directory(start, path)) >= 0:
                    starts.append(below)
                    pending.append((below, "."))
    finally:
        for start in starts:
            os.close(start)


def _entries(base: int, path: str) -> Iterator[tuple[str, os.stat_result]]:
    directory = _open_directory(base, path)
    if directory < 0:
        return
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    yield os.path.join(path, entry.name), found
    finally:
        os.close(directory)


def _open_directory(base: int, path: str) -> int:
    """A descriptor of the directory, made readable where its mode hides it; -1 when it is gone."""
    for _ in range(2):
        try:
            return os.open(path, OPEN_DIRECTORY, dir_fd=base)
        except PermissionError:
            _make_readable(base, path)
        except OSError:
            break
    return -1


def _make_readable(base: int, path: str) -> None:
    """Give ourselves access to a directory, going down name by name so that no link is followed."""
    current = os.dup(base)
    try:
        for name in path.split("/"):
            below = os.open(name, _PASS_DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
            os.chmod(f"/proc/self/fd/{current}", 0o700)
    except OSError:
        return  # it is gone, or was replaced meanwhile
    finally:
        os.close(current)


def usage(root: Path, max_entries: int) -> Usage:
    """Measure the tree below `root`, giving up after `max_entries` + 1 entries.

    A tree that is too deep to be walked counts as one with too many.
    """
    size = entries = 0
    try:
        for entry in walk(root):
            size += entry.size
            entries += 1
            if entries > max_entries:
                break
    except TooDeepError:
        entries = max_entries + 1
    return Usage(size, entries)


def trim(root: Path, since: float, max_bytes: int, max_entries: int) -> None:
    """Delete what was changed after the time `since`, largest first, until `root` fits.

    Where single files do not suffice, or the tree is too deep to be walked, whole new
    directories go. Its processes must have ended. What counts is the inode's change, whose
    time no program can set.
    """
    top = os.open(root, OPEN_DIRECTORY)
    try:
        size = entries = 0
        files: list[tuple[int, str]] = []
        directories: list[str] = []
        too_deep = False
        try:
            for entry in walk(root):
                size, entries = size + entry.size, entries + 1
                if entry.found.st_ctime < since or not entry.path:
                    continue
                if entry.is_directory and os.path.dirname(entry.path) == ".":
                    directories.append(entry.path)
                elif not entry.is_directory:
                    files.append((entry.size, entry.path))
        except TooDeepError:
            too_deep = True
        for taken, path in sorted([] if too_deep else files, reverse=True):
            if size <= max_bytes and entries <= max_entries:
                return
            with contextlib.suppress(OSError):
                os.unlink(path, dir_fd=top)
                size, entries = size - taken, entries - 1
    finally:
        os.close(top)
    for path in directories:
        if too_deep or size > max_bytes or entries > max_entries:
            remove_tree(root / path)


def remove_tree(root: Path, keep_root: bool = False) -> None:
    """Remove `root` and all below it. Its processes must have ended.

    It goes down name by name and up by "..", so no path is ever longer than one name. A
    `root` that is missing is fine.
    """
    try:
        os.chmod(root, 0o700)
        current = os.open(root, OPEN_DIRECTORY)
    except FileNotFoundError:
        return
    names: list[str] = []  # the way from the root to `current`
    below = [_remove_files(current)]  # for each level, the directories still to be removed
    try:
        while below:
            if below[-1]:
                names.append(below[-1].pop())
                os.chmod(names[-1], 0o700, dir_fd=current)
                current = _step(current, names[-1])
                below.append(_remove_files(current))
                continue
            below.pop()
            if names:
                current = _step(current, "..")
                os.rmdir(names.pop(), dir_fd=current)
    finally:
        os.close(current)
    if not keep_root:
        os.rmdir(root)


def _remove_files(directory: int) -> list[str]:
    """Delete everything in `directory` but its directories, whose names are returned."""
    directories = []
    for name in os.listdir(directory):
        try:
            os.unlink(name, dir_fd=directory)
        except (IsADirectoryError, PermissionError):
            directories.append(name)
    return directories


def _step(current: int, name: str) -> int:
    """Open the directory `name` in `current`, which is closed then."""
    opened = os.open(name, OPEN_DIRECTORY, dir_fd=current)
    os.close(current)
    return opened
