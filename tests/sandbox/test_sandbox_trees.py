"""Directory trees that were made to break their keeper."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from glmdemo.sandbox.trees import TooDeepError, remove_tree, trim, usage, walk

KB4 = b"x" * 4096


def make_deep(root: Path, levels: int, name: str) -> None:
    """A chain of directories whose whole path is longer than the system accepts."""
    current = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=current)
        below = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    file = os.open("bottom", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=current)
    os.write(file, KB4)
    os.close(file)
    os.close(current)


def test_a_deep_tree_is_measured_to_its_bottom_and_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make_deep(root, 200, "d" * 50)
    assert sum(not entry.is_directory for entry in walk(root)) == 1
    assert usage(root, 10_000).entries == 201
    remove_tree(root)
    assert not root.exists()


def test_a_tree_that_would_take_many_descriptors_counts_as_full(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    time.sleep(0.1)
    since = time.time() - 0.05
    make_deep(tmp_path, 600, "d" * 250)
    (tmp_path / "new").touch()
    with pytest.raises(TooDeepError):
        list(walk(tmp_path))
    assert usage(tmp_path, 5000).entries == 5001
    trim(tmp_path, since, max_bytes=1 << 30, max_entries=5000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "new"]


def test_trim_mistakes_no_file_far_below_for_one_above(tmp_path: Path) -> None:
    (tmp_path / "bottom").write_bytes(KB4)
    time.sleep(0.1)
    since = time.time() - 0.05
    make_deep(tmp_path, 12, "d" * 250)
    trim(tmp_path, since, max_bytes=1 << 30, max_entries=2)
    assert [path.name for path in tmp_path.iterdir()] == ["bottom"]


def test_links_are_removed_not_followed(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").write_text("keep")
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "host")
    (root / "sub" / "link").symlink_to(tmp_path / "host")
    assert usage(root, 100).entries == 3
    remove_tree(root)
    assert (tmp_path / "host" / "file").read_text() == "keep"


def test_locked_directories_are_opened_measured_and_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    inner = root / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "x").write_bytes(KB4)
    inner.chmod(0)
    (root / "a").chmod(0o300)
    assert usage(root, 100).entries == 3
    inner.chmod(0)
    root.chmod(0)
    remove_tree(root)
    assert not root.exists()


def test_counting_stops_at_the_limit(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert usage(tmp_path, 10).entries == 11


def test_trim_takes_the_largest_new_files_and_spares_old_ones(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(KB4 * 10)
    time.sleep(0.1)
    since = time.time() - 0.05
    (tmp_path / "small").write_bytes(KB4)
    (tmp_path / "large").write_bytes(KB4 * 8)
    os.utime(tmp_path / "large", (1000, 1000))  # code may lie about a file's age
    trim(tmp_path, since, max_bytes=12 * 4096, max_entries=100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "small"]


def test_trim_takes_whole_new_directories_where_files_do_not_suffice(tmp_path: Path) -> None:
    make_deep(tmp_path, 200, "d" * 50)
    trim(tmp_path, since=0, max_bytes=1 << 30, max_entries=100)
    assert usage(tmp_path, 10_000).entries <= 100


def test_an_emptied_directory_stays(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").touch()
    remove_tree(tmp_path, keep_root=True)
    assert list(tmp_path.iterdir()) == []
    remove_tree(tmp_path / "missing")
