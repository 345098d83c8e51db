"""The generator's own split: rows as items that are played like the acceptance set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from glmdemo.messages import PYTHON_TOOL, Message, Role
from training.acceptance.items import Answer, Call, Code, Expected, Item, NoCall, Printed, Step
from training.acceptance.judge import charted
from training.generator.cells import IMAGE
from training.generator.lexicon import Lang
from training.generator.mix import MODES
from training.generator.row import Row, is_mistaken, random_draw

SPLITS = {"held-out": True, "seen": False}
"""Whether wordings, services and parameter names are those that training never uses."""

_MODES = ("tool", "code")
_ROUNDED = 1e-5
"""The generator's cells round to six places; one that does not is right as well."""


def own_items(rows: int) -> list[Item]:
    """`rows` items of each split and mode, half of them Chinese; their kind is the split."""
    langs: tuple[Lang, ...] = ("en", "zh")
    return [
        as_item(MODES[mode](random_draw(f"eval {mode} {i}", langs[i % 2], held_out=held)), split, i)
        for split, held in SPLITS.items()
        for mode in _MODES
        for i in range(rows)
    ]


def as_item(row: Row, split: str, number: int) -> Item:
    """The conversation of a tool or code row as an item.

    A mistaken cell, which is never learnt, becomes history: the first step goes on from it.
    """
    said = [message for message in row.messages if message.role != Role.SYSTEM]
    history: tuple[tuple[str, str], ...] = ()
    for index, message in enumerate(said):
        if any(map(is_mistaken, message.tool_calls)):
            history = (("user", said[index - 1].content), ("code", _cell(message)))
            said = said[index + 1 :]
            break
    return Item(
        mode=row.category.split("/")[0],
        language=row.lang,
        id=f"{split} {number}",
        kind=split,
        steps=tuple(_steps(said)),
        tools=row.tools,
        system="".join(m.content for m in row.messages if m.role == Role.SYSTEM),
        files=row.files,
        history=history,
    )


def _steps(said: Sequence[Message]) -> Iterator[Step]:
    """What is asked for; the first message is the user's, or the observation of the history."""
    called = None
    for index, message in enumerate(said):
        if message.role != Role.ASSISTANT:
            continue
        before = said[index - 1]
        user = before.content if before.role == Role.USER else None
        if message.tool_calls:
            called = message.tool_calls[0].name
            yield Step(user, _calling(message, said[index + 1].content))
        elif user is not None:
            yield Step(user, NoCall())
        else:
            yield Step(None, _quoting(called, before.content))


def _calling(message: Message, observation: str) -> Call | Code:
    called = message.tool_calls[0]
    if called.name == PYTHON_TOOL:
        return _printing(_cell(message), observation)
    return Call(called.name, called.arguments, observation)


def _quoting(called: str | None, observation: str) -> Expected:
    if called == PYTHON_TOOL:
        return Printed()
    return Answer(all_of=tuple(quoted_values(observation)))


def _printing(cell: str, printed: str) -> Code:
    if printed == IMAGE:
        return Code(cell, figure=True, charted=charted(cell))
    try:
        numbers = tuple(float(word) for word in printed.strip("[]").replace(",", " ").split())
    except ValueError:
        return Code(cell, texts=(printed,))
    return Code(cell, numbers=numbers, tolerance=_ROUNDED)


def _cell(message: Message) -> str:
    return str(message.tool_calls[0].arguments["code"])


def quoted_values(observation: str) -> list[str]:
    """The values an answer must quote: JSON leaves, the values of `key: value` lines, all text."""
    try:
        return _leaves(json.loads(observation))
    except ValueError:
        pass
    lines = observation.split("\n")
    if all(": " in line and not line.endswith(".") for line in lines) and "Error" not in lines[0]:
        return [line.split(": ", 1)[1] for line in lines]
    return [observation]


def _leaves(data: object) -> list[str]:
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in _leaves(value)]
    if isinstance(data, list):
        return [leaf for value in data for leaf in _leaves(value)]
    return [data if isinstance(data, str) else json.dumps(data)]
