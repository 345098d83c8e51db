"""What the generator yields: one conversation, ready to be rendered."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from glmdemo.messages import Message, Role, ToolCall
from training.generator.draw import Draw
from training.generator.lexicon import Lang


@dataclass(frozen=True)
class Row:
    """A conversation with its tools. `category` is `mode/kind`, for statistics.

    `files` lie in the working directory of the kernel: text by name. `branches` are ways in which
    the conversation may go on after `messages`; they know nothing of each other.
    """

    category: str
    lang: Lang
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    branches: tuple[tuple[Message, ...], ...] = ()

    def conversations(self) -> list[tuple[Message, ...]]:
        """The messages of each branch with what stands before it, or of the row without any."""
        return [(*self.messages, *branch) for branch in self.branches or ((),)]

    def requests(self) -> Iterator[str]:
        """What the user says, in the branches too."""
        said = chain(self.messages, *self.branches)
        return (message.content for message in said if message.role == Role.USER)


class Encoded(NamedTuple):
    """Token ids of a conversation or a part of one, and for each whether it is to be learnt: the
    assistant's, the stop tokens included, without its mistaken calls."""

    ids: list[int]
    learnt: list[bool]


def user(text: str) -> Message:
    return Message(Role.USER, text)


def system(text: str) -> Message:
    return Message(Role.SYSTEM, text)


def answer(text: str) -> Message:
    return Message(Role.ASSISTANT, text, finish_reason="stop")


_MISTAKEN = "mistaken"


def call(name: str, arguments: dict[str, Any], *, mistaken: bool = False) -> Message:
    """A call; one that is `mistaken` stands in the history and is never learnt."""
    calls = (ToolCall(_MISTAKEN if mistaken else "call", name, arguments),)
    return Message(Role.ASSISTANT, "", tool_calls=calls, finish_reason="tool_calls")


def is_mistaken(called: ToolCall) -> bool:
    return called.id == _MISTAKEN


def observation(text: str) -> Message:
    return Message(Role.OBSERVATION, text, call_id="call")


def random_draw(seed: object, lang: Lang, *, held_out: bool = False) -> Draw:
    """A draw of its own, for tests and evaluation."""
    return Draw(random.Random(str(seed)), lang, held_out)
