"""Plays items through the product: its client, its agent loop, its kernel.

Every reply is judged where it stands. Where a call or a cell was wrong the conversation goes on
with the right one in its place, so that a later reply is never judged by an earlier mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glmdemo.agent import Loop, NoTools, Toolbox, run
from glmdemo.clients.base import ModelClient, ToolSchema
from glmdemo.decisions import ToolOptions
from glmdemo.events import MessageDone, TurnDone
from glmdemo.messages import PYTHON_TOOL, Conversation, Message, Role, ToolCall, Usage
from glmdemo.outputs import Output, TextOutput
from glmdemo.sampling import SamplingParams
from glmdemo.stop import Stop
from glmdemo.store import new_conversation_id
from training.acceptance.cells import Cells
from training.acceptance.items import Answer, Call, Code, Expected, Item, NoCall, Printed, Step
from training.acceptance.judge import (
    cell_of,
    malformed,
    quotes,
    right_answer,
    right_call,
    right_cell,
)

_LONGEST_REPLY = 300
"""Tokens; twice the longest reply an item needs, so that a loop costs little."""


@dataclass(frozen=True)
class Outcome:
    """What became of one step. `check`: call, observed (an answer from an observation), code,
    repair, text."""

    item: Item
    number: int
    check: str
    right: bool
    malformed: bool
    said: str
    usage: Usage

    @property
    def expected(self) -> Expected:
        return self.item.steps[self.number].expected


class Script:
    """A toolbox of declared tools, each of which returns what the item says."""

    def __init__(self, schemas: Sequence[ToolSchema]) -> None:
        self.schemas = schemas
        self.observation = ""

    def needs_approval(self, call: ToolCall) -> bool:
        return False

    def run(self, call: ToolCall, stop: Stop) -> Iterator[Output]:
        return iter([TextOutput(self.observation, "result")])

    def observe(self, call: ToolCall, outputs: Sequence[Output]) -> str:
        return self.observation


def play(
    item: Item, client: ModelClient, cells: Cells | None, *, guided: bool | None = None
) -> list[Outcome]:
    """The outcome of every step, decoded greedily. Items of code mode need `cells`.

    `guided` says whether calls are held to the schemas of the tools; None: the client's default.
    """
    return _Player(item, client, _toolbox(item, cells), guided).play()


def _toolbox(item: Item, cells: Cells | None) -> Toolbox:
    if item.mode == "tool":
        return Script(item.tools)
    if item.mode == "chat":
        return NoTools()
    if cells is None:
        raise ValueError("code items need a kernel")
    return cells.toolbox(item.files)


class _Player:
    def __init__(
        self, item: Item, client: ModelClient, toolbox: Toolbox, guided: bool | None
    ) -> None:
        self._item = item
        self._toolbox = toolbox
        self._loop = Loop(client, toolbox)
        self._observation = Message(Role.OBSERVATION, "")
        self._last_code: Code | None = None
        self._conversation = Conversation(
            id=new_conversation_id(),
            mode=item.mode,
            system_prompt=item.system,
            messages=tuple(map(_past, item.history)),
            tools=ToolOptions(guided=guided),
            params=SamplingParams(temperature=0, max_new_tokens=_LONGEST_REPLY),
        )

    def play(self) -> list[Outcome]:
        return [self._outcome(number, step) for number, step in enumerate(self._item.steps)]

    def _outcome(self, number: int, step: Step) -> Outcome:
        check = _check_of(step)
        if step.user is not None:
            self._add(Message(Role.USER, step.user))
        reply = self._next(Role.ASSISTANT)
        before = replace(self._conversation, messages=self._conversation.messages[:-1])
        right = self._judge(reply, step, before)
        return Outcome(
            item=self._item,
            number=number,
            check=check,
            right=right,
            malformed=malformed(reply, self._toolbox.schemas),
            said=_shown(reply),
            usage=reply.usage or Usage(),
        )

    def _judge(self, reply: Message, step: Step, before: Conversation) -> bool:
        """Whether `reply` is right; leaves a conversation that the next step can follow."""
        match step.expected:
            case Call() as wanted:
                right = right_call(reply, wanted)
                if not right:
                    self._conversation = before.append(_calling(wanted.name, wanted.arguments))
                assert isinstance(self._toolbox, Script)
                self._toolbox.observation = wanted.observation
                return right
            case Code() as wanted:
                return self._judge_cell(reply, wanted, before)
            case Answer() as answer:
                right = right_answer(reply, answer)
                instead = ", ".join(answer.all_of)
            case Printed():
                assert self._last_code is not None
                right = quotes(reply, self._observation, self._last_code)
                instead = self._observation.content
            case NoCall():
                right, instead = not reply.tool_calls and bool(reply.content.strip()), ""
        if reply.tool_calls:
            self._conversation = before.append(_answering(instead or "OK."))
        return right

    def _judge_cell(self, reply: Message, wanted: Code, before: Conversation) -> bool:
        self._last_code = wanted
        own = cell_of(reply)
        if own is not None:
            self._observation = self._next(Role.OBSERVATION)
            if right_cell(own, self._observation, wanted):
                return True
        cell = _calling(PYTHON_TOOL, {"code": wanted.reference})
        self._conversation = before.append(cell)
        self._observation = self._next(Role.OBSERVATION)
        return False

    def _next(self, role: Role) -> Message:
        """Let the loop go on up to and including the next message of `role`."""
        for event in run(self._conversation, self._loop):
            if isinstance(event, MessageDone):
                self._add(event.message)
                if event.message.role == role:
                    return event.message
            elif isinstance(event, TurnDone):
                raise RuntimeError(f"{self._item.name}: the turn ended, {event}")
        raise RuntimeError(f"{self._item.name}: the loop broke off")

    def _add(self, message: Message) -> None:
        self._conversation = self._conversation.append(message)


def _check_of(step: Step) -> str:
    if isinstance(step.expected, Code):
        return "repair" if step.user is None else "code"
    if isinstance(step.expected, Call):
        return "call"
    return "observed" if step.user is None else "text"


def _past(turn: tuple[str, str]) -> Message:
    role, text = turn
    return Message(Role.USER, text) if role == "user" else _calling(PYTHON_TOOL, {"code": text})


def _calling(name: str, arguments: Mapping[str, Any]) -> Message:
    calls = (ToolCall("call", name, arguments),)
    return Message(Role.ASSISTANT, "", tool_calls=calls, finish_reason="tool_calls")


def _answering(text: str) -> Message:
    return Message(Role.ASSISTANT, text, finish_reason="stop")


def _shown(message: Message) -> str:
    calls = [
        f"{call.name}({dict(call.arguments) or call.raw}){' ' + call.error if call.error else ''}"
        for call in message.tool_calls
    ]
    return "; ".join(calls) or message.content
