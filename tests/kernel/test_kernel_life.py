"""What befalls a kernel between its cells: other threads, idleness, a full disk, sabotage."""

from __future__ import annotations

import asyncio
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from glmdemo.kernel import KernelPool, KernelSession, Limits, pool
from glmdemo.kernel.process import Kernel
from glmdemo.outputs import NoticeOutput, model_text
from glmdemo.sandbox import Isolation

pytestmark = pytest.mark.kernel


@pytest.fixture
def make_pool(tmp_path: Path, isolation: Isolation) -> Iterator[Callable[..., KernelPool]]:
    made: list[KernelPool] = []

    def make(**limits: float) -> KernelPool:
        made.append(KernelPool(Limits(**limits), runtime_parent=tmp_path, isolation=isolation))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close_all()


def said(session: KernelSession, code: str) -> str:
    return model_text(session.execute(code))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_kernel_outlives_the_thread_that_opened_it(
    make_pool: Callable[..., KernelPool],
) -> None:
    pool = make_pool()
    opener = threading.Thread(target=lambda: said(pool.open("a"), "x = 1"))
    opener.start()
    opener.join()
    time.sleep(0.3)
    assert said(pool.open("a"), "x") == "1"


def test_processes_that_a_cell_leaves_neither_crowd_the_machine_nor_print_later(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool(left_processes=3).open("a")
    few = "import subprocess\nleft = [subprocess.Popen(['sleep', '60'])]"
    ended = "for _ in range(9):\n    left.append(subprocess.Popen('true'))\nleft[-1].wait()"
    assert said(session, few) == ""
    assert said(session, f"{ended}\nimport time; time.sleep(0.3)") == ""
    talker = "import time\nwhile True: print('x', flush=True); time.sleep(0.05)"
    assert said(session, f"import sys\nsubprocess.Popen([sys.executable, '-c', {talker!r}])\n0")
    many = "more = [subprocess.Popen(['sleep', '60']) for _ in range(2)]"
    assert said(session, many).splitlines()[-1] == (
        "The code left more than 3 processes running. "
        "A new kernel takes over: variables are lost, files are kept."
    )
    assert said(session, "1 + 1") == "2"


def test_processes_that_end_as_fast_as_they_begin_are_a_crowd_too(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool(left_processes=20).open("a")
    churn = "while true; do (true); (true); (true); done"
    start = f"import subprocess\nfor _ in range(12): subprocess.Popen({churn!r}, shell=True)"
    assert "more than 20 processes" in said(session, f"{start}\nimport time; time.sleep(0.5)")
    assert said(session, "1 + 1") == "2"


def test_a_cell_whose_kernel_is_blocked_just_before_it_runs_in_a_new_one(
    make_pool: Callable[..., KernelPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_pool(begin_seconds=1, cell_seconds=20).open("a")
    said(session, "x = 1\nopen('kept', 'w').write('1')")
    block = "import asyncio, time\nasync def block(): time.sleep(600)\n"
    said(session, f"{block}loop = asyncio.get_running_loop()")
    check = Kernel.check

    async def check_and_block(kernel: Kernel) -> None:
        await check(kernel)
        kernel.execute("_ = loop.create_task(block())", silent=True)
        await asyncio.sleep(0.5)

    monkeypatch.setattr(Kernel, "check", check_and_block)
    began = time.monotonic()
    notice, *answer = session.execute("import os\n'x' in globals(), os.listdir()")
    assert time.monotonic() - began < 15
    assert isinstance(notice, NoticeOutput)
    assert notice.text == (
        "The kernel did not take up the cell. "
        "A new kernel takes over: variables are lost, files are kept."
    )
    assert model_text(answer) == "(False, ['kept'])"


def test_an_idle_kernel_is_closed_and_the_next_cell_says_so(
    make_pool: Callable[..., KernelPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CULL_INTERVAL", 0.05)
    session = make_pool(idle_seconds=0.3).open("a")
    said(session, "x = 1\nopen('kept', 'w').write('1')")
    wait_until(lambda: not session.running)
    answer = said(session, "import os\n'x' in globals(), os.listdir()")
    assert answer.startswith("The kernel was closed after a long idle time.")
    assert answer.endswith("(False, ['kept'])")


def test_the_kernel_with_the_largest_files_goes_when_the_disk_is_full(
    make_pool: Callable[..., KernelPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    small, large = pool.open("small"), pool.open("large")
    said(small, "x = 1")
    said(large, "open('large', 'wb').write(b'x' * (20 << 20))")
    wait_until(lambda: large.disk > small.disk)
    with monkeypatch.context() as patched:
        patched.setattr(psutil, "disk_usage", lambda _: types.SimpleNamespace(free=1))
        wait_until(lambda: not large.running)
    assert said(small, "x") == "1"
    assert "ran out of disk space" in said(large, "1")


def test_a_sabotaged_kernel_is_replaced_before_the_next_cell(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool(check_seconds=0.5).open("a")
    said(session, "get_ipython().run_cell = get_ipython().run_cell_async = lambda *a, **k: None")
    answer = said(session, "print(1 + 1)")
    assert answer.startswith("The code left the kernel unable to run another cell.")
    assert answer.endswith("2")


def test_a_kernel_that_is_about_to_exit_gets_no_other_cell(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool().open("a")
    app = "from ipykernel.kernelapp import IPKernelApp\nkernel = IPKernelApp.instance().kernel\n"
    assert said(session, f"{app}_ = kernel.do_shutdown(False)") == ""
    assert said(session, "print(1 + 1)").endswith("2")


def test_a_program_that_prints_without_end_does_not_silence_later_ones(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool(file_bytes=1 << 20).open("a")
    flood = said(session, "import os\nstatus = os.system('yes | head -c 3000000')")
    assert "The output was cut here" in flood
    assert "later" in said(session, "status = os.system('echo later; yes | head -c 200000')")


def test_a_kernel_that_floods_between_cells_is_ended(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool(stray_bytes=1 << 20).open("a")
    code = (
        "import threading\ndef flood():\n"
        "    while True: display({'text/plain': 'x' * 10000}, raw=True)\n"
        "threading.Thread(target=flood, daemon=True).start()"
    )
    list(session.execute(code))
    wait_until(lambda: not session.running)
    assert said(session, "1 + 1").startswith("The code went on sending messages")


def test_death_is_noticed_within_a_fifth_of_a_second(
    make_pool: Callable[..., KernelPool],
) -> None:
    session = make_pool().open("a")
    code = "import os, time\nopen('at', 'w').write(str(time.time()))\nos.kill(os.getpid(), 9)"

    def seconds_to_notice() -> float:
        outputs = list(session.execute(code))
        ended = time.time()
        (notice,) = (each.text for each in outputs if isinstance(each, NoticeOutput))
        assert "signal 9" in notice
        return ended - float((session.workdir / "at").read_text())

    # A busy machine may be late once; the design must not be.
    assert any(seconds_to_notice() < 0.2 for _ in range(5))
