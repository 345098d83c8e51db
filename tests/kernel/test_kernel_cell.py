"""The run of one cell, against a kernel that is only a list of messages."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from glmdemo.kernel import cell
from glmdemo.kernel.cell import Cell
from glmdemo.kernel.channels import KernelMessage
from glmdemo.outputs import NoticeOutput, Output, TextOutput
from glmdemo.sandbox.limits import Limits

CELL = "cell-2"
FAST = Limits(cell_seconds=0.2, grace_seconds=0.2)


def message(kind: str, parent: str = CELL, **content: Any) -> KernelMessage:
    return KernelMessage(kind, parent, content)


def stream(text: str, parent: str = CELL) -> KernelMessage:
    return message("stream", parent, name="stdout", text=text)


IDLE = message("status", execution_state="idle")
REPLY = message("execute_reply", status="ok")
BEGIN = (message("status", execution_state="busy"), message("execute_input", code=""))


class FakeKernel:
    """Plays `script` when a cell is executed; `on_interrupt` when it is interrupted."""

    def __init__(
        self, *script: KernelMessage, on_interrupt: tuple[KernelMessage, ...] = ()
    ) -> None:
        self.listener: Callable[[KernelMessage], None] = lambda _: None
        self.death = ""
        self.alive = True
        self.exit_code: int | None = None
        self.garbage = 0
        self.interrupts = self.reconnects = 0
        self._script, self._on_interrupt = script, on_interrupt

    def execute(self, code: str) -> str:
        asyncio.get_running_loop().call_soon(self._play, self._script)
        return CELL

    def interrupt(self) -> None:
        self.interrupts += 1
        self._play(self._on_interrupt)

    def reconnect(self) -> None:
        self.reconnects += 1

    def kill(self, death: str) -> None:
        self.die(137, death)

    def die(self, code: int, death: str = "") -> None:
        self.alive, self.exit_code, self.death = False, code, self.death or death

    def _play(self, messages: tuple[KernelMessage, ...]) -> None:
        for each in messages:
            self.listener(each)


def attempt(
    kernel: FakeKernel, limits: Limits = FAST, stopped: bool = False, patience: float = 30
) -> tuple[list[Output], bool]:
    """What was shown, and whether the kernel began the cell."""
    shown: list[Output] = []
    stop = threading.Event()
    if stopped:
        stop.set()

    async def play() -> bool:
        return await Cell(kernel, "code", limits, shown.append, stop, patience).run()

    return shown, asyncio.run(play())


def run(kernel: FakeKernel, limits: Limits = FAST, stopped: bool = False) -> list[Output]:
    shown, began = attempt(kernel, limits, stopped)
    assert began
    return shown


def test_only_messages_of_this_cell_count() -> None:
    kernel = FakeKernel(
        stream("the cell before", parent="cell-1"),
        message("status", parent="cell-1", execution_state="idle"),
        message("execute_reply", parent="cell-1", status="ok"),
        *BEGIN,
        stream("mine"),
        REPLY,
        IDLE,
    )
    assert run(kernel) == [TextOutput("mine")]


def test_outputs_between_the_reply_and_idle_are_kept() -> None:
    kernel = FakeKernel(*BEGIN, REPLY, stream("late"), IDLE)
    assert run(kernel) == [TextOutput("late")]


def test_a_forged_idle_status_does_not_end_the_cell() -> None:
    kernel = FakeKernel(*BEGIN, IDLE, stream("real end"), REPLY)
    assert run(kernel) == [TextOutput("real end")]


def test_an_endless_cell_is_interrupted_with_one_notice() -> None:
    kernel = FakeKernel(*BEGIN, stream("a"), on_interrupt=(REPLY, IDLE))
    shown = run(kernel)
    assert shown[0] == TextOutput("a")
    assert [o.text for o in shown[1:]] == [
        "The cell was stopped at its time limit of 0.2 s. Variables are kept."
    ]
    assert kernel.interrupts == 1
    assert kernel.alive


def test_a_cell_that_ignores_interrupts_is_killed_in_time() -> None:
    kernel = FakeKernel(*BEGIN)
    began = time.monotonic()
    (notice,) = run(kernel)
    assert time.monotonic() - began < 2
    assert isinstance(notice, NoticeOutput)
    assert "did not react" in notice.text
    assert "variables are lost, files are kept" in notice.text


def test_an_interrupt_waits_until_the_kernel_has_taken_up_the_cell() -> None:
    kernel = FakeKernel()
    run(kernel, Limits(cell_seconds=60, grace_seconds=0.3), stopped=True)
    assert kernel.interrupts == 1, "only the late one, sent because nothing came at all"


def test_a_kernel_that_does_not_begin_the_cell_is_killed() -> None:
    kernel = FakeKernel(stream("a late thread", parent="cell-1"))
    assert attempt(kernel, patience=0.2) == ([], False)
    assert not kernel.alive
    assert "did not take up the cell" in kernel.death
    assert kernel.death.endswith("variables are lost, files are kept.")


def test_the_wait_for_a_slow_kernel_is_no_part_of_the_time_limit() -> None:
    class SlowKernel(FakeKernel):
        def execute(self, code: str) -> str:
            asyncio.get_running_loop().call_later(0.5, self._play, self._script)
            return CELL

    kernel = SlowKernel(*BEGIN, stream("mine"), REPLY, IDLE)
    assert run(kernel, Limits(cell_seconds=0.2)) == [TextOutput("mine")]


def test_a_cell_that_exits_ends_the_kernel_with_a_notice() -> None:
    payload = [{"source": "ask_exit", "keepkernel": False}]
    kernel = FakeKernel(*BEGIN, message("execute_reply", status="ok", payload=payload), IDLE)
    (notice,) = run(kernel)
    assert "The code ended the kernel." in notice.text  # type: ignore[union-attr]
    assert not kernel.alive


def test_a_stopped_cell_says_so_and_keeps_its_variables() -> None:
    kernel = FakeKernel(*BEGIN, on_interrupt=(REPLY, IDLE))
    assert run(kernel, stopped=True) == [NoticeOutput("The cell was stopped. Variables are kept.")]


def test_death_is_announced_and_the_last_words_are_shown() -> None:
    kernel = FakeKernel(*BEGIN, stream("last words"))
    kernel.die(137)
    shown = run(kernel)
    assert shown[0] == TextOutput("last words")
    assert "The kernel died (signal 9)." in shown[1].text  # type: ignore[union-attr]


def test_garbage_ends_the_kernel() -> None:
    kernel = FakeKernel(*BEGIN)
    kernel.garbage = 21
    (notice,) = run(kernel)
    assert "cannot be read" in notice.text  # type: ignore[union-attr]


def test_a_lost_idle_status_costs_seconds_not_the_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cell, "_LATE_SECONDS", 0.2)
    kernel = FakeKernel(*BEGIN, REPLY)
    (notice,) = run(kernel, Limits(cell_seconds=30))
    assert "is lost" in notice.text  # type: ignore[union-attr]
    assert kernel.reconnects == 1


def test_outputs_that_a_busy_machine_delays_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "_LATE_SECONDS", 1.0)

    class SlowKernel(FakeKernel):
        def execute(self, code: str) -> str:
            loop = asyncio.get_running_loop()
            for number, late in enumerate((stream("late"), stream(" and later"), IDLE), 1):
                loop.call_later(0.5 * number, self._play, (late,))
            return super().execute(code)

    kernel = SlowKernel(*BEGIN, REPLY)
    shown = run(kernel, Limits(cell_seconds=30))
    assert shown == [TextOutput("late"), TextOutput(" and later")]
    assert kernel.reconnects == 0


def test_malformed_content_shows_nothing_and_ends_well() -> None:
    kernel = FakeKernel(
        *BEGIN,
        message("stream", text=None),
        message("display_data", data=[1, 2]),
        message("display_data", data={"image/png": 12, "text/plain": {}}),
        message("display_data", data={"text/plain": "x"}, transient=7),
        message("error", traceback=3),
        message("status", execution_state=7),
        message("clear_output", wait="yes"),
        message("execute_reply", payload=7),
        message("unheard_of"),
        REPLY,
        IDLE,
    )
    kinds = [type(output).__name__ for output in run(kernel)]
    assert kinds == ["TextOutput", "ErrorOutput", "ClearOutput"]
