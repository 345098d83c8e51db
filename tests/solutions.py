"""Replies that pass an item of the acceptance set, and their parts."""

from __future__ import annotations

from glmdemo.messages import PYTHON_TOOL, Message, Role, ToolCall
from training.acceptance.items import Answer, Call, Code, Expected, Item, NoCall, Printed


def called(name: str, /, **arguments: object) -> Message:
    calls = (ToolCall("1", name, arguments),)
    return Message(Role.ASSISTANT, "", tool_calls=calls, finish_reason="tool_calls")


def said(text: str) -> Message:
    return Message(Role.ASSISTANT, text, finish_reason="stop")


def _solution(expected: Expected, before: Expected | None) -> Message:
    match expected:
        case Call():
            return called(expected.name, **expected.arguments)
        case Code():
            return called(PYTHON_TOOL, code=expected.reference)
        case Answer():
            return said(", ".join([*expected.all_of, *expected.any_of[:1]]) or "OK.")
        case NoCall():
            return said("Hello.")
        case Printed():
            assert isinstance(before, Code)
            numbers = [*before.any_number[:1], *before.numbers]
            return said(", ".join([*map(str, numbers), *before.texts]) or "Here it is.")


def solutions(item: Item) -> list[Message]:
    wanted = [step.expected for step in item.steps]
    return [_solution(e, wanted[i - 1] if i else None) for i, e in enumerate(wanted)]
