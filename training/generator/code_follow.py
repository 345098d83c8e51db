"""Further requests in code mode: about the last number, the list, the table, or other values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from training.generator.code_csv import csv_again
from training.generator.code_numbers import ask_statistic, printed, statistic_cell
from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.task import Task, wording
from training.generator.wording import phrase

Maker = Callable[[Draw], Task]

_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,6})?")
_ON_NUMBER = {
    "add": "{r} + {n}",
    "subtract": "{r} - {n}",
    "multiply": "{r} * {n}",
    "divide": "{r} / {n}",
    "half": "{r} / 2",
    "quarter": "{r} / 4",
    "double": "{r} * 2",
    "triple": "{r} * 3",
    "percent": "{r} * {n} / 100",
    "percent_less": "{r} * (100 - {n}) / 100",
    "percent_more": "{r} * (100 + {n}) / 100",
}
_PLOT = "import matplotlib.pyplot as plt\n"
_ON_LIST = {
    "count": "print(len(data))",
    "append": "data.append({n})\nprint(data)",
    "sort": "print(sorted(data))",
    "sort_down": "print(sorted(data, reverse=True))",
    "plot": _PLOT + "plt.plot(data)\nplt.show()",
    "bars": _PLOT + "plt.bar(range(len(data)), data)\nplt.show()",
}
_TRIES = 40


@dataclass(frozen=True)
class Standing:
    """Where a conversation stands: the last task, what makes such tasks, what it printed."""

    make: Maker
    task: Task
    printed: str


@dataclass(frozen=True)
class Step:
    """A request, its cell, the lines that must have run before it, and the task it leaves."""

    ask: str
    cell: str
    after: Task
    before: str = ""


def follow_up(draw: Draw, now: Standing) -> Step | None:
    """A request that only makes sense after the last one; None where there is none."""
    task = now.task
    options: list[Callable[[], Step | None]] = []
    if task.has_list:
        options += [lambda: _about_list(draw, task)] * 2
    if task.columns:
        options += [lambda: _about_table(draw, task)] * 2
    if _NUMBER.fullmatch(now.printed):
        options.append(lambda: _about_number(draw, task, now.printed))
    if task.again:
        options.append(lambda: _other_values(draw, now.make, task))
    return draw.pick(options)() if options else None


def _about_number(draw: Draw, task: Task, result: str) -> Step:
    often = ("add", "subtract", "multiply", "divide", "divide", "half", "double")
    kinds = (*_ON_NUMBER, *often, "square")
    kind = draw.pick(kinds if result.startswith("-") else (*kinds, "root"))
    n = draw.rng.randint(2, 99 if kind.startswith("percent") else draw.pick((9, 50, 999)))
    if kind == "square":
        cell = printed(f"{result}**2")
    elif kind == "root":
        cell = f"import math\nprint(round(math.sqrt({result}), 6))"
    else:
        cell = printed(_ON_NUMBER[kind].format(r=result, n=n))
    request = phrase(draw, wording(draw, "follow", kind), {"n": n})
    return Step(request, cell, replace(task, has_list=False, columns=(), again=""))


def _about_list(draw: Draw, task: Task) -> Step:
    data = task.cell.split("\n")[0]
    if draw.chance(0.55):
        kind, cell = statistic_cell(draw)
        lines, direct = wording(draw, "follow", "statistics"), phrases("code")["follow"]["direct"]
        request = ask_statistic(draw, lines, direct, kind)
        return Step(request, cell, replace(task, again=""), data)
    kind = draw.pick(tuple(_ON_LIST))
    n = draw.rng.randint(1, 99)
    request = phrase(draw, wording(draw, "follow", kind), {"n": n})
    after = replace(task, has_list=kind != "append", again="")
    return Step(request, _ON_LIST[kind].format(n=n), after, data)


def _about_table(draw: Draw, task: Task) -> Step:
    request, cell = csv_again(draw, task.columns)
    return Step(request, cell, task, "\n".join(task.cell.split("\n")[:2]))


def _other_values(draw: Draw, make: Maker, task: Task) -> Step | None:
    """The same request for other values, of which nothing but the values is said."""
    for _ in range(_TRIES):
        other = make(draw)
        if other.kind == task.kind and other.again and not other.files:
            lines = wording(draw, "follow", "again")
            return Step(phrase(draw, lines, {"v": other.again}), other.cell, other)
    return None
