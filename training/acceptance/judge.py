"""Exact checks of replies and cells against what an item expects."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from glmdemo.errors import ToolError
from glmdemo.messages import PYTHON_TOOL, Message
from glmdemo.outputs import ErrorOutput, ImageOutput
from glmdemo.tools.arguments import bind_arguments, function_schema
from training.acceptance.items import Answer, Call, Code

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SEPARATORS = re.compile(r"[\s,、，\[\]]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def right_call(reply: Message, wanted: Call) -> bool:
    """Whether `reply` is exactly this call; the parsed arguments are compared."""
    if len(reply.tool_calls) != 1:
        return False
    own = reply.tool_calls[0]
    return not own.error and own.name == wanted.name and _same(own.arguments, wanted.arguments)


def malformed(reply: Message, tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a call in `reply` cannot be run: bad JSON, unknown tool or keys, wrong types."""
    schemas = {function_schema(tool)["name"]: tool for tool in tools}
    return any(
        call.error or call.name not in schemas or not _fits(schemas[call.name], call.arguments)
        for call in reply.tool_calls
    )


def cell_of(reply: Message) -> str | None:
    """The code of a reply that is one readable cell."""
    calls = reply.tool_calls
    if len(calls) != 1 or calls[0].name != PYTHON_TOOL or calls[0].error:
        return None
    return str(calls[0].arguments.get("code", ""))


def right_cell(cell: str, observation: Message, wanted: Code) -> bool:
    """Whether `cell` showed what is wanted; of a chart also its labels and numbers."""
    if wanted.charted and charted(cell) != wanted.charted:
        return False
    return right_output(observation, wanted)


def charted(cell: str) -> tuple[tuple[str, float], ...]:
    """The labels and numbers of the chart that a cell draws, sorted by label: those of its only
    dictionary or two lists; of one list with the places instead of labels. Of other cells none."""
    dicts, lists = _literals(cell)
    if len(dicts) == 1 and not lists:
        pairs = list(dicts[0].items())
    elif len(lists) == 2 and not dicts and len(lists[0]) == len(lists[1]):
        labels, values = sorted(lists, key=lambda parts: not isinstance(parts[0], str))
        pairs = list(zip(labels, values, strict=True))
    elif len(lists) == 1 and not dicts:
        pairs = list(enumerate(lists[0]))
    else:
        return ()
    if not all(isinstance(value, int | float) for _, value in pairs):
        return ()
    return tuple(sorted((str(label), float(value)) for label, value in pairs))


def _literals(cell: str) -> tuple[list[dict[Any, Any]], list[Sequence[Any]]]:
    """The dictionaries and the lists of plain values that stand in a cell."""
    try:
        nodes = list(ast.walk(ast.parse(cell)))
    except (SyntaxError, ValueError):
        return [], []
    dicts, lists = [], []
    for node in nodes:
        if isinstance(node, ast.Dict | ast.List | ast.Tuple):
            try:
                read = ast.literal_eval(node)
            except (ValueError, TypeError):
                continue
            if isinstance(read, dict):
                dicts.append(read)
            elif read and not any(isinstance(part, list | tuple | dict) for part in read):
                lists.append(read)
    return dicts, lists


def right_output(observation: Message, wanted: Code) -> bool:
    """Whether a cell that ran without error showed what is wanted."""
    if any(isinstance(output, ErrorOutput) for output in observation.outputs):
        return False
    if wanted.figure:
        return any(isinstance(output, ImageOutput) for output in observation.outputs)
    return _shows(observation.content, wanted)


def quotes(reply: Message, observation: Message, wanted: Code) -> bool:
    """Whether `reply` tells the result that the cell printed; of a figure nothing need be told."""
    if reply.tool_calls or not reply.content.strip():
        return False
    return wanted.figure or _shows(reply.content, wanted)


def right_answer(reply: Message, wanted: Answer) -> bool:
    text = reply.content
    folded = text.casefold()
    return (
        bool(text.strip())
        and not reply.tool_calls
        and all(part in text for part in wanted.all_of)
        and (not wanted.any_of or any(part.casefold() in folded for part in wanted.any_of))
        and not any(part.casefold() in folded for part in wanted.none_of)
    )


def numbers_in(text: str) -> list[float]:
    """The numbers written in `text`, with or without commas between thousands."""
    found = _NUMBER.findall(text) + _NUMBER.findall(_THOUSANDS.sub("", text))
    return [float(number) for number in found]


def _shows(text: str, wanted: Code) -> bool:
    """Whether `text` has the wanted numbers and parts; how a list is punctuated does not count."""
    found = numbers_in(text)

    def shown(number: float) -> bool:
        return any(abs(other - number) <= wanted.tolerance for other in found)

    plain = _plain(text)
    return (
        (not wanted.any_number or any(map(shown, wanted.any_number)))
        and all(map(shown, wanted.numbers))
        and all(_plain(part) in plain for part in wanted.texts)
    )


def _plain(text: str) -> str:
    return _SEPARATORS.sub(" ", text)


def _fits(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    try:
        bind_arguments(schema, arguments)
    except ToolError:
        return False
    return True


def _same(own: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Equality of JSON values: 5 equals 5.0, but true is no number."""
    return own.keys() == wanted.keys() and all(
        own[key] == value and isinstance(own[key], bool) == isinstance(value, bool)
        for key, value in wanted.items()
    )
