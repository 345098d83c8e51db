"""The safe steps on a directory that code may have filled: list, open, put, zip, remove.

Code may have put anything into that directory: links to the host's files, FIFOs that block
their reader, names that break a page. So every path is walked from the directory's own
descriptor without following a link, and only plain files count.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import stat
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from glmdemo.errors import KernelError
from glmdemo.sandbox.limits import MB, Limits
from glmdemo.sandbox.trees import OPEN_DIRECTORY, TooDeepError, walk

_MAX_NAME_BYTES = 255
_MAX_SUFFIX_BYTES = 20
_MAX_DEPTH = 20
MAX_LISTED = 5000
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class WorkFileError(KernelError):
    """A file of the work directory cannot be had; the sentence says why."""


@dataclass(frozen=True)
class WorkFile:
    """A plain file: its path from the work directory, its bytes, when it was changed (epoch)."""

    path: str
    size: int
    modified: float
    changed: int = field(default=0, compare=False)
    """When its inode was last changed, in nanoseconds: a time that no program can set."""

    @property
    def stamp(self) -> tuple[int, int]:
        """Another one means that the file was written since."""
        return self.size, self.changed


def list_files(root: Path) -> tuple[WorkFile, ...]:
    """The plain files below `root`, sorted; hidden ones, links and odd names are left out."""
    files = []
    with contextlib.suppress(TooDeepError):  # the kernel that made it so loses it
        for entry in walk(root):
            path = entry.path.removeprefix("./")
            if stat.S_ISREG(entry.found.st_mode) and _is_plain(path) and not _is_hidden(path):
                found = entry.found
                files.append(WorkFile(path, found.st_size, found.st_mtime, found.st_ctime_ns))
                if len(files) >= MAX_LISTED:
                    break
    return tuple(sorted(files, key=lambda file: file.path))


def open_file(root: Path, path: str, limits: Limits | None = None) -> BinaryIO:
    """Open the plain file `path` below `root` for reading. Raises WorkFileError."""
    max_bytes = (limits or Limits()).download_bytes
    file = open_any_size(root, path)
    size = os.fstat(file.fileno()).st_size
    if size > max_bytes:
        file.close()
        raise WorkFileError(
            f"{path!r} has {size // MB:,} MB; files of at most {max_bytes // MB:,} MB "
            "can be opened."
        )
    return file


def open_any_size(root: Path, path: str) -> BinaryIO:
    """`open_file` for a file that is not read as a whole."""
    _require_plain(path)
    directory = -1
    try:
        directory = _open_parent(root, path)
        descriptor = os.open(os.path.basename(path), _OPEN_FILE, dir_fd=directory)
    except OSError:
        raise WorkFileError(f"There is no file {path!r} that can be opened.") from None
    finally:
        if directory >= 0:
            os.close(directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WorkFileError(f"{path!r} is not a plain file.")
    return os.fdopen(descriptor, "rb")


def put_file(root: Path, name: str, data: bytes, limits: Limits | None = None) -> None:
    """Store an upload as `name` in `root`, in place of whatever has that name.

    Raises WorkFileError for a name that is odd or contains a directory, and for too much data.
    """
    limits = limits or Limits()
    _require_plain(name)
    if "/" in name:
        raise WorkFileError(f"{name!r} names a directory; a plain file name is needed.")
    if len(data) > limits.upload_bytes:
        raise WorkFileError(f"{name!r} is larger than {limits.upload_bytes // MB:,} MB.")
    write_file(root, name, io.BytesIO(data))


def write_file(root: Path, path: str, source: BinaryIO) -> None:
    """Store what `source` holds as `path` below `root`, making its directories.

    It belongs to the owner of `root`. What was there before is kept until all is written.
    Raises WorkFileError.
    """
    _require_plain(path)
    temporary = f".upload-{secrets.token_hex(8)}"
    directory = -1
    try:
        directory = _open_parent(root, path, make=True)
        try:
            descriptor = os.open(temporary, _NEW_FILE, 0o600, dir_fd=directory)
            with os.fdopen(descriptor, "wb") as file:
                _give_to_owner(file.fileno(), directory)
                shutil.copyfileobj(source, file)
            # A rename replaces a link of that name; opening the name would follow it.
            os.rename(temporary, os.path.basename(path), src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
    except OSError as error:
        raise WorkFileError(f"{path!r} cannot be stored: {error.strerror}.") from None
    finally:
        if directory >= 0:
            os.close(directory)


def usable_name(name: str, mark: str = "") -> str:
    """`name` as a plain file name: what was odd in it becomes "_", what was too long is cut.

    `mark` is put before its suffix.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join("_" if _is_odd(char) else char for char in name).strip()
    if name.startswith((".", "-")):
        name = f"_{name}"
    stem, dot, suffix = name.rpartition(".")
    end = f"{dot}{suffix}"
    if not dot or len(end.encode()) > _MAX_SUFFIX_BYTES:
        stem, end = name, ""
    end = mark + end
    room = _MAX_NAME_BYTES - len(end.encode())
    return (stem.encode()[:room].decode(errors="ignore").rstrip() or "file") + end


def remove_file(root: Path, path: str) -> None:
    """Delete the file or link `path` below `root`. Raises WorkFileError."""
    _require_plain(path)
    directory = -1
    try:
        directory = _open_parent(root, path)
        os.unlink(os.path.basename(path), dir_fd=directory)
    except OSError:
        raise WorkFileError(f"There is no file {path!r} that can be deleted.") from None
    finally:
        if directory >= 0:
            os.close(directory)


def zip_files(root: Path, limits: Limits | None = None) -> bytes:
    """All files of `list_files` as a zip archive. Raises WorkFileError when they are too much."""
    limits = limits or Limits()
    files = list_files(root)
    if sum(file.size for file in files) > limits.download_bytes:
        raise WorkFileError(
            f"The files have more than {limits.download_bytes // MB:,} MB together; "
            "open them one by one."
        )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in files:
            with open_file(root, file.path, limits) as source:
                # A file may grow while it is read; what was announced is what is taken.
                target.writestr(file.path, source.read(file.size))
    return archive.getvalue()


def _open_parent(root: Path, path: str, *, make: bool = False) -> int:
    """A descriptor of the directory that holds `path`, which is made where it is missing and
    `make` says so. Raises OSError at the first link.
    """
    current = os.open(root, OPEN_DIRECTORY)
    for name in path.split("/")[:-1]:
        try:
            below = _make_directory(current, name) if make else -1
            below = below if below >= 0 else os.open(name, OPEN_DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current


def _make_directory(parent: int, name: str) -> int:
    """A descriptor of a new directory, -1 where something has that name already."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return -1
    made = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    _give_to_owner(made, parent)
    return made


def _give_to_owner(descriptor: int, parent: int) -> None:
    owner = os.fstat(parent)
    if owner.st_uid != os.geteuid():
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _require_plain(path: str) -> None:
    if not _is_plain(path):
        raise WorkFileError(
            f"{path!r} is not a usable file name: use letters, digits, spaces and . _ - only."
        )


def _is_plain(path: str) -> bool:
    """Whether each name in `path` can be shown and stored anywhere: printable and not too long."""
    names = path.split("/")
    return len(names) <= _MAX_DEPTH and all(map(_is_plain_name, names))


def _is_plain_name(name: str) -> bool:
    if name in ("", ".", "..") or name != name.strip():
        return False
    return not any(map(_is_odd, name)) and len(name.encode()) <= _MAX_NAME_BYTES


def _is_odd(char: str) -> bool:
    """Whether it is a control or format character, a lone surrogate or an odd space."""
    return unicodedata.category(char)[0] in "CZ" and char != " "


def _is_hidden(path: str) -> bool:
    return any(name.startswith(".") for name in path.split("/"))
