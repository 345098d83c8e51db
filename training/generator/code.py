"""Code mode: a request, a cell, what it printed, the answer; follow-ups and repairs."""

from __future__ import annotations

import re

from glmdemo.messages import PYTHON_TOOL, Message
from glmdemo.tools.results import NO_OUTPUT
from training.generator import code_csv, code_numbers, code_plots, code_text
from training.generator.cells import IMAGE, run_cell
from training.generator.chat import refusal, small_talk, system_prompt
from training.generator.code_follow import Maker, Standing, follow_up
from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.mistakes import with_mistake
from training.generator.row import Row, answer, call, observation, user
from training.generator.task import Task
from training.generator.tracebacks import traceback_of
from training.generator.wording import plain

PYTHON_SCHEMA = {"type": "function", "function": {"name": PYTHON_TOOL}}

_TASKS: tuple[tuple[Maker, float], ...] = (
    (code_numbers.expression, 3.4),
    (code_numbers.words, 3.2),
    (code_numbers.percentage, 2.4),
    (code_numbers.statistics, 3.6),
    (code_numbers.sorting, 0.8),
    (code_numbers.number_theory, 3),
    (code_text.strings, 4),
    (code_text.days_between, 0.7),
    (code_text.algebra, 2),
    (code_csv.csv_file, 3),
    (code_plots.function_graph, 1.5),
    (code_plots.chart, 3.4),
    (code_plots.line_of_numbers, 0.4),
    (code_plots.heart, 0.3),
)
_PLAIN = {
    code_numbers.expression,
    code_numbers.words,
    code_numbers.statistics,
    code_plots.function_graph,
    code_plots.chart,
}
"""What everybody asks first; below full level these come more often."""

_LONGEST_OUTPUT = 140
_TALK = 0.06
_FOLLOW_UP = 0.45
_BRANCHES = 5
_LATER_BRANCHES = 7
_LATER = 0.45
"""Share of rows with branches where a task has been solved before, from which they go on."""
_REPAIRED = 0.22
_SILENT = 0.05
_PRINT = re.compile(r"print\((.*)\)")


def code_row(draw: Draw) -> Row:
    """One conversation in code mode."""
    messages: list[Message] = []
    if draw.chance(0.12 * draw.level):
        messages.append(system_prompt(draw))
    if draw.chance(_TALK):
        messages += _talk(draw)
        return Row("code/talk", draw.lang, tuple(messages), (PYTHON_SCHEMA,))
    if draw.chance(0.05):
        messages += small_talk(draw)
    now = random_task(draw)
    task, kind = now.task, now.task.kind
    form = draw.rng.random()
    if form < _REPAIRED * draw.level:
        kind = "repair"
        failed = _failed(draw, task)
        messages += [user(task.ask), *failed, *_solved(draw, task.cell, now.printed)]
    elif form < (_REPAIRED + _SILENT) * draw.level:
        kind = "silent"
        messages += [user(task.ask), *_silent_first(draw, task, now.printed)]
    else:
        messages += [user(task.ask), *_solved(draw, task.cell, now.printed)]
    files = dict(task.files)
    while draw.chance(_FOLLOW_UP) and len(messages) < 16:
        said, now = _further(draw.now_and_then_in_other_lang(), now)
        messages += said
        files |= now.task.files
    return Row(f"code/{kind}", draw.lang, tuple(messages), (PYTHON_SCHEMA,), files)


def branched_row(draw: Draw) -> Row:
    """Ways in which a conversation in code mode begins, or goes on after a task: most end with
    the first or second cell that is right, which is what has to be learnt."""
    shared = [system_prompt(draw)] if draw.chance(0.12 * draw.level) else []
    if draw.chance(_LATER):
        before, branches = _going_on(draw)
        shared += before
    else:
        branches = tuple(_beginning(draw) for _ in range(_BRANCHES))
    return Row("code/branches", draw.lang, tuple(shared), (PYTHON_SCHEMA,), branches=branches)


def _going_on(draw: Draw) -> tuple[list[Message], tuple[tuple[Message, ...], ...]]:
    """A solved task, sometimes two, and requests after it, each up to its cell, or talk."""
    now = random_task(draw)
    before = [user(now.task.ask), *_solved(draw, now.task.cell, now.printed)]
    if draw.chance(0.3):
        said, now = _further(draw, now)
        before += said
    branches = tuple(
        tuple(_further(draw.now_and_then_in_other_lang(), now)[0][:2])
        for _ in range(_LATER_BRANCHES)
    )
    return before, branches


def _beginning(draw: Draw) -> tuple[Message, ...]:
    if draw.chance(_TALK):
        return tuple(_talk(draw))
    now = random_task(draw)
    asked = user(now.task.ask)
    solved = _solved(draw, now.task.cell, now.printed)
    if draw.chance(0.22 * draw.level):
        return (asked, *_failed(draw, now.task), solved[0])
    if draw.chance(0.05 * draw.level) and (given_up := _given_up(draw, now.task)):
        return (asked, *given_up)
    if draw.chance(0.35):
        said, _ = _further(draw.now_and_then_in_other_lang(), now)
        return (asked, *solved, *said[:2])
    return (asked, *(solved if draw.chance(0.1) else solved[:1]))


def _talk(draw: Draw) -> list[Message]:
    """What needs no cell."""
    return refusal(draw).messages() if draw.chance(0.5) else small_talk(draw)


def random_task(draw: Draw) -> Standing:
    """A task that prints something; those with long outputs are drawn again."""
    plain = draw.chance(0.8 * (1 - draw.level))
    tasks = [pair for pair in _TASKS if pair[0] in _PLAIN or not plain]
    functions, weights = zip(*tasks, strict=True)
    while True:
        make = draw.rng.choices(functions, weights)[0]
        task = make(draw)
        printed = run_cell(task.cell, task.files)
        if 0 < len(printed) <= _LONGEST_OUTPUT:
            return Standing(make, task, printed)


def _solved(draw: Draw, cell: str, printed: str) -> list[Message]:
    wording = phrases("code")["answer_image" if printed == IMAGE else "answer"][draw.lang]
    reply = plain(draw, wording, {"out": printed})
    return [call(PYTHON_TOOL, {"code": cell}), observation(printed), answer(reply)]


def _silent_first(draw: Draw, task: Task, printed: str) -> list[Message]:
    """The result is kept in a variable and printed only by a second cell."""
    *lines, last = task.cell.split("\n")
    shown = _PRINT.fullmatch(last)
    if shown is None or printed == IMAGE:
        return _solved(draw, task.cell, printed)
    name = draw.pick(("result", "result", "x", "answer", "value", "total"))
    cell = "\n".join((*lines, f"{name} = {shown.group(1)}"))
    silent = [call(PYTHON_TOOL, {"code": cell}, mistaken=True), observation(NO_OUTPUT)]
    return silent + _solved(draw, f"print({name})", printed)


def _failed(draw: Draw, task: Task) -> list[Message]:
    """A cell with a mistake and the error it gives; nothing where no mistake was found."""
    mistake = with_mistake(draw, task.cell, task.files)
    if mistake is None:
        return []
    broken, error = mistake
    number = draw.pick((1, 1, 2, 3, draw.rng.randint(1, 9)))
    text = error.text if draw.chance(0.2) else traceback_of(broken, error, number)
    return [call(PYTHON_TOOL, {"code": broken}, mistaken=True), observation(text)]


def _given_up(draw: Draw, task: Task) -> list[Message]:
    """Two cells that fail, often the same one twice, and a last word that says so; nothing where
    no mistake was found."""
    first = _failed(draw, task)
    second = first if draw.chance(0.6) else _failed(draw, task)
    if not first or not second:
        return []
    error = second[-1].content.rstrip().split("\n")[-1]
    reply = plain(draw, phrases("code")["answer_failed"][draw.lang], {"out": error})
    return [*first, *second, answer(reply)]


def _further(draw: Draw, now: Standing) -> tuple[list[Message], Standing]:
    """The messages of one more request, and what stands after it."""
    step = follow_up(draw, now) if draw.chance(0.75) else None
    if step is None:
        if draw.chance(0.3):
            return small_talk(draw), now
        new = random_task(draw)
        return [user(new.task.ask), *_solved(draw, new.task.cell, new.printed)], new
    printed = run_cell(f"{step.before}\n{step.cell}", now.task.files)
    if not 0 < len(printed) <= _LONGEST_OUTPUT:
        return small_talk(draw), now
    after = Standing(now.make, step.after, printed)
    return [user(step.ask), *_solved(draw, step.cell, printed)], after
