"""The generator: seeded, true to its schemas, real observations."""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from glmdemo.messages import PYTHON_TOOL, Message, Role
from training.generator import code_plots
from training.generator.cells import IMAGE, error_of, run_cell
from training.generator.draw import Draw
from training.generator.lexicon import Lang, phrases
from training.generator.mistakes import with_mistake
from training.generator.mix import sample
from training.generator.row import Row, is_mistaken, random_draw
from training.generator.templates import choose, fill
from training.generator.tools import branched_row, tool_row
from training.generator.wording import noisy
from training.own_items import quoted_values

LANGS: tuple[Lang, ...] = ("en", "zh")
_SLOT = re.compile(r"<(\w+)>")


def rows(count: int, seed: int = 0, mode: str | None = None) -> list[Row]:
    draw = Draw(random.Random(seed))
    return [sample(draw, mode) for _ in range(count)]


def conversations(count: int, mode: str | None = None) -> list[tuple[Message, ...]]:
    return [messages for row in rows(count, mode=mode) for messages in row.conversations()]


def _run_apart(cell: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, as little like the generator's as can be."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", cell],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_same_seed_same_rows() -> None:
    assert rows(40, seed=5) == rows(40, seed=5)
    assert rows(40, seed=5) != rows(40, seed=6)


@pytest.mark.parametrize("held_out", [False, True])
def test_every_call_fits_its_schema(held_out: bool) -> None:
    for index in range(300):
        draw = random_draw(index, LANGS[index % 2], held_out=held_out)
        row = tool_row(draw) if held_out or index % 3 else branched_row(draw)
        schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in row.tools}
        assert len(schemas) == len(row.tools), "tools of one row have different names"
        for message in itertools.chain(row.messages, *row.branches):
            for call in message.tool_calls:
                jsonschema.validate(dict(call.arguments), schemas[call.name])
                assert set(call.arguments) >= set(schemas[call.name]["required"])
                order = list(schemas[call.name]["properties"])
                assert list(call.arguments) == sorted(call.arguments, key=order.index)


def test_answers_quote_the_observation() -> None:
    for messages in conversations(100, "tool") + conversations(100, "code"):
        for before, message in itertools.pairwise(messages):
            observed = before.role == Role.OBSERVATION and before.content != IMAGE
            if observed and not message.tool_calls:
                values = quoted_values(before.content)
                assert all(value in message.content for value in values) or "rror" in before.content


def test_roles_alternate_and_whole_conversations_end_with_an_answer() -> None:
    for row in rows(300):
        assert row.branches or not row.messages[-1].tool_calls
        for messages in row.conversations():
            roles = [m.role for m in messages if m.role != Role.SYSTEM]
            assert roles[0] == Role.USER
            assert roles[-1] == Role.ASSISTANT
            assert all(a != b for a, b in itertools.pairwise(roles))
            assert all(m.content or m.tool_calls for m in messages)


def test_a_cell_that_failed_twice_is_given_up_with_its_error() -> None:
    given_up = 0
    for messages in conversations(150, "code"):
        failed = [m for m in messages if m.tool_calls and is_mistaken(m.tool_calls[0])]
        if len(failed) == 2 and messages[-1].content:
            error = messages[-2].content.rstrip().split("\n")[-1]
            assert messages[-1].content.endswith(error)
            given_up += 1
    assert given_up


def test_cells_are_plain_code() -> None:
    for messages in conversations(60, "code"):
        for message in messages:
            for call in message.tool_calls:
                assert call.name == PYTHON_TOOL
                assert set(call.arguments) == {"code"}


@pytest.mark.slow
@pytest.mark.parametrize("make", [code_plots.function_graph, code_plots.chart, code_plots.heart])
def test_plots_show_a_figure(make: code_plots.PlotMaker) -> None:
    task = make(random_draw("plot", "en"))
    shown = task.cell.replace("plt.show()", "print(plt.get_fignums())")
    assert _run_apart(shown).stdout.strip() == "[1]"


def test_templates_choose_and_fill() -> None:
    draw = random_draw(1, "en")
    assert choose(draw, "a [b|b] [c [d|d]|c d]") == "a b c d"
    assert fill("<x> and <0>", {"x": 1, "0": "two"}) == "1 and two"
    with pytest.raises(KeyError):
        fill("<y>", {})


def test_noise_never_touches_slots() -> None:
    draw = random_draw(2, "en")
    for _ in range(300):
        assert "<value>" in noisy(draw, "please look for the thing called <value> somewhere")


def test_both_languages_have_the_same_phrases() -> None:
    def check(node: object) -> None:
        if isinstance(node, dict):
            assert ("en" in node) == ("zh" in node), node
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    for name in ("chat", "code", "code.held", "tools", "services"):
        check(phrases(name))


def test_held_out_talk_is_no_training_talk() -> None:
    chat = phrases("chat")
    for intent, lines in chat["held"].items():
        if intent in chat["talk"]:
            for lang in LANGS:
                assert not set(lines[lang]) & set(chat["talk"][intent]["ask"][lang])


def test_every_request_for_code_has_held_out_wordings_with_its_own_slots() -> None:
    """How values are written and what the assistant says has no other wordings."""
    shared = {"direct", "csv_direct", "pair", "two_lists", "plot_range"}
    shared |= {"answer", "answer_image", "answer_failed"}

    def check(trained: dict[str, Any], held: dict[str, Any], name: str) -> None:
        assert held.keys() == trained.keys() - shared, name
        for key, lines in held.items():
            if key not in LANGS:
                check(trained[key], lines, f"{name}.{key}")
                continue
            known = {other for line in trained[key] for other in _expanded(line)}
            assert lines
            assert not set(lines) & known, name
            slots = {frozenset(_SLOT.findall(line)) for line in known}
            assert all(frozenset(_SLOT.findall(line)) in slots for line in lines), name

    check(phrases("code"), phrases("code.held"), "code")


def _expanded(line: str) -> Iterator[str]:
    """All that a line of alternatives can say."""
    parts = re.split(r"\[([^\[\]]*)\]", line.lstrip("!"))
    choices = [part.split("|") if at % 2 else [part] for at, part in enumerate(parts)]
    return map("".join, itertools.product(*choices))


def test_mistakes_are_real_ones() -> None:
    cell = "import math\nprint(math.gcd(12, 18))"
    assert run_cell(cell) == "6"
    for seed in range(20):
        found = with_mistake(random_draw(seed, "en"), cell, {})
        assert found is not None
        broken, error = found
        assert broken != cell
        assert "Error: " in error.text
        assert error.name in _run_apart(broken).stderr


def test_cells_read_their_files_and_leave_nothing() -> None:
    cell = 'from pathlib import Path\nprint(Path("a.csv").read_text(), *Path().iterdir())'
    assert run_cell(cell, {"a.csv": "x"}) == "x a.csv"
    error = error_of('x = 1\nopen("a.csv")')
    assert error is not None
    assert error.name == "FileNotFoundError"
    assert error.line == 2
