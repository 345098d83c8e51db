"""How much each token of a row counts in the loss.

The tokens of a tool call that decide something are few: the first of the tool's name and of each
value. The others are copied behind them, which is learnt early, and outnumber them five to one;
so those that decide weigh more. Keys do not: guided decoding knows them.
"""

from __future__ import annotations

from glmdemo.families.base import Tokenizer
from training.generator.draw import Draw
from training.generator.row import Encoded

PROMPT_WEIGHT = 0.06
"""Mean loss weight of tokens that the assistant did not write; most are invented words, and
outnumber its own three to one."""

PROMPT_SHARE = 0.12
"""Share of those tokens whose logits are computed at all; each then weighs more."""

CHOICE_WEIGHT = 6.0
"""Weight of the first token of a branch's first reply, which chooses a tool or none, of that of a
call's name, and of those of its values."""


class Weights:
    """Of rows in the compact formats, where a call is a name, a line break and JSON."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._line_break = _single(tokenizer, "\n")
        self._first_key = _single(tokenizer, '{"')
        self._value = {_single(tokenizer, mark) for mark in ('": "', '": ')}

    def of(self, draw: Draw, row: Encoded, *, branch: bool = False) -> list[float]:
        """1 for what is to be learnt, more for what decides; a random part of the rest shares
        PROMPT_WEIGHT. The first token follows what it does not belong to, and counts nothing."""
        each = PROMPT_WEIGHT / PROMPT_SHARE
        weights = [
            1.0 if own else (each if draw.chance(PROMPT_SHARE) else 0.0) for own in row.learnt
        ]
        weights[0] = 0.0
        decisions = self.decisions(row)
        if branch:
            decisions.append(row.learnt.index(True))
        for place in decisions:
            weights[place] = CHOICE_WEIGHT
        return weights

    def decisions(self, row: Encoded) -> list[int]:
        """Where the names and the values of its calls begin, in order."""
        found: list[int] = []
        start, called = 0, False
        for at, (token, own) in enumerate(zip(row.ids, row.learnt, strict=True)):
            if not own:
                start, called = at + 1, False
            elif not called:
                called = token == self._first_key and row.ids[at - 1] == self._line_break
                if called:
                    found.append(start)
            elif token in self._value:
                found.append(at + 1)
        return found


def _single(tokenizer: Tokenizer, text: str) -> int:
    (token,) = tokenizer.encode_text(text)
    return token
