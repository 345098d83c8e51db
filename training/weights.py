"""How much each token of a row counts in the loss.

The tokens of a reply that decide something are few: the first of a tool's name, those of values
and the one behind each, the first of a cell, what it takes from the request and the one behind
that, the first words of an answer, what talk recalls. The others go without saying; they are learnt
early, and outnumber these several times. So those that decide weigh more. Keys do not: guided
decoding knows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from glmdemo.families.base import Tokenizer
from glmdemo.messages import PYTHON_TOOL
from training.generator.draw import Draw
from training.generator.row import Encoded

PROMPT_WEIGHT = 0.06
"""Mean loss weight of tokens that the assistant did not write; most are invented words, and
outnumber its own three to one."""

PROMPT_SHARE = 0.12
"""Share of those tokens whose logits are computed at all; each then weighs more."""

CHOICE_WEIGHT = 6.0
"""Weight of the first token of a branch's first reply, which chooses a tool or none, of that of a
call's name, of an answer, of a cell, of values, of what a cell copies from the request, of words
of earlier requests that talk repeats, and of the token behind a value or a copy: where these end
has to be read from the request alone. The end must not weigh more than going on, or values are cut
short."""

CELL_WEIGHT = 4.0
"""Weight of the other tokens of cells: some of them choose what is done (`sorted`, `max`)."""


class Weights:
    """Of rows in the compact formats, where a call is a name, a line break and JSON, or a cell."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._user = tokenizer.control_id("<|user|>")
        self._assistant = tokenizer.control_id("<|assistant|>")
        self._observation = tokenizer.control_id("<|observation|>")
        self._first_key = _single(tokenizer, '{"')
        self._line_break = _single(tokenizer, "\n")
        self._run = [*tokenizer.encode_text(PYTHON_TOOL), self._line_break]
        self._value = {_single(tokenizer, mark) for mark in ('": "', '": ')}
        self._letters: dict[int, bool] = {}
        self._behind = {_single(tokenizer, mark) for mark in ('", "', '"}', ', "', "}")}

    def heard(self, row: Encoded) -> frozenset[int]:
        """The tokens of its requests."""
        return frozenset().union(*(asked for asked, _ in self._replies(row)))

    def of(
        self, draw: Draw, row: Encoded, heard_before: frozenset[int] | None = None
    ) -> list[float]:
        """1 for what is to be learnt, more for what decides; a random part of the rest shares
        PROMPT_WEIGHT. The first token follows what it does not belong to, and counts nothing.

        A branch comes with what was `heard` before it.
        """
        each = PROMPT_WEIGHT / PROMPT_SHARE
        weights = [
            1.0 if own else (each if draw.chance(PROMPT_SHARE) else 0.0) for own in row.learnt
        ]
        weights[0] = 0.0
        decisions = self.decisions(row)
        values = [at for at in decisions if row.ids[at - 1] in self._value]
        for start in values:
            end = self._end(row, start)
            decisions += range(start, end + 1)
        heard = set(heard_before or ())
        quoting = self._observation in row.ids
        for asked, reply in self._replies(row):
            if cell := self._cell_in(row, reply):
                weights[cell.start : cell.stop] = [CELL_WEIGHT] * len(cell)
                decisions += [cell.start, *self._copies(asked, row, cell)]
            elif row.ids[reply.start] == self._line_break:
                decisions.append(reply.start + 1)
                if not quoting:
                    decisions += self._copies(heard.difference(asked), row, reply)
            heard.update(asked)
        if heard_before is not None:
            decisions.append(row.learnt.index(True))
        for place in decisions:
            weights[place] = CHOICE_WEIGHT
        return weights

    def decisions(self, row: Encoded) -> list[int]:
        """Where the names and the values of its calls begin, in order."""
        found: list[int] = []
        for _, reply in self._replies(row):
            called = False
            for at in reply:
                if not called:
                    called = row.ids[at] == self._first_key and row.ids[at - 1] == self._line_break
                    if called:
                        found.append(reply.start)
                elif row.ids[at] in self._value:
                    found.append(at + 1)
        return found

    def _replies(self, row: Encoded) -> Iterator[tuple[list[int], range]]:
        """What is to be learnt of each turn, with the request before it."""
        asked: list[int] = []
        answered = asked
        role, start = 0, None
        for at, (token, own) in enumerate(zip(row.ids, row.learnt, strict=True)):
            if own and start is None:
                start, answered = at, asked
            if start is not None and not own:
                yield answered, range(start, at)
                start = None
            if token == self._user:
                asked = []
            if token in (self._user, self._assistant):
                role = token
            elif role == self._user:
                asked.append(token)
        if start is not None:
            yield answered, range(start, len(row.ids))

    def _end(self, row: Encoded, first: int) -> int:
        """The place of the token behind the value that begins at `first`."""
        behind = (at for at in range(first, len(row.ids)) if row.ids[at] in self._behind)
        return next(behind, first)

    def _cell_in(self, row: Encoded, reply: range) -> range:
        """The places of the cell that a reply consists of; of another reply none."""
        start = reply.start + len(self._run)
        if row.ids[reply.start : start] != self._run or row.ids[start] == self._first_key:
            return range(0)
        return range(start, reply.stop)

    def _copies(self, said: Iterable[int], row: Encoded, reply: range) -> Iterator[int]:
        """Where a reply repeats a part of what was said, and the place behind it."""
        known = {token for token in said if self._is_word(token)}
        for at in reply:
            if known.intersection(row.ids[at - 1 : at + 1]):
                yield at

    def _is_word(self, token: int) -> bool:
        """Whether it is made of letters or digits."""
        if token not in self._letters:
            self._letters[token] = self._tokenizer.decode([token]).isalnum()
        return self._letters[token]


def _single(tokenizer: Tokenizer, text: str) -> int:
    (token,) = tokenizer.encode_text(text)
    return token
