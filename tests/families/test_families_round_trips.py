"""A model sees its own earlier calls as it wrote them: whole turns through the real agent loop."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from golden_data import chatglm3_cases, glm4_cases, rounds_cases
from native_folders import TAGS
from reply_reader import PYTHON, WEATHER
from tiny_glm import CONTROLS, edit_json, make_tokenizer

from glmdemo import agent
from glmdemo.agent import Loop
from glmdemo.clients.local import LocalClient
from glmdemo.engine.events import EngineEvent, Finished, Token
from glmdemo.events import MessageDone
from glmdemo.families.base import tool_name
from glmdemo.messages import Conversation, Message, Role, ToolCall
from glmdemo.models import LoadedModel, load_model
from glmdemo.outputs import Output
from glmdemo.stop import Stop

Reply = tuple[str, str]
"""What the model writes, control tokens left out, and the control token that ends it."""


class RecordingEngine:
    """Writes `replies` one after the other; keeps the ids of each prompt."""

    def __init__(self, model: LoadedModel, replies: Sequence[Reply]) -> None:
        self._tokenizer = model.tokenizer
        self._replies = list(replies)
        self.prompts: list[list[int]] = []

    def generate(self, ids: Sequence[int], *_: object, **__: object) -> Iterator[EngineEvent]:
        self.prompts.append(list(ids))
        return self._write(*self._replies.pop(0))

    def _write(self, text: str, stop: str) -> Iterator[EngineEvent]:
        controls = self._tokenizer.controls.values()
        for part in re.split(f"({'|'.join(TAGS)})", text):
            tag = part in TAGS and part in controls  # a model writes its tags as tokens
            ids = [self._tokenizer.control_id(part)] if tag else self._tokenizer.encode_text(part)
            yield from map(Token, ids)
        yield Finished(self._tokenizer.control_id(stop), 1, 0, 1, 0.1, 0.2)

    def close(self) -> None: ...


class FixedToolbox:
    """Answers each call with the next of `results`."""

    def __init__(self, schemas: Sequence[Mapping[str, Any]], results: Sequence[str]) -> None:
        self.schemas = schemas
        self._results = list(results)

    def needs_approval(self, call: ToolCall) -> bool:
        return False

    def run(self, call: ToolCall, stop: Stop) -> Iterator[Output]:
        return iter(())

    def observe(self, call: ToolCall, outputs: Sequence[Output]) -> str:
        return self._results.pop(0)


def prompts(
    model: LoadedModel,
    system: Sequence[Message],
    questions: Sequence[str],
    replies: Sequence[Reply],
    tools: Sequence[Mapping[str, Any]] = (),
    results: Sequence[str] = (),
) -> list[list[int]]:
    """The ids of every prompt of a conversation in which the model writes `replies`."""
    engine = RecordingEngine(model, replies)
    loop = Loop(LocalClient(model, engine), FixedToolbox(tools, results))  # type: ignore[arg-type]
    conversation = Conversation("1", messages=tuple(system))
    for question in questions:
        conversation = conversation.append(Message(Role.USER, question))
        for event in agent.run(conversation, loop):
            if isinstance(event, MessageDone):
                conversation = conversation.append(event.message)
            assert getattr(event, "reason", "") != "error", event
    return engine.prompts


_TURNS = re.compile("(system )?(user (call observation )*assistant )*user (call observation )*")

ORIGINALS = [
    ("chatglm", "chatglm-6b", "v1", rounds_cases),
    ("chatglm2", "chatglm3-6b", "v2", rounds_cases),
    ("chatglm3", "chatglm3-6b", "v3", chatglm3_cases),
    ("glm4", "glm-4-9b-chat", "glm4", glm4_cases),
]


@pytest.mark.parametrize(
    ("family", "files", "data", "read"), ORIGINALS, ids=[family for family, *_ in ORIGINALS]
)
def test_a_golden_conversation_that_is_lived_through_has_the_golden_prompt(
    folder: Path, golden: Path, family: str, files: str, data: str, read: Any
):
    """Its answers and calls are written by the model, its results come from a tool."""
    model = load_model(folder, family=family, tokenizer=golden / "tokenizer_files" / files)
    end = "<|user|>" if "<|user|>" in model.family.stop_tokens else model.family.stop_tokens[0]
    calls = rounds = 0
    for case, messages, *offered in read(golden / f"tokenizer/{data}.json", "chat"):
        tools = offered[0] if offered else ()
        if data == "v3" and not tools and messages[0].content.startswith("你是一位智能AI助手"):
            tools = [PYTHON]  # which has no schema there, but this system prompt
        said = [message for message in messages if message.role == Role.ASSISTANT]
        if not said or not livable(messages, tools):
            continue
        asked = prompts(
            model,
            [m for m in messages if m.role == Role.SYSTEM],
            [m.content for m in messages if m.role == Role.USER],
            [*(reply(message, end) for message in said), ("", end)],
            tools,
            [m.content for m in messages if m.role == Role.OBSERVATION],
        )
        ids = case["output"]["input_ids"] if "output" in case else case["input_ids"]
        assert asked[-1] == ids[0]
        calls += any(message.tool_calls for message in said)
        rounds += not any(message.tool_calls for message in said)
    assert rounds >= 5
    assert calls >= {"chatglm3": 2, "glm4": 5}.get(family, 0)


def livable(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a user, a model and its tools can say this: some cases have odd orders on purpose."""
    named = {tool_name(tool): tool for tool in tools}
    turns = "".join("call " if m.tool_calls else f"{m.role} " for m in messages)
    return bool(_TURNS.fullmatch(turns)) and all(
        call.name in named and "params" not in named[call.name]  # an older form of schemas
        for message in messages
        for call in message.tool_calls
    )


def reply(message: Message, end: str) -> Reply:
    """The reply that reads as `message`."""
    for call in message.tool_calls:
        return f"{call.name}\n{call.raw}", "<|observation|>"
    return message.content, end


GLM_CALL = 'get_weather\n{"city":  "北京"}'
GLM_SECOND = 'get_weather\n{"city": "上海", "days": [1, 2]}'
SCHEMA = WEATHER["function"]
QUESTIONS = ("北京天气？", "上海呢？")
TOOL_RESULTS = ("晴，20度", "雨")


def expected_glm4(system: str) -> str:
    return (
        f"[gMASK]<sop><|system|>\n{system}<|user|>\n北京天气？<|assistant|>{GLM_CALL}"
        "<|observation|>\n晴，20度<|assistant|>\n北京晴。<|user|>\n上海呢？"
        f"<|assistant|>{GLM_SECOND}<|observation|>\n雨<|assistant|>"
    )


def indented(tool: Mapping[str, Any]) -> str:
    return json.dumps(tool, ensure_ascii=False, indent=4)


GLM4_SYSTEM = (
    "你是一个名为 GLM-4 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，你的任务是"
    f"针对用户的问题和要求提供适当的答复和支持。\n\n## get_weather\n\n{indented(SCHEMA)}\n"
    "在调用上述函数时，请使用 Json 格式表示调用的参数。"
)
COMPACT_SYSTEM = f"## get_weather\n\n{json.dumps(SCHEMA)}"
BRIEF_SYSTEM = (
    '{"parameters": [{"type": "string", "name": "city"}, {"type": "array", "name": "days"}], '
    '"required": []}\n## get_weather'
)
SYSTEM_0414 = (
    f"# 可用工具\n\n## get_weather\n\n{indented(SCHEMA)}\n"
    "在调用上述函数时，请使用 Json 格式表示调用的参数。"
)
CHATGLM3_CALLS = (
    'get_weather\n ```python\ntool_call(city="北京")\n```',
    "get_weather\n ```python\ntool_call(city='上海', days=[1, 2])\n```",
)
CHATGLM3_PROMPT = (
    "[gMASK]sop<|system|>\nAnswer the following questions as best as you can. You have access to "
    f"the following tools:\n{indented([SCHEMA])}<|user|>\n北京天气？<|assistant|>"
    f"{CHATGLM3_CALLS[0]}<|observation|>\n晴，20度<|assistant|>\n北京晴。<|user|>\n上海呢？"
    f"<|assistant|>{CHATGLM3_CALLS[1]}<|observation|>\n雨<|assistant|>"
)
GLM45_CALLS = tuple(
    f"<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>{city}</arg_value>\n</tool_call>"
    for city in ("北京", "上海")
)
GLM45_BEGIN = (
    "[gMASK]<sop><|system|>\n# Tools\n\nYou may call one or more functions to assist with the user "
    "query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n"
    f"<tools>\n{json.dumps(WEATHER)}\n</tools>\n\nFor each function call, output the function name "
    "and arguments within the following XML format:\n<tool_call>{function-name}\n"
    "<arg_key>{arg-key-1}</arg_key>\n<arg_value>{arg-value-1}</arg_value>\n"
    "<arg_key>{arg-key-2}</arg_key>\n<arg_value>{arg-value-2}</arg_value>\n...\n</tool_call>"
)


def expected_glm45(quiet: str, thought: str, end: str) -> str:
    """Of the first turn, the reasoning is gone; of the second, it is still there."""
    result = "<|observation|>\n<tool_response>\n{}\n</tool_response>"
    return (
        f"{GLM45_BEGIN}<|user|>\n北京天气？{quiet}<|assistant|>\n<think></think>\n{GLM45_CALLS[0]}"
        f"{result.format('晴，20度')}<|assistant|>\n<think></think>\n北京晴。"
        f"<|user|>\n上海呢？{quiet}<|assistant|>\n<think>{thought}</think>\n{GLM45_CALLS[1]}"
        f"{result.format('雨')}<|assistant|>{end}"
    )


TRIPS = {
    "chatglm3": (CHATGLM3_CALLS, "\n{}", CHATGLM3_PROMPT),
    "glm4": ((GLM_CALL, GLM_SECOND), "\n{}", expected_glm4(GLM4_SYSTEM)),
    "glm4-compact": ((GLM_CALL, GLM_SECOND), "\n{}", expected_glm4(COMPACT_SYSTEM)),
    "glm4-brief": ((GLM_CALL, GLM_SECOND), "\n{}", expected_glm4(BRIEF_SYSTEM)),
    "glm4-0414": ((GLM_CALL, GLM_SECOND), "\n{}", expected_glm4(SYSTEM_0414)),
    "glm45": (
        [f"\n<think>Which tool?</think>\n{call}" for call in GLM45_CALLS],
        "\n<think>I know.</think>\n{}",
        expected_glm45("", "Which tool?", ""),
    ),
    "glm45-nothink": (
        [f"\n{call}" for call in GLM45_CALLS],
        "\n{}",
        expected_glm45("/nothink", "", "\n<think></think>"),
    ),
}


@pytest.fixture(scope="module")
def folder(tiny_glm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose tokenizer has the control tokens of all formats."""
    folder = Path(shutil.copytree(tiny_glm, tmp_path_factory.mktemp("trips") / "model"))
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens([*CONTROLS, "sop", "</s>", *TAGS])
    tokenizer.save(str(folder / "tokenizer.json"))
    edit_json(folder / "config.json", max_position_embeddings=8192, eos_token_id=None)
    edit_json(folder / "generation_config.json", eos_token_id=None)
    return folder


@pytest.mark.parametrize("family", TRIPS)
def test_a_second_call_is_asked_for_in_the_trained_format(folder: Path, family: str):
    """Call, result, answer; then another question: the prompt behind its result, in full."""
    calls, answer, expected = TRIPS[family]
    model = load_model(folder, family=family)
    replies = [
        (calls[0], "<|observation|>"),
        (answer.format("北京晴。"), "<|user|>"),
        (calls[1], "<|observation|>"),
        (answer.format("上海有雨。"), "<|user|>"),
    ]
    asked = prompts(model, (), QUESTIONS, replies, [WEATHER], TOOL_RESULTS)
    assert len(asked) == 4
    assert written(model, asked[-1]) == expected


def written(model: LoadedModel, ids: Sequence[int]) -> str:
    """The text of a prompt with its control tokens."""
    tokenizer = model.tokenizer
    parts: list[str] = []
    run: list[int] = []
    for token_id in [*ids, None]:
        if token_id is not None and token_id not in tokenizer.controls:
            run.append(token_id)
            continue
        parts += [tokenizer.decode(run), tokenizer.controls.get(token_id, "")]
        run = []
    return "".join(parts)
