"""Model-written code at its worst: no hostile cell may break anything around it.

The short form runs the cells that are quick and differ in what stops them; the long form,
`python -m benchmarks.interpreter --full`, runs all of them three times and takes long.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.interpreter.hostile_range import CELLS, Cell, Range
from glmdemo.sandbox import Isolation

pytestmark = pytest.mark.kernel

SHORT = (
    "read_proc_app",
    "list_processes",
    "walk_for_canary",
    "symlink_out",
    "drop_pth",
    "plant_ipython_startup",
    "weird_names",
    "alloc_memfd",
    "html_script",
    "ansi_control",
    "segv",
    "sys_exit",
    "signed_bad_types",
    "deep_json",
    "replace_sockets",
    "net_udp_dns",
    "raw_and_vsock",
    "setuid_su",
    "daemonize",
    "tty_inject",
    # Of our own:
    "prlimit_app",
    "chmod_host",
    "sysv_memory",
    "signal_by_fcntl",
    "disk_mapped",
    "comets",
    "netlink",
    "replace_stdout",
    "late_thread",
    "flood_between",
    "svg_comments",
    "html_broken",
    "json_wide_text",
    "multi_frames",
    "surrogate_source",
)


CHOSEN = [cell for cell in CELLS if cell["id"] in SHORT]


@pytest.fixture(scope="module")
def hostile_range(
    tmp_path_factory: pytest.TempPathFactory, isolation: Isolation
) -> Iterator[Range]:
    folder = tmp_path_factory.mktemp("h")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("APP_SECRET", "topsecret123")
        with Range(folder, isolation) as the_range:
            yield the_range


@pytest.mark.parametrize("cell", CHOSEN, ids=[cell["id"] for cell in CHOSEN])
def test_a_hostile_cell_breaks_nothing(hostile_range: Range, cell: Cell) -> None:
    (shot,) = hostile_range.shoot(cell)
    assert shot.complaints == [], f"after {shot.seconds:.1f} s: {shot.text[-2000:]}"
