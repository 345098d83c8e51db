"""The files of a conversation: uploads, what cells write, and what outlives a kernel."""

from __future__ import annotations

import errno
import io
import os
import time
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

from glmdemo.files import ConversationFiles, WorkFileError
from glmdemo.files.leftovers import sweep
from glmdemo.files.workdir import usable_name
from glmdemo.sandbox.limits import Limits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "files" / "talk"


@pytest.fixture
def files(root: Path) -> ConversationFiles:
    return ConversationFiles(root, Limits(upload_bytes=1000, disk_bytes=5000, disk_files=8))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The directory of a kernel."""
    directory = tmp_path / "w"
    directory.mkdir()
    return directory


def names(files: ConversationFiles) -> list[str]:
    return [file.path for file in files.list()]


def content(files: ConversationFiles, path: str) -> bytes:
    with files.open(path) as file:
        return file.read()


def test_an_upload_is_listed_opened_and_deleted(files: ConversationFiles) -> None:
    assert not files.list()
    assert files.put("数据.csv", b"a,b") == "数据.csv"
    assert files.put("empty.txt", b"") == "empty.txt"
    assert names(files) == ["empty.txt", "数据.csv"]
    assert content(files, "数据.csv") == b"a,b"
    with zipfile.ZipFile(io.BytesIO(files.archive())) as archive:
        assert archive.namelist() == ["empty.txt", "数据.csv"]
    files.remove("数据.csv")
    assert names(files) == ["empty.txt"]
    files.delete()
    files.delete()
    assert not files.list()


def test_nothing_is_lost_when_a_name_comes_twice(files: ConversationFiles) -> None:
    uploads = [b"1", b"2", b"1", b"2"]
    stored = [files.put("a.csv", data) for data in uploads]
    assert stored == ["a.csv", "a (2).csv", "a.csv", "a (2).csv"]
    assert [content(files, name) for name in stored] == uploads


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\x.csv", "x.csv"),
        ("two\nlines.csv", "two_lines.csv"),
        ("\u202egnp.exe", "_gnp.exe"),
        (".bashrc", "_.bashrc"),
        ("-rf.csv", "_-rf.csv"),
        ("  a b.csv ", "a b.csv"),
        ("\x00", "_"),
        ("..", "_.."),
        ("", "file"),
        ("/", "file"),
        ("é.csv", "é.csv"),
        ("\udcff.csv", "_.csv"),
    ],
)
def test_odd_names_become_usable_ones(files: ConversationFiles, name: str, usable: str) -> None:
    assert usable_name(name) == usable
    assert files.put(name, b"x") == usable
    assert names(files) == [usable]


def test_names_that_are_too_long_keep_their_suffix(files: ConversationFiles) -> None:
    stored = [files.put("长" * 200 + ".csv", data) for data in (b"1", b"2")]
    assert all(len(name.encode()) <= 255 and name.endswith(".csv") for name in stored)
    assert names(files) == sorted(stored)
    assert stored[0] != stored[1]


@pytest.mark.parametrize("end", [".csv", ""])
def test_the_longest_name_can_come_twice(files: ConversationFiles, end: str) -> None:
    longest = "x" * (255 - len(end)) + end
    assert files.put(longest, b"1") == longest
    assert files.put(longest, b"2").endswith(f"x (2){end}")


def test_limits_are_told(files: ConversationFiles) -> None:
    with pytest.raises(WorkFileError, match="larger than"):
        files.put("big", b"x" * 1001)
    for number in range(2):
        files.put(f"{number}", b"x" * 1000)
    with pytest.raises(WorkFileError, match="more than 0 MB"):
        files.put("third", b"x" * 600)
    files.put("small", b"")
    files.put("small2", b"")
    with pytest.raises(WorkFileError, match="4 files"):
        files.put("small3", b"")
    assert names(files) == ["0", "1", "small", "small2"]


def test_a_full_disk_is_a_sentence_and_leaves_what_was_there(
    files: ConversationFiles, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.put("a.csv", b"1")

    def full(source: BinaryIO, target: BinaryIO) -> None:
        target.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(WorkFileError, match="No space left"):
        files.put("b.csv", b"2")
    assert os.listdir(root) == ["a.csv"]


def test_a_kernel_sees_uploads_before_and_after_it_started(
    files: ConversationFiles, work: Path
) -> None:
    files.put("before.csv", b"1")
    files.bring_into(work)
    files.put("after.csv", b"2")
    assert sorted(os.listdir(work)) == ["after.csv", "before.csv"]
    files.remove("before.csv")
    files.bring_into(work)
    assert os.listdir(work) == ["after.csv"]


def test_what_cells_write_is_kept_for_the_next_kernel(
    files: ConversationFiles, work: Path, tmp_path: Path
) -> None:
    files.put("in.csv", b"1")
    files.bring_into(work)
    (work / "sub").mkdir()
    (work / "sub" / "out.txt").write_text("result")
    (work / "in.csv").write_text("changed")
    files.keep(work)
    assert content(files, "sub/out.txt") == b"result"
    assert content(files, "in.csv") == b"changed"
    (work / "sub" / "out.txt").write_text("resulT")
    os.utime(work / "sub" / "out.txt", (0, 0))
    (work / "in.csv").unlink()
    files.keep(work)
    assert names(files) == ["sub/out.txt"]
    assert content(files, "sub/out.txt") == b"resulT"
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    files.bring_into(fresh)
    assert (fresh / "sub" / "out.txt").read_text() == "resulT"


def test_traps_of_a_cell_are_not_followed(
    files: ConversationFiles, root: Path, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("CANARY")
    files.put("data.csv", b"1")
    files.bring_into(work)
    (work / "data.csv").unlink()
    (work / "data.csv").symlink_to(tmp_path / "secret")
    (work / "loop").symlink_to(work)
    os.mkfifo(work / "pipe")
    files.keep(work)
    assert not files.list(), "a link is no file, so the file is gone"
    again = files.put("data.csv", b"2")
    assert (work / again).read_bytes() == b"2"
    assert not (work / again).is_symlink()
    assert (tmp_path / "secret").read_text() == "CANARY"


def test_files_with_holes_do_not_fill_the_disk(files: ConversationFiles, work: Path) -> None:
    files.put("small.csv", b"1")
    files.bring_into(work)
    for name in ("a", "b", "c"):
        with (work / name).open("wb") as file:
            file.truncate(2000)
    with pytest.raises(WorkFileError, match="not kept"):
        files.keep(work)
    assert names(files) == ["a", "b", "small.csv"]


def test_what_is_beyond_a_listing_is_not_forgotten(
    files: ConversationFiles, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        files.put(name, b"1")
    files.bring_into(work)
    monkeypatch.setattr("glmdemo.files.workdir.MAX_LISTED", 2)
    files.keep(work)
    monkeypatch.undo()
    assert names(files) == ["a", "b", "c"]


def test_a_directory_that_a_cell_locked_is_read_all_the_same(
    files: ConversationFiles, work: Path, tmp_path: Path
) -> None:
    files.bring_into(work)
    (work / "a.txt").write_text("1")
    work.chmod(0)
    files.keep(work)
    assert names(files) == ["a.txt"]
    with pytest.raises(WorkFileError, match="cannot be read"):
        files.bring_into(tmp_path / "missing")


def test_a_work_directory_that_is_being_removed_takes_nothing_with_it(
    files: ConversationFiles, work: Path
) -> None:
    files.put("a.csv", b"1")
    files.bring_into(work)
    (work / "a.csv").unlink()
    files.keep(work, whole=lambda: False)
    assert names(files) == ["a.csv"]
    work.rmdir()
    files.keep(work)
    assert files.put("b.csv", b"2") == "b.csv"
    assert names(files) == ["a.csv", "b.csv"]


def test_only_old_files_of_no_conversation_are_swept(tmp_path: Path) -> None:
    for name in ("stored", "old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    for name in ("stored", "old"):
        os.utime(tmp_path / name, (time.time() - 100_000,) * 2)
    sweep(tmp_path, lambda name: name == "stored")
    sweep(tmp_path / "missing", lambda name: False)
    assert sorted(os.listdir(tmp_path)) == ["new", "stored"]
