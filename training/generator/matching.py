"""Rows that teach to choose: which tool does the request mean, and which words are whose value?

Tools of random tokens in the product's own form. A request repeats some words of one tool's
description and the labels or values of its parameters, in any order and among words that belong
to nothing. Copying can be learnt without choosing: 92 million tokens of ordinary rows left the
choice between two tools to chance. These rows have five times as many choices as ordinary ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glmdemo.families.base import Tokenizer
from training.generator.draw import Draw
from training.generator.row import Encoded

Words = list[int]
"""Ids of some random words."""


@dataclass(frozen=True)
class _Parameter:
    label: Words
    key: Words


@dataclass(frozen=True)
class _Tool:
    about: Words
    name: Words
    parameters: tuple[_Parameter, ...]


class Matching:
    """Makes the rows, from the letters of a tokenizer."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, first: int) -> None:
        """Words are made of the ids from `first` up to `vocabulary` that are letters."""
        self._tokenizer = tokenizer
        self._letters = [i for i in range(first, vocabulary) if tokenizer.decode([i]).isalpha()]
        self._glue: dict[str, Words] = {}

    def row(self, draw: Draw) -> tuple[Encoded, Iterator[Encoded]]:
        """What all share, and endless requests with their calls."""
        plain = not draw.chance(draw.level)
        most = 0 if plain else draw.pick((0, 1, 1, 2))
        space = self._text(draw.pick((" ", " ", "")))
        tools = [
            self._tool(draw, space, most, (1,) if plain else (1, 2, 3, 4))
            for _ in range(draw.pick((2, 2, 3, 4)))
        ]
        shared = [*self._control("[gMASK]", "<sop>", "<|system|>"), *self._text("\n")]
        for number, tool in enumerate(tools):
            shared += self._section(tool, "\n\n" if number else "")
        return _encoded(shared, []), self._branches(draw, tools, space, noise=not plain)

    def _tool(self, draw: Draw, space: Words, most: int, length: Sequence[int]) -> _Tool:
        count = draw.pick((most, draw.rng.randint(0, most)))
        parameters = [
            _Parameter(self._words(draw, (1, 1, 2), space), self._words(draw, (1, 1, 2), []))
            for _ in range(count)
        ]
        about = self._words(draw, length, space)
        return _Tool(about, self._words(draw, (1, 2, 3), []), tuple(parameters))

    def _words(self, draw: Draw, counts: Sequence[int], space: Words) -> Words:
        ids: Words = []
        for number in range(draw.pick(counts)):
            ids += [*(space if number else ()), draw.pick(self._letters)]
        return ids

    def _section(self, tool: _Tool, after: str) -> Words:
        """A tool behind the text `after`. What the tokenizer would join is encoded together."""
        ids = [*self._text(after + '{"parameters": [')]
        for number, parameter in enumerate(tool.parameters):
            begun = ', {"type": "string", "description": "'
            ids += [*self._text(begun if number else begun[2:]), *parameter.label]
            ids += [*self._text('", "name": "'), *parameter.key, *self._text('"}')]
        ids += [*self._text('], "description": "'), *tool.about]
        return [*ids, *self._text('"}\n## '), *tool.name]

    def _branches(
        self, draw: Draw, tools: Sequence[_Tool], space: Words, noise: bool
    ) -> Iterator[Encoded]:
        while True:
            tool = draw.pick(tools)
            values = [self._words(draw, (1, 1, 2, 3), space) for _ in tool.parameters]
            asked = [*self._control("<|user|>"), *self._text("\n")]
            asked += self._request(draw, tool, values, space, noise)
            asked += self._control("<|assistant|>")
            called = [*tool.name, *self._text("\n{" if not values else '\n{"')]
            for number, (parameter, value) in enumerate(zip(tool.parameters, values, strict=True)):
                called += self._text(', "') if number else []
                called += [*parameter.key, *self._text('": "'), *value, *self._text('"')]
            called += [*self._text("}"), *self._control("<|observation|>")]
            yield _encoded(asked, called)

    def _request(
        self, draw: Draw, tool: _Tool, values: Sequence[Words], space: Words, noise: bool
    ) -> Words:
        """Words of the description, values with their labels, and noise, in any order. One value
        may stand without its label where there is no noise."""
        about = [word for word in tool.about if word not in space]
        parts = [draw.rng.sample(about, draw.rng.randint(1, len(about)))]
        bare = len(values) == 1 and draw.chance(0.4)
        for parameter, value in zip(tool.parameters, values, strict=True):
            parts.append(value if bare else [*parameter.label, *space, *value])
        if noise and not bare and draw.chance(0.5):
            parts.append(self._words(draw, (1, 2, 3), space))
        draw.rng.shuffle(parts)
        ids: Words = []
        for part in parts:
            ids += [*(space if ids else ()), *part]
        return ids

    def _text(self, text: str) -> Words:
        if text not in self._glue:
            self._glue[text] = self._tokenizer.encode_text(text)
        return self._glue[text]

    def _control(self, *tokens: str) -> Words:
        return [self._tokenizer.control_id(token) for token in tokens]


def _encoded(told: Words, learnt: Words) -> Encoded:
    return Encoded([*told, *learnt], [False] * len(told) + [True] * len(learnt))
