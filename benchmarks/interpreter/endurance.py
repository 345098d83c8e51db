"""Whether kernels wear the application out: many cells, many starts, many sudden deaths."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import psutil

from benchmarks.interpreter.rows import Result, Setting
from glmdemo.kernel import KernelPool
from glmdemo.outputs import NoticeOutput, model_text
from glmdemo.sandbox.limits import MB
from glmdemo.sandbox.supervisor import descendants

TALK = "import time\nfor i in range(300):\n    print(i, flush=True); time.sleep(0.01)"
MOST_MEMORY = 20 * MB
MOST_FILES = 4
MOST_THREADS = 4
SLOWEST = 10.0  # seconds, for a cell of 3 s that may need another kernel first


class Growth:
    """Descriptors, threads and resident memory of this process, against an earlier moment."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._now()

    def result(self, work: str, failures: list[str]) -> Result:
        """The row's result. A few threads come once, when the loop first has work for them."""
        pairs = zip(self._now(), self._before, strict=True)
        files, threads, memory = (after - before for after, before in pairs)
        failures += ["descriptors grow"] * (files > MOST_FILES)
        failures += ["threads grow"] * (threads > MOST_THREADS)
        failures += ["memory grows"] * (memory >= MOST_MEMORY)
        text = f"descriptors {files:+d}, threads {threads:+d}, memory {memory / MB:+.1f} MB"
        return Result(f"{work}; {text}", tuple(failures))

    def _now(self) -> tuple[int, int, int]:
        process = self._process
        return process.num_fds(), process.num_threads(), process.memory_info().rss


def many_cells(setting: Setting, count: int) -> Result:
    """`count` cells in one conversation."""
    with setting.pool() as pool:
        session = pool.open("cells")
        for _ in range(20):
            list(session.execute("print(1)"))
        growth = Growth()
        wrong = sum(
            model_text(session.execute(f"print({i})\n{i} + 1")) != f"{i}\n{i + 1}"
            for i in range(count)
        )
        return growth.result(f"{count} cells, {wrong} wrong", ["wrong answers"] * (wrong > 0))


def many_cycles(setting: Setting, count: int) -> Result:
    """`count` kernels, started and closed one after the other."""
    with setting.pool() as pool:
        for i in range(3):
            _cycle(pool, f"warm {i}")
        growth = Growth()
        wrong = sum(not _cycle(pool, str(i)) for i in range(count))
        left = len(descendants(os.getpid()))
        failures = ["wrong answers"] * (wrong > 0) + ["processes are left"] * (left > 0)
        return growth.result(f"{count} starts and ends, {wrong} wrong, {left} left", failures)


def _cycle(pool: KernelPool, name: str) -> bool:
    answer = model_text(pool.open(name).execute("print(6 * 7)"))
    pool.close(name)
    return answer == "42"


def many_deaths(setting: Setting, count: int) -> Result:
    """A kernel killed `count` times, at random moments while it streams.

    A kernel that dies before it has taken up its cell is replaced, and the cell runs to its end.
    """
    failures: list[str] = []
    ends, answers = [0.0], [0.0]
    with setting.pool() as pool:
        session = pool.open("deaths")
        (session.workdir / "kept").write_text("1")
        list(session.execute("1"))
        for number in range(count):
            killer = threading.Timer(setting.dice.uniform(0, 0.5), _kill_innermost)
            began = time.monotonic()
            killer.start()
            shown = list(session.execute(TALK))
            ended = time.monotonic()
            killer.join()
            answer = model_text(session.execute("import os\nos.path.exists('kept')"))
            ends.append(ended - began)
            answers.append(time.monotonic() - ended)
            sentences = [output.text for output in shown if isinstance(output, NoticeOutput)]
            found = f"{number}: {ends[-1]:.1f} s, then {answers[-1]:.1f} s; {sentences}, {answer!r}"
            setting.tell(found)
            if max(ends[-1], answers[-1]) > SLOWEST or len(sentences) != 1 or answer != "True":
                failures.append(found)
    text = (
        f"{count} deaths, {len(failures)} ended late, without one sentence or broken; cells ended "
        f"after {max(ends):.1f} s, the next after {max(answers):.1f} s at most"
    )
    return Result(text, tuple(failures))


def _kill_innermost() -> None:
    """Kill the kernel's own process: the end of the chain below this one, once there is one."""
    pid = own = os.getpid()
    while pid == own:
        with contextlib.suppress(psutil.NoSuchProcess):
            while below := psutil.Process(pid).children():
                pid = below[-1].pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
