"""The files of one conversation, kept beside the store for as long as the conversation lives.

A kernel works on a copy in its own directory, which goes when the kernel's session ends: what is
kept is brought into a new work directory, and what a cell wrote there is kept when the cell has
ended. So files outlive their kernel and the application, and can be seen while neither runs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from glmdemo.files import workdir
from glmdemo.files.workdir import WorkFile, WorkFileError
from glmdemo.sandbox.limits import MB, Limits
from glmdemo.sandbox.trees import remove_tree


class ConversationFiles:
    """The files below `root`, a directory that is made with the first file. Any thread may call it.

    All names come from users and from code that a model wrote; the functions of `workdir` keep
    them below `root`. Methods raise WorkFileError with a sentence for the user.
    """

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self._root = root
        self._limits = limits or Limits()
        self._lock = threading.RLock()
        self._work: Path | None = None
        self._seen: dict[str, tuple[int, int]] = {}

    def list(self) -> tuple[WorkFile, ...]:
        """All files, by their path."""
        with self._lock:
            try:
                return workdir.list_files(self._root)
            except FileNotFoundError:
                return ()

    def open(self, path: str) -> BinaryIO:
        """The file `path`, to be read; it has at most the size that may be downloaded."""
        return workdir.open_file(self._root, path, self._limits)

    def open_any_size(self, path: str) -> BinaryIO:
        """The file `path`, to be read piece by piece."""
        return workdir.open_any_size(self._root, path)

    def archive(self) -> bytes:
        """All files as a zip archive."""
        with self._lock:
            return workdir.zip_files(self._root, self._limits)

    def put(self, name: str, data: bytes) -> str:
        """Add an upload; the name it got, which is another one where `name` is odd or taken.

        The same content under the same name is the same file.
        """
        with self._lock:
            name = self._free_name(workdir.usable_name(name), data)
            self._require_room(name, len(data))
            self._make_root()
            workdir.put_file(self._root, name, data, self._limits)
            if work := self._living_work():
                workdir.put_file(work, name, data, self._limits)
            return name

    def remove(self, path: str) -> None:
        """Delete a file, for the kernel too."""
        with self._lock:
            workdir.remove_file(self._root, path)
            if work := self._living_work():
                with contextlib.suppress(WorkFileError):  # a cell has removed it already
                    workdir.remove_file(work, path)

    def delete(self) -> None:
        """Delete all files."""
        with self._lock:
            self._work = None
            remove_tree(self._root)

    def bring_into(self, work: Path) -> None:
        """Make the files visible in `work`, the directory of a kernel that may be a new one."""
        with self._lock:
            if work == self._work:
                return
            there = {file.path for file in _files_in(work)}
            for file in self.list():
                if file.path not in there:
                    with self.open_any_size(file.path) as source:
                        workdir.write_file(work, file.path, source)
            self._work = work
            self._seen = {file.path: file.stamp for file in _files_in(work)}

    def keep(self, work: Path, *, whole: Callable[[], bool] = lambda: True) -> None:
        """Keep what was written and forget what was deleted in `work`.

        `whole` tells, once `work` was looked at, that it was not being removed meanwhile. Raises
        WorkFileError when not all could be kept.
        """
        with self._lock:
            if not work.is_dir():
                return
            files = {file.path: file for file in _files_in(work)}
            if not whole():
                return
            # A file with holes has far more bytes than it takes from the kernel's disk.
            room = self._limits.disk_bytes
            for path, file in sorted(files.items(), key=lambda item: item[1].size):
                room -= file.size
                if self._seen.get(path) == file.stamp or room < 0:
                    continue
                try:
                    source = workdir.open_any_size(work, path)
                except WorkFileError:
                    continue  # a program that a cell left running has removed it meanwhile
                self._make_root()
                with source:
                    workdir.write_file(self._root, path, source)
                self._seen[path] = file.stamp
            if len(files) < workdir.MAX_LISTED:
                for gone in self._seen.keys() - files.keys():
                    del self._seen[gone]
                    with contextlib.suppress(WorkFileError):
                        workdir.remove_file(self._root, gone)
            if room < 0:
                raise WorkFileError(
                    f"The largest files are not kept: all together have more than "
                    f"{self._limits.disk_bytes // MB:,} MB."
                )

    def _free_name(self, name: str, data: bytes) -> str:
        sizes = {file.path: file.size for file in self.list()}
        number, candidate = 1, name
        while candidate in sizes and not (
            sizes[candidate] == len(data) and self._holds(candidate, data)
        ):
            number += 1
            candidate = workdir.usable_name(name, f" ({number})")
        return candidate

    def _holds(self, path: str, data: bytes) -> bool:
        with self.open_any_size(path) as file:
            return file.read() == data

    def _require_room(self, name: str, size: int) -> None:
        """Uploads take half of what a kernel may have on the disk: cells need room to write."""
        max_bytes, max_files = self._limits.disk_bytes // 2, self._limits.disk_files // 2
        others = [file for file in self.list() if file.path != name]
        if sum(file.size for file in others) + size > max_bytes:
            raise WorkFileError(
                f"{name!r} does not fit: with it the files of this conversation would have more "
                f"than {max_bytes // MB:,} MB. Delete some first."
            )
        if len(others) >= max_files:
            raise WorkFileError(
                f"{name!r} does not fit: this conversation has {len(others):,} files. "
                "Delete some first."
            )

    def _make_root(self) -> None:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WorkFileError(
                f"Files cannot be kept in {self._root.parent} ({error.strerror}): check the disk, "
                "or set GLMDEMO_DATA_DIR to another folder."
            ) from None

    def _living_work(self) -> Path | None:
        """The work directory of the kernel, None where it is not there (any more)."""
        if self._work is not None and not self._work.is_dir():
            self._work = None
        return self._work


def _files_in(work: Path) -> tuple[WorkFile, ...]:
    """The files in a kernel's directory, which code may have locked. Raises WorkFileError."""
    try:
        work.chmod(0o700)
        return workdir.list_files(work)
    except OSError as error:
        raise WorkFileError(f"The kernel's files cannot be read: {error.strerror}.") from None
