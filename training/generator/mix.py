"""The mixture of modes that training and the tokenizer see."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from training.generator import chat, code, tools
from training.generator.draw import Draw
from training.generator.row import Row

MODES: dict[str, Callable[[Draw], Row]] = {
    "tool": tools.tool_row,
    "code": code.code_row,
    "chat": chat.chat_row,
}
"""What makes a whole conversation."""
SHARES = {"tool": 0.60, "code": 0.15, "chat": 0.25}
"""Shares of rows. Calls are the hardest to learn; a tool or code row is three chat rows long."""

_ENGLISH = {"tool": 0.58, "code": 0.62, "chat": 0.42}
"""Share of English rows: it takes more tokens, and was behind Chinese in calls and cells, where a
value of several words has blanks within; among chats Chinese was."""

_BRANCHED: dict[str, tuple[float, Callable[[Draw], Row]]] = {
    "tool": (0.85, tools.branched_row),
    "code": (0.65, code.branched_row),
    "chat": (0.4, chat.branched_row),
}
"""Share of a mode's rows that are many ways to begin or go on instead of a whole conversation."""


def sample(draw: Draw, mode: str | None = None) -> Row:
    """A random row in a random language; `mode` is drawn by SHARES where not given."""
    mode = mode or draw.rng.choices(list(SHARES), list(SHARES.values()))[0]
    spoken = draw.with_lang("en" if draw.chance(_ENGLISH[mode]) else "zh")
    share, branched = _BRANCHED[mode]
    return branched(spoken) if draw.chance(share) else MODES[mode](spoken)


def stream(draw: Draw) -> Iterator[Row]:
    while True:
        yield sample(draw)
