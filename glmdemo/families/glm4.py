"""The chat format of GLM-4-9B-Chat, and its compact form for the built-in model.

    [gMASK]<sop><|system|>\\n{tools}<|user|>\\n{question}<|assistant|>{tool}\\n{arguments as JSON}
    <|observation|>\\n{result}<|assistant|>\\n{answer}

The line behind a role token is the header: empty, or the name of the called tool. The
interpreter is the tool `python`, whose call is plain code. A reply ends with `<|user|>` (an
answer), `<|observation|>` (a call) or `<|endoftext|>`.
Source: tokenization_chatglm.py of THUDM/glm-4-9b-chat, June 2024 (checked by golden files).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glmdemo.errors import ClientError
from glmdemo.families.base import Family, Piece, ReplyParser, render_turns, tool_name
from glmdemo.families.grammar import CallGrammar, segments_grammar
from glmdemo.families.grammar.forms import EXACT_CALLS, JSON_CALLS, CallForm
from glmdemo.families.replies import SegmentParser, readable_tools
from glmdemo.messages import PYTHON_TOOL, Message, Role, ToolCall, new_call_id
from glmdemo.tools.arguments import function_schema
from glmdemo.tools.calls import ToolCallError, parse_json_arguments

_PREAMBLE = (
    "你是一个名为 GLM-4 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，"
    "你的任务是针对用户的问题和要求提供适当的答复和支持。"
)
_SECTIONS = {
    PYTHON_TOOL: (
        "当你向 `python` 发送包含 Python 代码的消息时，该代码将会在一个有状态的 Jupyter notebook "
        "环境中执行。\n`python` 返回代码执行的输出，或在执行 60 秒后返回超时。\n`/mnt/data` 将会"
        "持久化存储你的文件。在此会话中，`python` 无法访问互联网。不要使用 `python` 进行任何"
        "网络请求或者在线 API 调用，这些在线内容的访问将不会成功。"
    ),
    "simple_browser": (
        "你可以使用 `simple_browser` 工具。该工具支持以下函数：\n"
        "`search(query: str, recency_days: int)`：使用搜索引擎进行查询并显示结果，可以使用 "
        "`recency_days` 参数控制搜索内容的时效性。\n`mclick(ids: list[int])`：获取一系列指定 id 的"
        "页面内容。每次调用时，须选择3-10个页面。选择多个角度的页面，同时尽可能选择可信任的信息来源。"
        "考虑到部分页面是无法加载的，你也可以多打开一些可能有用的页面而不用担心内容过多。\n"
        "`open_url(url: str)`：打开指定的 URL。\n\n使用 `【{引用 id}†{引用文本}】` 来引用内容。\n\n"
        "操作步骤：1. 使用 `search` 来获得信息列表; 2. 使用 `mclick` 来获取指定 ID 页面的内容; "
        "3. 根据获得的内容进行回复。在回复中应当引用信息来源。\n 如果用户提供了 URL，也可以用 "
        "`open_url` 直接打开页面。\n如果初次搜索结果没有找到合适的信息，也可以再次使用 `search` "
        "进行搜索。"
    ),
    "cogview": (
        "如果用户的请求中包含了对图像的描述，你可以使用 `cogview` 来生成图像并展示给用户。你需要向 "
        "`cogview` 发送图像描述，规则：\n- 发送给 `cogview` 的消息必须使用英语。用户的中文描述必须"
        "完全翻译为英语。\n- 应当尽可能详细地描述图像生成的需求，需求描述约 100 英文单词。\n"
        "- 保持用户原始描述的意图。不要虚构内容或者没见过的人物。\n"
        "- 如无特殊说明，所在地为中国，持有中国立场并遵循中国社会主义价值观。"
    ),
}
"""What GLM-4 was told of the tools it knows by type; the last two are services of its maker."""

FUNCTION_SUFFIX = "\n在调用上述函数时，请使用 Json 格式表示调用的参数。"


@dataclass(frozen=True)
class Glm4Family(Family):
    """GLM-4's format. The fields hold what differs between the published and the compact form."""

    name: str = "glm4"
    stop_tokens: tuple[str, ...] = ("<|endoftext|>", "<|user|>", "<|observation|>")
    preamble: str = _PREAMBLE
    sections: Mapping[str, str] = field(default_factory=lambda: _SECTIONS, hash=False)
    function_suffix: str = FUNCTION_SUFFIX
    indent: int | None = 4
    calls: CallForm = JSON_CALLS

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[Piece]:
        turns = self._turns(messages, tools)
        return render_turns("<sop>", turns, add_generation_prompt=add_generation_prompt)

    def reply_parser(self, tools: Sequence[Mapping[str, Any]] = ()) -> ReplyParser:
        return Glm4ReplyParser(tools)

    def call_grammar(self, tools: Sequence[Mapping[str, Any]]) -> CallGrammar | None:
        return segments_grammar(readable_tools(tools), self.calls)

    def _turns(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
    ) -> list[tuple[Role, str, str]]:
        """(role, header, content) of every turn; empty turns are left out, as in the original."""
        turns: list[tuple[Role, str, str]] = []
        if tools:
            sections = [self._section(tool) for tool in tools]
            if self.preamble:
                sections.insert(0, self.preamble)
            elif messages and messages[0].role == Role.SYSTEM and messages[0].content:
                sections.insert(0, messages[0].content)
                messages = messages[1:]
            turns.append((Role.SYSTEM, "", "\n\n".join(sections)))
        for message in messages:
            if message.content:
                turns.append((message.role, "", message.content))
            for call in message.tool_calls:
                turns.append((message.role, call.name, call_text(call)))
        return turns

    def _section(self, tool: Mapping[str, Any]) -> str:
        name = tool_name(tool)
        known = _is_known_by_type(tool)
        if name in self.sections and (known or name == PYTHON_TOOL):
            return self._headed(name, self.sections[name])
        if known:
            raise ClientError(
                f"The tool {name!r} has no schema: offer it as a function with a name, a "
                "description and parameters."
            )
        return self._headed(name, self._told(function_schema(tool)))

    def _headed(self, name: str, text: str) -> str:
        """What is told of a tool, with its name."""
        return f"## {name}\n\n{text}"

    def _told(self, schema: Mapping[str, Any]) -> str:
        """What is told of a function."""
        return json.dumps(schema, ensure_ascii=False, indent=self.indent) + self.function_suffix


def _is_known_by_type(tool: Mapping[str, Any]) -> bool:
    """Whether a tool comes without a schema: its calls are plain text."""
    return "name" not in function_schema(tool)


GLM4 = Glm4Family()
GLM4_COMPACT = Glm4Family(
    name="glm4-compact",
    preamble="",
    sections={PYTHON_TOOL: "Run Python code in a Jupyter kernel and read what it prints."},
    function_suffix="",
    indent=None,
    calls=EXACT_CALLS,
)


def call_text(call: ToolCall) -> str:
    """A call as the model wrote it, or as it would have written it."""
    if call.raw:
        return call.raw
    if call.name == PYTHON_TOOL:
        return str(call.arguments.get("code", ""))
    return json.dumps(dict(call.arguments), ensure_ascii=False)


class Glm4ReplyParser(SegmentParser):
    """Reads GLM-4's replies: a call is a header with the tool's name, then a JSON object."""

    form = "the tool's name, a line break, then a JSON object"

    def begins_call(self, text: str) -> bool | None:
        first = text.lstrip()[:1]
        return first == "{" if first else None

    def read_call(self, name: str, body: str) -> ToolCall:
        if name == PYTHON_TOOL:
            return ToolCall(new_call_id(), name, {"code": body.strip("\n")})
        tool = self.tools.get(name)
        if tool is not None and _is_known_by_type(tool):
            return ToolCall(new_call_id(), name, {"content": body.strip()}, raw=body)
        return read_json_call(name, body, tool)


def read_json_call(name: str, body: str, tool: Mapping[str, Any] | None) -> ToolCall:
    """The call of `tool` whose arguments are written as one JSON object."""
    raw = body.strip()
    try:
        return ToolCall(new_call_id(), name, parse_json_arguments(raw, tool), raw=raw)
    except ToolCallError as error:
        return ToolCall(new_call_id(), name, raw=raw, error=str(error))
