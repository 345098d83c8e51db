"""The shipped model with the application's own tools: two calls in one conversation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glmdemo.config import Settings
from glmdemo.messages import Message, Role
from glmdemo.models import builtin_path
from glmdemo.modes import TOOL
from glmdemo.workspace import Workspace


def test_call_result_answer_and_a_second_call():
    if not (builtin_path() / "config.json").exists():
        pytest.skip("no built-in model is in this checkout")
    space = Workspace(Settings.from_env())
    try:
        chat = space.open_chat(TOOL)
        greedy = replace(space.client().info.defaults, temperature=0)
        chat.configure(params=greedy, system_prompt="")
        for question in ("Calculate 128 * 46", "计算 12 + 30"):
            assert chat.send(question).wait(120)
        said = chat.conversation.messages
        pieces = space.explain_prompt(replace(chat.conversation, messages=said[:-1]))
    finally:
        space.close()
    assert [message.role for message in said] == [*TURN, *TURN]
    calls = [call for message in said for call in message.tool_calls]
    assert [call.name for call in calls] == ["calculator"] * 2
    assert [m.content for m in said if m.role == Role.OBSERVATION] == ["5888", "42"]
    assert "5888" in said[3].content
    assert "42" in said[7].content
    prompt = "".join(piece.text for piece, _ in pieces)
    assert prompt.startswith("[gMASK]<sop><|system|>\n{")
    assert prompt.endswith(
        f"<|user|>\nCalculate 128 * 46<|assistant|>calculator\n{raw(said[1])}"
        f"<|observation|>\n5888<|assistant|>\n{said[3].content}"
        f"<|user|>\n计算 12 + 30<|assistant|>calculator\n{raw(said[5])}"
        "<|observation|>\n42<|assistant|>"
    )


TURN = (Role.USER, Role.ASSISTANT, Role.OBSERVATION, Role.ASSISTANT)


def raw(message: Message) -> str:
    (call,) = message.tool_calls
    return call.raw
