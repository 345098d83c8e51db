"""GLM-4's chat format equals the original's, and its replies are read as they were meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from golden_data import glm4_cases, read_json
from hypothesis import given
from hypothesis import strategies as st
from reply_reader import PYTHON, WEATHER, joined, letters, parse, read
from tiny_glm import CONTROLS

from glmdemo.families import build_chat_input
from glmdemo.families.glm4 import GLM4, GLM4_COMPACT
from glmdemo.families.glm4_brief import GLM4_BRIEF
from glmdemo.messages import Message, Role, ToolCall
from glmdemo.models.tokenizer import FastTokenizer

FORMATS = pytest.mark.parametrize(
    "family", [GLM4, GLM4_COMPACT, GLM4_BRIEF], ids=lambda family: family.name
)


def test_prompts_equal_the_originals(golden: Path):
    cases = glm4_cases(golden / "tokenizer/glm4.json", "chat")
    for case, messages, tools in cases:
        for prompted, text in ((True, case["text"]), (False, case["text_no_gen"])):
            pieces = GLM4.render(messages, tools, add_generation_prompt=prompted)
            assert "".join(piece.text for piece in pieces) == text
    assert len(cases) == 32


def test_replies_are_read_as_the_original_reads_them(golden: Path):
    for case in read_json(golden / "chat/glm4.json")["process_response"]:
        result = case["result"]
        name = case["text"].split("<|assistant|>")[-1].split("\n")[0].strip()
        called = "error" in result or isinstance(result["content"], dict)
        tools = [TYPED if name == TYPED["type"] else open_tool(name)] if called else []
        for chunks in (joined([case["text"]]), letters(joined([case["text"]]))):
            got = read(GLM4, chunks, "<|observation|>" if called else "<|user|>", tools)
            if not called:
                answers = [t["content"] for t in result["history"] if t["role"] == "assistant"]
                assert got.content == "\n".join([*answers[:-1], result["content"]])
                continue
            ((call, arguments, _, error),) = got.calls
            assert call == name
            assert bool(error) == ("error" in result), "what the original fails on, we say"
            if not error:
                asked = result["content"]
                assert arguments == asked.get("parameters", {"content": asked.get("content")})


TYPED = {"type": "simple_browser"}


def open_tool(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "additionalProperties": True}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_a_call_of_a_service_of_the_maker_is_repeated_word_for_word():
    message, _ = parse(GLM4, ['simple_browser\nsearch("GLM-4")\n'], "<|observation|>", [TYPED])
    pieces = GLM4.render([message], [TYPED])
    assert "".join(p.text for p in pieces).endswith(
        '<|assistant|>simple_browser\nsearch("GLM-4")\n<|assistant|>'
    )


@given(text=st.lists(st.text(max_size=6) | st.sampled_from(CONTROLS)).map("".join))
def test_a_user_types_no_control_id(tiny_glm: Path, text: str):
    tokenizer = FastTokenizer.from_file(tiny_glm / "tokenizer.json")
    ids = build_chat_input(GLM4, tokenizer, [Message(Role.USER, text)])
    typed = ["[gMASK]", "<sop>", *(["<|user|>"] if text else []), "<|assistant|>"]
    controls = [tokenizer.controls[i] for i in ids if i in tokenizer.controls]
    assert controls == typed


@FORMATS
def test_replies_come_back_as_the_prompt_had_them(family):
    """What a reply was is what the next round shows the model: the trained format."""
    call = 'get_weather\n{"city": "北京", "days": [1, 2]}'
    reply = read(family, [call], "<|observation|>", (WEATHER,))
    assert (reply.content, reply.finish_reason) == ("", "tool_calls")
    name, arguments, raw, error = reply.calls[0]
    message = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("1", name, arguments, raw, error),))
    pieces = family.render([Message(Role.USER, "?"), message], add_generation_prompt=False)
    assert "".join(piece.text for piece in pieces).endswith(f"<|assistant|>{call}")


@FORMATS
def test_the_interpreter_takes_plain_code(family):
    code = 'x = {"a": 1}\nprint(x)'
    reply = read(family, [f"python\n{code}"], "<|observation|>", (PYTHON,))
    assert reply.calls == [("python", {"code": code}, "", "")]
    assert reply.finish_reason == "tool_calls"
    assert reply.shown_calls == {(0, "python"): code}


@FORMATS
@pytest.mark.parametrize("text", ["Hello\nworld", "\npython\nis a language", "Yes.\n{}", "\n"])
def test_an_answer_is_no_call(family, text):
    reply = read(family, [text], "<|user|>", (WEATHER, PYTHON))
    assert (reply.content, reply.calls, reply.finish_reason) == (text.strip(), [], "stop")


@FORMATS
def test_a_reply_that_calls_where_no_tools_are_offered_is_text(family):
    message, _ = parse(family, ["\nI would look."], "<|observation|>", ())
    assert (message.content, message.tool_calls) == ("I would look.", ())
    assert message.finish_reason == "stop"


def _told(parameters: dict[str, Any]) -> Any:
    """What the brief format says of a tool with these parameters."""
    function = {"name": "look", "description": "Look.", "parameters": parameters}
    tools = [{"type": "function", "function": function}]
    pieces = GLM4_BRIEF.render([Message(Role.USER, "hi")], tools)
    text = "".join(
        piece.text for piece in pieces if piece.role == Role.SYSTEM and not piece.control
    )
    schema, name = text.strip().split("\n## ")
    assert name == "look"
    return json.loads(schema)


def test_the_brief_format_loses_nothing_of_a_schema() -> None:
    at = {"type": "string", "description": "Where", "enum": ["here", "there"]}
    days = {"type": "integer", "default": 1}
    told = [{**at, "name": "at"}, {**days, "name": "days"}]
    needed = {"type": "object", "properties": {"at": at, "days": days}, "required": ["days", "at"]}
    assert _told(needed) == {"description": "Look.", "parameters": told}
    assert list(_told(needed)["parameters"][0]) == ["type", "enum", "description", "name"]
    some = _told({**needed, "required": ["at"]})
    assert some == {"description": "Look.", "parameters": told, "required": ["at"]}
    assert _told({"type": "object", "properties": {}})["parameters"] == []
    for whole in (
        {**needed, "additionalProperties": False},
        {"type": "object", "properties": {"at": {"name": "taken"}}},
        {"type": "object", "properties": {"at": True}},
        {"$ref": "#/elsewhere"},
        {},
    ):
        assert _told(whole)["parameters"] == whole
