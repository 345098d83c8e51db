"""Rows that teach to choose: which tool does the request mean, and which words are whose value?

Tools of random tokens in the product's own form. A request repeats some words of one tool's
description and the labels or values of its parameters, in any order and among words that belong
to nothing. Copying can be learnt without choosing: 92 million tokens of ordinary rows left the
choice between two tools to chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from glmdemo.families.base import Tokenizer
from training.generator.draw import Draw
from training.generator.row import Encoded

Ids = list[int]

_FILLERS = (
    "the a my please now to for of in is what can you me it i need want could tell with on this",
    "请 我 的 吗 帮 一 下 把 给 在 要 想 你 能 了 个 那 这 吧 现",
)
"""Words that mean nothing to the choice, English and Chinese."""

SWITCHES = (
    {
        True: (("with ", ""), ("", ""), ("", " on")),
        False: (("without ", ""), ("no ", ""), ("", " off")),
    },
    {True: (("要", ""), ("", ""), ("", "打开")), False: (("不要", ""), ("不", ""), ("", "关掉"))},
)
"""What stands before and behind the label of what is wanted (True) or not, English and Chinese."""

_LINKS = ((" ", " ", ": ", " is ", " = ", "="), ("", "", "是", "：", "为", ": "))
"""What stands between a label and its value, English and Chinese."""

_COUNTED = 0.5
"""Share of requests whose numbers stand before their labels, as before a unit."""


@dataclass(frozen=True)
class _Speech:
    """How words are written: what stands between them, words that mean nothing, what stands
    between a label and its value, and around one that is wanted or not."""

    space: Ids
    fillers: list[Ids]
    links: list[Ids]
    switches: dict[bool, list[tuple[Ids, Ids]]]


@dataclass(frozen=True)
class _Parameter:
    """A text; one of `options` where there are any; a number or true and false by its `type`."""

    label: list[Ids]
    key: Ids
    options: tuple[Ids, ...] = ()
    type: str = "string"


@dataclass(frozen=True)
class _Tool:
    about: list[Ids]
    name: Ids
    parameters: tuple[_Parameter, ...]


class Matching:
    """Makes the rows, from the letters of a tokenizer."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, first: int) -> None:
        """Words are made of the ids from `first` up to `vocabulary` that are letters."""
        self._tokenizer = tokenizer
        self._letters = [i for i in range(first, vocabulary) if tokenizer.decode([i]).isalpha()]
        self._glue: dict[str, Ids] = {}
        self._speeches = [
            _Speech(
                self._text(space),
                [self._text(word) for word in fillers.split()],
                [self._text(link) for link in links],
                {
                    wanted: [(self._text(before), self._text(after)) for before, after in around]
                    for wanted, around in switches.items()
                },
            )
            for space, fillers, links, switches in zip(
                (" ", ""), _FILLERS, _LINKS, SWITCHES, strict=True
            )
        ]

    def row(self, draw: Draw) -> tuple[Encoded, Iterator[Encoded]]:
        """What all share, and endless requests with their calls. Below full level some rows are
        plain: one word, at most one value, nothing else."""
        plain = not draw.chance(draw.level)
        speech = draw.pick(self._speeches)
        if plain:
            speech = replace(speech, fillers=[], links=[speech.space])
        tools = [self._tool(draw, plain, speech) for _ in range(draw.pick((1, 2, 2, 3, 4)))]
        shared = [*self._control("[gMASK]", "<sop>", "<|system|>"), *self._text("\n")]
        for number, tool in enumerate(tools):
            shared += self._section(draw, tool, speech, "\n\n" if number else "")
        return _encoded(shared, []), self._branches(draw, tools, speech)

    def _tool(self, draw: Draw, plain: bool, speech: _Speech) -> _Tool:
        if plain:
            parameters = [
                _Parameter(self._words(draw, (1,)), self._word(draw))
                for _ in range(draw.pick((0, 1)))
            ]
        else:
            parameters = [self._parameter(draw, speech) for _ in range(draw.pick((0, 1, 1, 2, 3)))]
        if len({tuple(parameter.key) for parameter in parameters}) < len(parameters):
            return self._tool(draw, plain, speech)
        about = self._words(draw, (1,) if plain else (1, 2, 3, 4))
        return _Tool(about, self._word(draw), tuple(parameters))

    def _parameter(self, draw: Draw, speech: _Speech) -> _Parameter:
        label, key = self._words(draw, (1, 1, 2)), self._word(draw)
        kind = draw.rng.choices(("string", "choice", "boolean", "integer"), (4, 4, 2, 3))[0]
        options: tuple[Ids, ...] = ()
        if kind == "choice":
            words = [self._words(draw, (1, 1, 2)) for _ in range(draw.pick((2, 3, 4)))]
            options = tuple(_written(draw, option, speech, 0.0) for option in words)
        return _Parameter(label, key, options, "string" if options else kind)

    def _words(self, draw: Draw, counts: Sequence[int]) -> list[Ids]:
        return [self._word(draw) for _ in range(draw.pick(counts))]

    def _word(self, draw: Draw) -> Ids:
        return [draw.pick(self._letters) for _ in range(draw.pick((1, 1, 2, 3)))]

    def _section(self, draw: Draw, tool: _Tool, speech: _Speech, after: str) -> Ids:
        """A tool behind the text `after`. What the tokenizer would join is encoded together."""
        ids = [*self._text(after + '{"parameters": [')]
        for number, parameter in enumerate(tool.parameters):
            begun = (', {"type": "' if number else '{"type": "') + parameter.type
            if parameter.options:
                ids += self._text(begun + '", "enum": ["')
                for at, option in enumerate(parameter.options):
                    ids += [*self._text('", "' if at else ""), *option]
                ids += self._text('"], "description": "')
            else:
                ids += self._text(begun + '", "description": "')
            ids += _written(draw, parameter.label, speech, 0.1)
            ids += [*self._text('", "name": "'), *parameter.key, *self._text('"}')]
        ids += self._text('], "description": "')
        ids += _written(draw, tool.about, speech, 0.2)
        return [*ids, *self._text('"}\n## '), *tool.name]

    def _branches(self, draw: Draw, tools: Sequence[_Tool], speech: _Speech) -> Iterator[Encoded]:
        while True:
            tool = draw.pick(tools)
            values = [self._value(draw, parameter, speech) for parameter in tool.parameters]
            asked = [*self._control("<|user|>"), *self._text("\n")]
            asked += self._request(draw, tool, values, speech)
            asked += self._control("<|assistant|>")
            called = [*tool.name, *self._text('\n{"' if values else "\n{}")]
            for number, (parameter, value) in enumerate(zip(tool.parameters, values, strict=True)):
                called += parameter.key
                end = "}" if number == len(values) - 1 else ', "'
                if isinstance(value, int):
                    called += self._text('": ') + self._text(json.dumps(value)) + self._text(end)
                else:
                    called += [*self._text('": "'), *value, *self._text('"' + end)]
            yield _encoded(asked, [*called, *self._control("<|observation|>")])

    def _value(self, draw: Draw, parameter: _Parameter, speech: _Speech) -> Ids | int:
        if parameter.type == "boolean":
            return draw.chance(0.5)
        if parameter.type == "integer":
            return draw.rng.randint(1, draw.pick((9, 99, 999, 99999)))
        if parameter.options:
            return draw.pick(parameter.options)
        return _written(draw, self._words(draw, (1, 1, 2, 3)), speech, 0.0)

    def _request(
        self, draw: Draw, tool: _Tool, values: Sequence[Ids | int], speech: _Speech
    ) -> Ids:
        """Words of the description, values with their labels, and others, in any order. A value
        may stand without its label where nothing could be taken for it."""
        parts = [draw.rng.sample(tool.about, draw.rng.randint(1, len(tool.about)))]
        bare = len(values) == 1 and speech.fillers and draw.chance(0.3)
        counted = draw.chance(_COUNTED)
        for parameter, value in zip(tool.parameters, values, strict=True):
            label = _written(draw, parameter.label, speech, 0.0)
            if isinstance(value, bool):
                before, after = draw.pick(speech.switches[value])
                parts.append([[*before, *label, *after]])
                continue
            said = self._text(str(value)) if isinstance(value, int) else value
            if bare or (parameter.options and draw.chance(0.6)):
                parts.append([said])
            elif counted and isinstance(value, int):
                parts.append([[*said, *speech.space, *label]])
            else:
                parts.append([[*label, *draw.pick(speech.links), *said]])
        if speech.fillers and not bare and draw.chance(0.3):
            parts.append([draw.pick(speech.fillers), *self._words(draw, (1, 2))])
        draw.rng.shuffle(parts)
        words = [word for part in parts for word in part]
        return _written(draw, words, speech, draw.pick((0.0, 0.3, 0.6)))

    def _text(self, text: str) -> Ids:
        if text not in self._glue:
            self._glue[text] = self._tokenizer.encode_text(text)
        return self._glue[text]

    def _control(self, *tokens: str) -> Ids:
        return [self._tokenizer.control_id(token) for token in tokens]


def _written(draw: Draw, words: Sequence[Ids], speech: _Speech, filled: float) -> Ids:
    """Words in a row; before each and behind the last a filler stands with chance `filled`."""
    all_words: list[Ids] = []
    for word in (*words, None):
        if speech.fillers and draw.chance(filled):
            all_words.append(draw.pick(speech.fillers))
        if word is not None:
            all_words.append(word)
    ids: Ids = []
    for word in all_words:
        ids += [*(speech.space if ids else ()), *word]
    return ids


def _encoded(told: Ids, learnt: Ids) -> Encoded:
    return Encoded([*told, *learnt], [False] * len(told) + [True] * len(learnt))
