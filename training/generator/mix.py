"""The mixture of modes that training and the tokenizer see."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from training.generator.chat import chat_row
from training.generator.code import code_row
from training.generator.draw import Draw
from training.generator.row import Row
from training.generator.tools import branched_row, tool_row

MODES: dict[str, Callable[[Draw], Row]] = {"tool": tool_row, "code": code_row, "chat": chat_row}
SHARES = {"tool": 0.50, "code": 0.30, "chat": 0.20}
"""Shares of rows. Calls are the hardest to learn, and a tool row is the longest."""

_BRANCHED = 0.85
"""Share of the rows in tool mode that are many beginnings of a conversation instead of one."""


def sample(draw: Draw, mode: str | None = None) -> Row:
    """A random conversation in a random language; `mode` is drawn by SHARES where not given."""
    mode = mode or draw.rng.choices(list(SHARES), list(SHARES.values()))[0]
    spoken = draw.with_lang(draw.pick(("en", "zh")))
    if mode == "tool" and draw.chance(_BRANCHED):
        return branched_row(spoken)
    return MODES[mode](spoken)


def stream(draw: Draw) -> Iterator[Row]:
    while True:
        yield sample(draw)
