"""The acceptance set itself is right: its items are well formed and can be passed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from solutions import called, said, solutions

from glmdemo.clients.scripted import ScriptedClient
from glmdemo.messages import PYTHON_TOOL, Message, Role, ToolCall
from glmdemo.outputs import ErrorOutput, ImageOutput, Output, TextOutput
from glmdemo.tools.arguments import bind_arguments, function_schema
from training.acceptance.cells import open_cells
from training.acceptance.figures import ROWS, details, language_score
from training.acceptance.items import (
    Answer,
    Call,
    Code,
    Item,
    ItemError,
    load_items,
    read_items,
)
from training.acceptance.judge import malformed, numbers_in, quotes, right_answer, right_output
from training.acceptance.passing import PER_GROUP, choose_passing, read_passing, write_passing
from training.acceptance.play import Outcome, play
from training.acceptance.report import make_report, markdown
from training.card import measure_and_write
from training.checkpoints import write_lineage

ITEMS = load_items()
RUN_ALL = """
import contextlib, io, json, os, sys, tempfile
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
results = {}
for name, (cell, files) in json.load(sys.stdin).items():
    printed, error = io.StringIO(), ""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for file, text in files.items():
            open(file, "w", encoding="utf-8").write(text)
        with contextlib.redirect_stdout(printed):
            try:
                exec(cell, {})
            except Exception as raised:
                error = repr(raised)
        os.chdir("/")
    results[name] = printed.getvalue(), error, bool(plt.get_fignums())
    plt.close("all")
json.dump(results, sys.stdout)
"""


def _run_all(cells: dict[str, tuple[str, dict[str, str]]]) -> dict[str, tuple[str, str, bool]]:
    """(printed, error, whether a figure is open) of every cell; our own code, in one process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_ALL],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: tuple(result) for name, result in json.loads(done.stdout).items()}


def _item(name: str) -> Item:
    return next(item for item in ITEMS if item.name == name)


def test_the_set_is_large_and_balanced() -> None:
    kinds = {
        (mode, language): Counter(
            item.kind for item in ITEMS if (item.mode, item.language) == (mode, language)
        )
        for mode in ("tool", "code", "chat")
        for language in ("en", "zh")
    }
    assert len(ITEMS) >= 220
    for mode in ("tool", "code", "chat"):
        assert kinds[mode, "en"] == kinds[mode, "zh"]
    assert len({item.name for item in ITEMS}) == len(ITEMS)
    asked = [item.steps[0].user for item in ITEMS if item.steps[0].user]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("item", [i for i in ITEMS if i.mode == "tool"], ids=lambda i: i.name)
def test_expected_calls_fit_their_tools_and_stand_in_the_request(item: Item) -> None:
    schemas = {function_schema(tool)["name"]: tool for tool in item.tools}
    for step in item.steps:
        if not isinstance(step.expected, Call):
            continue
        wanted = step.expected
        assert bind_arguments(schemas[wanted.name], wanted.arguments).items() >= (
            wanted.arguments.items()
        )
        for value in wanted.arguments.values():
            assert isinstance(value, bool) or str(value) in str(step.user), value


def test_reference_cells_give_the_wanted_result_and_those_to_repair_fail() -> None:
    wanted = {
        f"{item.name} {number}": (step.expected, dict(item.files or {}))
        for item in ITEMS
        for number, step in enumerate(item.steps)
        if isinstance(step.expected, Code)
    }
    cells = {name: (code.reference, files) for name, (code, files) in wanted.items()}
    broken = {i.name: (i.history[-1][1], dict(i.files or {})) for i in ITEMS if i.history}
    assert len(broken) >= 8
    results = _run_all({**cells, **broken})
    for name, (code, _) in wanted.items():
        printed, error, drawn = results[name]
        assert not error, name
        outputs: tuple[Output, ...] = (ImageOutput(b""),) if drawn else (TextOutput(printed),)
        assert right_output(Message(Role.OBSERVATION, printed, outputs=outputs), code), name
    for name in broken:
        assert results[name][1], name


@pytest.mark.parametrize("item", [i for i in ITEMS if i.mode != "code"], ids=lambda i: i.name)
def test_solutions_pass_and_nonsense_does_not(item: Item) -> None:
    outcomes = play(item, ScriptedClient(solutions(item)), None)
    assert [outcome.right for outcome in outcomes] == [True] * len(item.steps)
    assert not any(outcome.malformed for outcome in outcomes)
    nonsense = [called("nothing_like_it", a=1)] * len(item.steps)
    outcomes = play(item, ScriptedClient(nonsense), None)
    assert not any(outcome.right for outcome in outcomes)
    assert all(outcome.malformed for outcome in outcomes)


@pytest.mark.kernel
def test_code_items_run_in_a_real_kernel_that_is_cleared_between_them() -> None:
    names = ["code.en.wrong-name", "code.zh.csv-mean", "code.en.bars", "code.zh.sum-then-min"]
    with open_cells() as cells:
        for name in names:
            item = _item(name)
            outcomes = play(item, ScriptedClient(solutions(item)), cells)
            assert all(outcome.right for outcome in outcomes), name
        item = _item("code.en.csv-sum")
        missing = replace(item, files={})
        broken = [*solutions(item)[:1], said("I do not know.")]
        outcomes = play(missing, ScriptedClient(broken), cells)
        assert [outcome.right for outcome in outcomes] == [False, False]


def test_what_counts_as_malformed() -> None:
    tools = _item("tool.en.tide").tools
    good = {"port_name": "Ems", "day": "2027-01-01"}
    assert not malformed(called("tide_lookup_v2", **good), tools)
    assert not malformed(said("Hello"), tools)
    assert malformed(called("tide_lookup", **good), tools)
    assert malformed(called("tide_lookup_v2", port_name="Ems"), tools)
    assert malformed(called("tide_lookup_v2", **good, more=1), tools)
    unreadable = ToolCall("1", "tide_lookup_v2", good, error="no JSON")
    assert malformed(Message(Role.ASSISTANT, "", tool_calls=(unreadable,)), tools)


def test_what_counts_as_right() -> None:
    wanted = Code("", any_number=(3.578,), tolerance=0.01)
    assert right_output(Message(Role.OBSERVATION, "3.5777087639831554\n"), wanted)
    failed = Message(Role.OBSERVATION, "3.578", outputs=(ErrorOutput("E", "3.578"),))
    assert not right_output(failed, wanted)
    assert quotes(said("结果是3.58。"), failed, wanted)
    assert not quotes(said("结果是13.58。"), failed, wanted)
    assert not quotes(called(PYTHON_TOOL, code="print(3.578)"), failed, wanted)
    listed = Code("", texts=("4, 13, 29",))
    assert right_output(Message(Role.OBSERVATION, "4 13 29\n"), listed)
    assert not right_output(Message(Role.OBSERVATION, "4, 1329"), listed)
    assert set(numbers_in("1,234 and -2, x3 4.5。6")) == {1, 234, 1234, -2, 4.5, 6}
    assert right_answer(said("So: A-1, Yes"), Answer(("A-1",), ("yes",), ("no.",)))
    assert not right_answer(said("a-1 yes"), Answer(("A-1",)))
    assert not right_answer(said("  "), Answer())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("items: [{id: a, kind: k, stepz: []}]", "unknown keys stepz"),
        ("items: [{id: a, kind: k, tools: [x], steps: []}]", "'x' is missing or unknown"),
        ("items: [{id: a, kind: k, steps: [{user: u}]}]", "exactly one thing"),
        ("items: [{id: a, kind: k, steps: [{no_call: true}]}]", "the user must speak"),
        (
            "items: [{id: a, kind: k, steps: [{user: u, code: {figure: true}, reference: r}]}]",
            "ends without an answer",
        ),
        (
            "items: [{id: a, kind: k, steps: "
            "[{user: u, call: x, arguments: {d: 2027-01-05}, observation: o}]}]",
            "arguments must be",
        ),
        ("items: [{id: a, kind: k, steps: [{user: u, answer: {all: [7]}}]}]", "quote numbers"),
    ],
)
def test_a_wrong_item_is_named(text: str, says: str) -> None:
    with pytest.raises(ItemError, match=says):
        read_items(text, "chat", "en")


def _played(names: list[str], wrong: str = "") -> list[Outcome]:
    outcomes = []
    for name in names:
        replies = solutions(_item(name))
        if name == wrong:
            replies[0] = said("What?")
        outcomes += play(_item(name), ScriptedClient(replies), None)
    return outcomes


def test_figures_count_what_they_name() -> None:
    names = ["tool.en.tide", "tool.zh.clinic", "tool.en.app-clock", "tool.en.thanks"]
    outcomes = _played(names, wrong="tool.en.tide")
    scores = {row.name.split(" ")[1]: row.score(outcomes) for row in ROWS[:4]}
    assert scores == {"first": (1, 2), "the": (1, 1), "answer": (3, 3), "no": (1, 1)}
    assert ROWS[4].score(outcomes) == (0, 4)
    assert language_score(outcomes, "tool", "en") == (2, 3)
    assert details(outcomes)["tool · single · call"] == (1, 2)
    chat = _played(["chat.en.name-memory", "chat.zh.hello"], wrong="chat.en.name-memory")
    assert ROWS[-2].score(chat) == (2, 2)  # "What?" is fine after an introduction
    machine = {"processors": 2, "threads": 1, "load": 0.0, "load_seconds": 1.0}
    info = ScriptedClient([]).info
    report = make_report({"guided": outcomes + chat, "free": chat}, info, machine)
    assert "| 50% (1/2) | none asked |" in markdown(json.loads(json.dumps(report)))


def test_the_guarded_subset_holds_what_passed_in_all_runs(tmp_path: Path) -> None:
    names = [item.name for item in ITEMS if item.mode == "tool" and item.language == "en"]
    good, mixed = _played(names), _played(names, wrong=names[0])
    write_passing(choose_passing([good, mixed]), tmp_path / "passing.yaml")
    kept = read_passing(tmp_path / "passing.yaml")
    assert len(kept) == PER_GROUP
    assert names[0] not in {item.name for item in kept}
    assert len({item.kind for item in kept}) == PER_GROUP


def test_the_card_keeps_what_each_run_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"ended": "today", "parameters": 3e6, "tokens": 5e6, "step": 7, "seconds": 60}
    write_lineage([{**run, "reached": {"chat": [1, 4]}}, run], tmp_path)
    (tmp_path / "config.json").write_text('{"glmdemo_family": "glm4-brief"}', encoding="utf-8")
    rows = [row_of("tool: first call", "first call", (3, 4)), row_of("malformed", "", (0, 4))]
    report = {"rows": rows, "details": {"guided": {}}, "date": "today", "commit": ""}
    monkeypatch.setattr("training.evaluate.measure", lambda model: ({}, report))
    monkeypatch.setattr("training.card.markdown", lambda report: "")
    monkeypatch.setattr("training.evaluate_generated.measure", lambda model: ({}, 0.75))
    measure_and_write(tmp_path)
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| 7 | 1 | 25% (1/4) |  |" in card
    assert "| 7 | 1 |  | 75% (3/4) |" in card
    assert "`glm4-brief`" in card
    assert "| copy probe | 0.99 | 0.750 |" in card


def row_of(name: str, short: str, score: tuple[int, int]) -> dict[str, Any]:
    return {"name": name, "short": short, "scores": {"guided": score}}
