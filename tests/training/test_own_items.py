"""The generator's own split: its rows as items that can be passed."""

from __future__ import annotations

import pytest
from solutions import called, said, solutions

from glmdemo.clients.scripted import ScriptedClient
from glmdemo.messages import PYTHON_TOOL, Message
from training.acceptance.cells import open_cells
from training.acceptance.items import Answer, Call, Code, Item, Step
from training.acceptance.judge import charted
from training.acceptance.play import Outcome, play
from training.evaluate_generated import table
from training.generator.cells import IMAGE
from training.generator.code_plots import chart
from training.generator.row import Row, call, observation, random_draw, user
from training.own_items import as_item, own_items, quoted_values

ITEMS = own_items(24)


def _of_mode(mode: str) -> list[Item]:
    return [item for item in ITEMS if item.mode == mode]


def test_half_of_each_split_is_chinese_and_names_are_unique() -> None:
    assert len({item.name for item in ITEMS}) == len(ITEMS) == 96
    for split in ("held-out", "seen"):
        langs = [item.language for item in ITEMS if item.kind == split]
        assert langs.count("zh") == langs.count("en") == 24


def test_what_the_row_says_passes_and_silence_does_not() -> None:
    for item in _of_mode("tool"):
        assert all(o.right for o in play(item, ScriptedClient(solutions(item)), None)), item
        asked = [isinstance(step.expected, Call | Answer) for step in item.steps]
        quiet = play(item, ScriptedClient([said("Hm.")] * len(item.steps)), None)
        assert [not outcome.right for outcome in quiet] == asked


@pytest.mark.kernel
def test_cells_run_in_the_kernel_and_mistaken_ones_are_history() -> None:
    mistaken = [item for item in _of_mode("code") if item.history][:4]
    assert mistaken
    others = [
        i for i in _of_mode("code") if not i.history and isinstance(i.steps[0].expected, Code)
    ]
    with open_cells() as cells:
        for item in [*mistaken, *others[:6]]:
            outcomes = play(item, ScriptedClient(solutions(item)), cells)
            assert all(outcome.right for outcome in outcomes), item
            assert (outcomes[0].check == "repair") == bool(item.history)


@pytest.mark.kernel
def test_a_chart_shows_the_labels_and_numbers_of_the_request_and_no_others() -> None:
    drawn = "import matplotlib.pyplot as plt\nplt.bar(list(data), list(data.values()))\nplt.show()"
    wanted = Code("", figure=True, charted=(("apples", 3.0), ("pears", 5.0)))
    item = Item("code", "en", "chart", "seen", (Step("bars of apples 3, pears 5", wanted),))
    cells_said = {
        'data = {"pears": 5, "apples": 3}\n' + drawn: True,
        'data = {"apples": 3, "pears": 5, "plums": 5}\n' + drawn: False,
        'data = {"apples": 5, "pears": 3}\n' + drawn: False,
    }
    with open_cells() as cells:
        for cell, right in cells_said.items():
            client = ScriptedClient([called(PYTHON_TOOL, code=cell)])
            assert [outcome.right for outcome in play(item, client, cells)] == [right], cell


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('data = {"b": 2, "a": -1}', (("a", -1.0), ("b", 2.0))),
        ('plt.bar(["a", "b"], (1, 2.5))', (("a", 1.0), ("b", 2.5))),
        ('values, labels = [1, 2], ["b", "a"]', (("a", 2.0), ("b", 1.0))),
        ("data = [7, 3]", (("0", 7.0), ("1", 3.0))),
        ('labels = ["a"]\nvalues = [1, 2]', ()),
        ('labels = ["a", "a"]\nvalues = [1, 2]', (("a", 1.0), ("a", 2.0))),
        ("data = {{}: 2}", ()),
        ('data = {"a": "1"}', ()),
        ("plt.plot(x, x**2)", ()),
        ("data = [1", ()),
    ],
)
def test_what_a_chart_shows(cell: str, shown: tuple[tuple[str, float], ...]) -> None:
    assert charted(cell) == shown


def test_charts_of_rows_are_compared_by_what_they_show() -> None:
    rows = [Row("code/x", "en", tuple(_drawn(index))) for index in range(40)]
    wanted = [as_item(row, "seen", 0).steps[0].expected for row in rows]
    assert all(isinstance(code, Code) and code.figure and code.charted for code in wanted)


def _drawn(index: int) -> list[Message]:
    task = chart(random_draw(index, "zh" if index % 2 else "en"))
    return [user(task.ask), call(PYTHON_TOOL, {"code": task.cell}), observation(IMAGE)]


def test_values_to_quote() -> None:
    assert quoted_values('{"a": 3, "b": {"c": ["x", true]}}') == ["3", "x", "true"]
    assert quoted_values("time: 10:30\nplace: Ems") == ["10:30", "Ems"]
    assert quoted_values("No such ticket.") == ["No such ticket."]
    assert quoted_values("ValueError: x: y") == ["ValueError: x: y"]


def test_the_table_counts_by_split_and_by_way() -> None:
    runs: dict[str, list[Outcome]] = {"guided": [], "free": []}
    for item in _of_mode("tool"):
        runs["guided"] += play(item, ScriptedClient(solutions(item)), None)
        runs["free"] += play(item, ScriptedClient([said("Hm.")] * len(item.steps)), None)
    held, seen = (
        sum(o.check == "call" for o in runs["guided"] if o.item.kind == split)
        for split in ("held-out", "seen")
    )
    lines = table(runs, 0.5).splitlines()
    assert lines[2] == (
        f"| tool: calls exactly right | 90% | 100% ({held}/{held}) | 0% (0/{held}) "
        f"| 100% ({seen}/{seen}) | 0% (0/{seen}) |"
    )
    assert lines[-1].startswith("| copy probe | 0.99 | 0.500 |")
