"""A shooting range for hostile cells: secrets, listeners, a neighbour, and the checks after."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from glmdemo.config import PROJECT_ROOT
from glmdemo.kernel import KernelPool, KernelSession, Limits
from glmdemo.outputs import (
    ClearOutput,
    ErrorOutput,
    ImageOutput,
    NoticeOutput,
    Output,
    TextOutput,
    model_text,
)
from glmdemo.sandbox import Isolation
from glmdemo.sandbox.limits import MB
from glmdemo.sandbox.supervisor import descendants
from glmdemo.sandbox.tally import proportional_memory
from glmdemo.sandbox.trees import usage

Cell = dict[str, Any]
CELLS: list[Cell] = [
    cell
    for name in ("hostile_cells.json", "hostile_cells_own.json")
    for cell in json.loads((PROJECT_ROOT / "tests" / "data" / name).read_text())["cells"]
]
CANARIES = ("CANARY-SECRET-1", "CANARY-OTHER-1", "topsecret123")
SLACK = 512 * MB


@dataclass
class Shot:
    """What one hostile cell showed, how long it took, and what was wrong about it."""

    cell: Cell
    outputs: list[Output] = field(default_factory=list)
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return model_text(self.outputs)

    @property
    def said(self) -> str:
        """The text without tracebacks, which quote the cell's own source."""
        return model_text(
            TextOutput(f"{o.name}: {o.message}") if isinstance(o, ErrorOutput) else o
            for o in self.outputs
        )

    @property
    def notices(self) -> str:
        return " ".join(o.text for o in self.outputs if isinstance(o, NoticeOutput))


class Range:
    """Everything that a hostile cell is pointed at. Use as a context manager."""

    def __init__(self, folder: Path, isolation: Isolation) -> None:
        self._folder, self._isolation = folder, isolation
        self.hits: list[str] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Range:
        secret = self._folder / "secret.txt"
        secret.write_text(CANARIES[0])
        secret.chmod(0o600)
        self._sleeper = subprocess.Popen(["/bin/sleep", "9999"])
        self._open.callback(self._end_sleeper)
        pool = self._pool(10)
        neighbour = self._open.enter_context(pool).open("neighbour")
        list(neighbour.execute("x = 42"))
        other = neighbour.workdir / "other.txt"
        other.write_text(CANARIES[1])
        self.neighbour = neighbour
        abstract = f"glm-range-{os.getpid()}"
        self.targets: dict[str, Any] = {
            "SECRET_PATH": str(secret),
            "OTHER_DIR": str(neighbour.workdir),
            "HOST_PID": self._sleeper.pid,
            "APP_PID": os.getpid(),
            "TCP_PORT": self._listen(socket.AF_INET, ("127.0.0.1", 0), "tcp"),
            "SOCK_PATH": str(self._folder / "app.sock"),
            "ABSTRACT": abstract,
            "UDP_PORT": self._listen_udp(),
        }
        self._listen(socket.AF_UNIX, self.targets["SOCK_PATH"], "unix")
        self._listen(socket.AF_UNIX, f"\0{abstract}", "abstract")
        self._watched = (secret, other, Path(sys.executable), Path(os.__file__))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def shoot(self, *cells: Cell) -> list[Shot]:
        """Run each cell in a fresh conversation, all at once, and check what must stay true."""
        self.hits.clear()
        hosts = self._host_state()
        before = set(descendants(os.getpid()))
        shots = [Shot(cell) for cell in cells]
        limit = max(cell["timeout_s"] for cell in cells)
        with self._pool(limit) as pool:
            sessions = [pool.open(str(number)) for number in range(len(cells))]
            for session in sessions:
                (session.workdir / "keep.txt").write_text("k")
                list(session.execute("1"))
            with Consumption(before, [session.workdir for session in sessions]) as taken:
                _at_once(self._fire, zip(shots, sessions, strict=True))
            shots[0].complaints += taken.complaints()
            for shot in shots:
                shot.complaints += ["took too long"] * (shot.seconds > limit + 10)
            _at_once(self._check, zip(shots, sessions, strict=True))
            self._check_neighbour(shots[0])
        for shot, session in zip(shots, sessions, strict=True):
            shot.complaints += ["its work directory is left"] * session.workdir.exists()
        if not _soon(lambda: set(descendants(os.getpid())) <= before):
            shots[0].complaints.append("processes are left")
        changes = [
            pair for pair in zip(hosts, self._host_state(), strict=True) if len(set(pair)) > 1
        ]
        shots[0].complaints += [f"the host was changed: {changes}"] * bool(changes)
        if self.hits:
            shots[0].complaints.append(f"the host was reached by {set(self.hits)}")
        return shots

    def _pool(self, seconds: float) -> KernelPool:
        limits = Limits(cell_seconds=seconds)
        return KernelPool(limits, runtime_parent=self._folder, isolation=self._isolation)

    def _fire(self, shot: Shot, session: KernelSession) -> None:
        began = time.monotonic()
        shot.outputs += session.execute(self._aim(shot.cell["code"]))
        shot.seconds = time.monotonic() - began

    def _check(self, shot: Shot, session: KernelSession) -> None:
        self._check_expected(shot)
        self._check_usable(session, shot)

    def _check_expected(self, shot: Shot) -> None:
        complaints, expect = shot.complaints, shot.cell["expect"]
        erred = any(isinstance(o, ErrorOutput) for o in shot.outputs)
        right = {
            "any": True,
            "ok": not erred and not shot.notices,
            "error": erred,
            "timeout": "time limit" in shot.notices,
            "died": "The kernel died" in shot.notices,
        }[expect["kind"]]
        if not right:
            complaints.append(f"not {expect['kind']}")
        complaints += [f"missing {s!r}" for s in expect["contains"] if s not in shot.said]
        complaints += [f"present {s!r}" for s in expect["absent"] if s in shot.said]
        complaints += [f"present {s!r}" for s in CANARIES if s in shot.text]
        complaints += ["control characters"] * bool(re.search("[\x00\x07\x08\x1b\x7f]", shot.text))
        text = sum(
            len(o.text) for o in shot.outputs if not isinstance(o, ImageOutput | ClearOutput)
        )
        complaints += ["shows too much"] * (text > 112_000)
        pictures = sum(len(o.data) for o in shot.outputs if isinstance(o, ImageOutput))
        complaints += ["shows too many pictures"] * (pictures > Limits().image_bytes)

    def _check_usable(self, session: KernelSession, shot: Shot) -> None:
        began = time.monotonic()
        if not model_text(session.execute("print(1 + 1)")).endswith("2"):
            shot.complaints.append("the next cell does not work")
        if time.monotonic() - began > 30:
            shot.complaints.append("the next cell takes too long")
        if shot.cell["id"] != "rm_rf_root" and not (session.workdir / "keep.txt").exists():
            shot.complaints.append("an earlier file is lost")
        if then := shot.cell.get("then"):
            if then.get("restart"):
                session.restart()
            text = model_text(session.execute(then["code"]))
            shot.complaints += [f"then misses {s!r}" for s in then["contains"] if s not in text]

    def _check_neighbour(self, shot: Shot) -> None:
        began = time.monotonic()
        if model_text(self.neighbour.execute("print(x)")) != "42":
            shot.complaints.append("the neighbour's conversation was disturbed")
        if time.monotonic() - began > 5:
            shot.complaints.append("the neighbour's conversation had to wait")

    def _aim(self, code: str) -> str:
        def fill(match: re.Match[str]) -> str:
            if match[1] not in self.targets:
                return match[0]
            value = self.targets[match[1]]
            return repr(value) if match[2] else str(value)

        return re.sub(r"\{([A-Z_]+)(!r)?\}", fill, code)

    def _host_state(self) -> list[object]:
        """What no cell may change: files, and how the processes outside run."""
        found = [path.stat() for path in self._watched]
        files = [(each.st_size, each.st_mode, each.st_mtime) for each in found]
        processes = [
            (
                os.sched_getscheduler(pid),
                os.getpriority(os.PRIO_PROCESS, pid),
                resource.prlimit(pid, resource.RLIMIT_CPU),
                psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE),
            )
            for pid in (os.getpid(), self._sleeper.pid)
        ]
        return [*files, *processes]

    def _listen(self, family: int, address: Any, name: str) -> int:
        server = self._open.enter_context(socket.socket(family))
        server.bind(address)
        server.listen()
        self._serve(server, name, lambda: server.accept()[0].close())
        return server.getsockname()[1] if family == socket.AF_INET else 0

    def _listen_udp(self) -> int:
        server = self._open.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind(("127.0.0.1", 0))
        self._serve(server, "udp", lambda: server.recv(100))
        return server.getsockname()[1]

    def _serve(self, server: socket.socket, name: str, take: Callable[[], object]) -> None:
        def serve() -> None:
            server.settimeout(0.2)
            while True:
                try:
                    take()
                except TimeoutError:
                    continue
                except OSError:
                    return  # the range was closed
                self.hits.append(name)

        threading.Thread(target=serve, daemon=True).start()

    def _end_sleeper(self) -> None:
        self._sleeper.kill()
        self._sleeper.wait()


class Consumption:
    """What our new processes take, at most, while this is entered. Sampled every 50 ms."""

    def __init__(self, others: set[int], workdirs: list[Path]) -> None:
        self._others, self._workdirs = others, workdirs
        self._app = psutil.Process()
        self._rss = self._app.memory_info().rss
        self._memory = self._disk = self._growth = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> Consumption:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def complaints(self) -> list[str]:
        count, limits = len(self._workdirs), Limits()
        growth = self._growth > count * 200 * MB
        return [
            *["took too much memory"] * (self._memory > count * (limits.total_memory + SLACK)),
            *["took too much disk"] * (self._disk > count * (limits.disk_bytes + SLACK)),
            *["made the application grow"] * growth,
        ]

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            family = [pid for pid in descendants(os.getpid()) if pid not in self._others]
            self._memory = max(self._memory, proportional_memory(family))
            disk = sum(usage(workdir, 10_000).size for workdir in self._workdirs)
            self._disk = max(self._disk, disk)
            self._growth = max(self._growth, self._app.memory_info().rss - self._rss)


def _at_once(work: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> None:
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, *each) for each in arguments]:
            done.result()


def _soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 3
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
