"""The application ended in every way at every moment: nothing of it may stay behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.interpreter.rows import Result, Setting, wait_until
from glmdemo.config import PROJECT_ROOT
from glmdemo.sandbox.room import RuntimeDir
from glmdemo.sandbox.supervisor import descendants

MOMENTS = ("starting", "idle", "streaming", "subprocesses", "closing")
WAYS = ("TERM", "KILL", "segfault")
SECONDS_TO_DIE = 10.0

# The application: comes to the moment, says so, and goes on until it is ended.
APPLICATION = """
import ctypes, sys, threading, time
from pathlib import Path
from glmdemo.kernel import KernelPool
from glmdemo.sandbox import Isolation

STREAM = "import time\\nwhile True: print('x', flush=True); time.sleep(0.01)"
PROCESSES = '''
import os, subprocess
for number in range(5):
    subprocess.Popen(["sleep", "600"])
    if os.fork() == 0:
        os.setsid()
        while True: os.getpid()
print("busy", flush=True)
while True: pass
'''

def crash_on_request():
    if sys.stdin.readline():
        ctypes.string_at(0)

folder, tier, moment = sys.argv[1:]
threading.Thread(target=crash_on_request, daemon=True).start()
pool = KernelPool(runtime_parent=Path(folder), isolation=Isolation(tier))
session = pool.open("a")
if moment == "starting":
    print("now", flush=True)
    outputs = session.execute("1")
elif moment == "streaming":
    next(outputs := session.execute(STREAM))
elif moment == "subprocesses":
    next(outputs := session.execute(PROCESSES))
else:
    outputs = session.execute("1")
for _ in () if moment in ("streaming", "subprocesses") else outputs:
    pass
print("now", flush=True)
if moment == "closing":
    pool.close("a")
    pool.close_all()
time.sleep(600)
"""


def application_ends(setting: Setting, count: int) -> Result:
    """Each moment `count` times, the ways in turn."""
    left: list[str] = []
    cases = itertools.islice(_cases(), count * len(MOMENTS))
    for number, (moment, way) in enumerate(cases, 1):
        found = _end_once(setting, moment, way)
        setting.tell(f"{number} {way} while {moment}: {found or 'nothing left'}")
        if found:
            left.append(f"{way} while {moment}: {found}")
    text = f"{count * len(MOMENTS)} ends at {len(MOMENTS)} moments: {len(left)} left something"
    return Result(text, tuple(left))


def _cases() -> Iterator[tuple[str, str]]:
    ways = itertools.cycle(WAYS)
    while True:
        for moment in MOMENTS:
            yield moment, next(ways)


def _end_once(setting: Setting, moment: str, way: str) -> str:
    """What was left of an application that was ended so; "" when nothing was."""
    folder = setting.folder / "ends"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", APPLICATION, str(folder), setting.isolation.tier, moment]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=PROJECT_ROOT,
    ) as application:  # fmt: skip
        assert application.stdin is not None
        assert application.stdout is not None
        application.stdout.readline()
        time.sleep(setting.dice.uniform(0, 0.3 if moment in ("starting", "closing") else 0.05))
        family = descendants(application.pid)
        if way == "segfault":
            application.stdin.write(b"\n")
            application.stdin.flush()
        else:
            os.kill(application.pid, signal.Signals[f"SIG{way}"])
        application.wait(SECONDS_TO_DIE)
    if not wait_until(lambda: not _alive(family, folder), SECONDS_TO_DIE):
        return f"{len(_alive(family, folder))} processes"
    next_start = RuntimeDir(folder)
    try:
        directories = list(next_start.path.parent.glob("run-*"))
        return "" if directories == [next_start.path] else f"{len(directories) - 1} directories"
    finally:
        next_start.close()


def _alive(family: list[int], folder: Path) -> list[int]:
    """Processes of `family`, zombies too, and all others that were started for `folder`."""
    found = [pid for pid in family if psutil.pid_exists(pid)]
    for process in psutil.process_iter(["cmdline"]):
        if str(folder) in " ".join(process.info["cmdline"] or ()):
            found.append(process.pid)
    return found
