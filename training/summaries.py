"""What some tokens should know of what stands before them: an auxiliary target of training.

Choosing a tool means comparing a request with descriptions. Both are many tokens, and the choice is
made at one: the network has to gather the words of the request where the reply begins, and those
of a description at the name below it, before the comparison can be learnt at all. Ordinary rows
reward that only once everything behind it works. So a layer in the middle is told directly which
words these tokens should hold:

- `<|assistant|>`: those of the turn before it
- the first token of a tool's or a parameter's name: those of its description
- the token before a value in a call: those of its parameter's description
- each token of a request: the last ones before it, since a value stands behind its label
- those of a value in a request, and what stands behind it: those of the description of the
  parameter that the call gives the value to. Whose value it is, is found out where it stands, as
  far as the words before it tell; the call then looks for its description
- what stands behind a value: how the value begins, since a unit stands behind its number

The idea of supervising inner layers is old (deep supervision, arXiv 1409.5185); bags of words as
targets are those of arXiv 1805.04871.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from glmdemo.families.base import Tokenizer

Summary = tuple[int, list[int]]
"""A place in a conversation, and the ids of the words it should hold."""

Ids = tuple[int, ...]
Labels = dict[Ids, list[int]]
"""Words of the descriptions of parameters, by the parameters' names."""

_LAST_WORDS = 3

_ROLES = ("system", "user", "assistant", "observation")
_SCHEMA_WORDS = (
    *("description", "parameters", "type", "string", "integer", "number", "boolean", "array"),
    *("object", "name", "enum", "required", "items", "default"),
)


class Summaries:
    """Finds them in the ids of the compact format."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, first: int) -> None:
        """Words are the ids from `first` up to `vocabulary` that are letters."""
        text = {i: tokenizer.decode([i]) for i in range(first, vocabulary)}
        schema = {i for word in _SCHEMA_WORDS for i in tokenizer.encode_text(word)}
        self._words = {i for i, letters in text.items() if letters.isalpha()}
        self._content = self._words - schema
        self._quotes = {i for i in range(first, vocabulary) if '"' in text[i]}
        self._quotes.update(tokenizer.encode_text('"'))
        self._digits = set(tokenizer.encode_text("0123456789"))
        self._blank = {i for mark in (" ", "\n") for i in tokenizer.encode_text(mark)}
        self._after_value = self._quotes | set(tokenizer.encode_text("}"))
        self._after_name = self._blank | {i for i in range(first, vocabulary) if "\n" in text[i]}
        self._user = tokenizer.control_id("<|user|>")
        self._assistant = tokenizer.control_id("<|assistant|>")
        self._controls = {tokenizer.control_id(f"<|{role}|>") for role in _ROLES}
        self._heading, self._about, self._named, self._text, self._other = (
            tokenizer.encode_text(mark)
            for mark in ("## ", 'description": "', 'name": "', '": "', '": ')
        )

    def find(self, ids: Sequence[int]) -> Iterator[Summary]:
        """Those of a conversation, branches included; none is empty."""
        for place, words in self._all(ids):
            if words and place < len(ids):
                yield place, words

    def _all(self, ids: Sequence[int]) -> Iterator[Summary]:
        role = about = asked = 0
        said: list[int] = []  # words of the user's turn so far
        labels: Labels = {}  # of the parameters of a tool
        tools: dict[Ids, Labels] = {}
        called: Labels = {}
        for at, token in enumerate(ids):
            if token in self._controls:
                if token == self._assistant:
                    called = tools.get(self._until(self._after_name, ids, at + 1), {})
                    if role == self._user:
                        yield at, said
                elif token == self._user:
                    asked = at
                role, said = token, []
            elif role == self._user:
                if token not in self._blank:
                    yield at, said[-_LAST_WORDS:]
                if token in self._words:
                    said.append(token)
            elif role == self._assistant:
                if key := self._key(ids, at):
                    words = called.get(key, [])
                    yield at, words
                    value = self._until(self._after_value, ids, at + 1)
                    yield from self._heard(ids, asked, value, words)
            elif _ends(ids, at, self._about):
                about = at + 1
            elif about and (_ends(ids, at, self._named) or _ends(ids, at, self._heading)):
                words = self._words_of(ids[about:at])
                yield at + 1, words
                if _ends(ids, at, self._named):
                    labels[self._until(self._after_value, ids, at + 1)] = words
                else:
                    tools[self._until(self._after_name, ids, at + 1)] = labels
                    labels = {}
                about = 0

    def _words_of(self, ids: Sequence[int]) -> list[int]:
        return [i for i in ids if i in self._content]

    def _until(self, ends: Container[int], ids: Sequence[int], start: int) -> Ids:
        end = start
        while end < len(ids) and ids[end] not in ends and ids[end] not in self._controls:
            end += 1
        return tuple(ids[start:end])

    def _heard(
        self, ids: Sequence[int], asked: int, value: Ids, words: list[int]
    ) -> Iterator[Summary]:
        """Those of `value`, which `words` describe, in the request that begins at `asked`; none
        where it stands there several times or not at all, or nothing was asked (copies)."""
        if not asked or not value:
            return
        end = next(at for at in range(asked + 1, len(ids)) if ids[at] in self._controls)
        begins = (at for at in range(asked + 1, end) if ids[at] == value[0])
        found = [at for at in begins if self._stands(ids, at, value)]
        if len(found) != 1:
            return
        behind = found[0] + len(value)
        if ids[behind] in self._blank:
            behind += 1
        yield from ((place, words) for place in range(found[0], behind + 1))
        yield behind, [value[0]]

    def _stands(self, ids: Sequence[int], at: int, value: Ids) -> bool:
        """Whether `value` stands at `at`, not as a part of a longer number."""
        behind = at + len(value)
        if tuple(ids[at:behind]) != value:
            return False
        return not (
            self._digits.issuperset((ids[at - 1], value[0]))
            or self._digits.issuperset((value[-1], ids[behind]))
        )

    def _key(self, ids: Sequence[int], at: int) -> Ids:
        """The parameter whose value comes after `at`; () where none does."""
        for mark in (self._text, self._other):
            if _ends(ids, at, mark):
                end = at + 1 - len(mark)
                start = end
                while start and ids[start - 1] not in self._quotes:
                    start -= 1
                return tuple(ids[start:end])
        return ()


def _ends(ids: Sequence[int], at: int, mark: Sequence[int]) -> bool:
    """Whether `mark` stands in `ids` and ends at `at`."""
    return ids[at] == mark[-1] and list(ids[at + 1 - len(mark) : at + 1]) == mark
