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


def charted(cell: str) -> list[str]:
    """The labels and numbers in the lists and dictionaries that a cell names, sorted; none of a
    cell that cannot be read."""
    try:
        lines = ast.parse(cell).body
    except SyntaxError:
        return []
    named = [line.value for line in lines if isinstance(line, ast.Assign)]
    return sorted(
        str(node.value)
        for value in named
        if isinstance(value, ast.List | ast.Dict)
        for node in ast.walk(value)
        if isinstance(node, ast.Constant)
    )


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
