"""Packs generated rows into training batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glmdemo.families.base import Tokenizer
from training.generator.copying import copy_row
from training.generator.draw import Draw
from training.generator.mix import sample
from training.rendering import encode_row

PROMPT_WEIGHT = 0.06
"""Mean loss weight of tokens that the assistant did not write; most are invented words, and
outnumber its own three to one."""

PROMPT_SHARE = 0.12
"""Share of those tokens whose logits are computed at all; each then weighs more."""

_Encoded = tuple[list[int], list[float]]
"""Ids of a row, or of several, and their loss weights."""

_WAITING = 32
_SHORTEST_GAP = 40


@dataclass(frozen=True)
class Batch:
    """What one step learns from; all of shape (B, T).

    inputs, targets: ids. weights: 0 where no logits are needed. rows: which of its line's
    conversations an input belongs to; a conversation sees only itself.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Stage:
    """What a batch is made of at one moment of the training."""

    copy_share: float
    level: float
    length: int
    rows: int


@dataclass(frozen=True)
class BatchState:
    """What the batches to come depend on: the random source, and the rows that wait."""

    rng: tuple[Any, ...]
    short: tuple[_Encoded, ...]
    long: tuple[_Encoded, ...]


class BatchMaker:
    """Draws rows endlessly and packs several conversations into each line of a batch.

    Most conversations fit into half a line, and attention is cheaper there: batches of twice as
    many half lines are made of them, and full lines only when enough longer ones have come.
    `too_long` counts the rows that no line can hold, which are never trained, out of `drawn`.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, draw: Draw) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._draw = draw
        self._short: list[_Encoded] = []
        self._long: list[_Encoded] = []
        self.drawn: Counter[str] = Counter()
        self.too_long: Counter[str] = Counter()

    def batch(self, stage: Stage) -> Batch:
        """The next batch of `stage.rows` lines, or of twice as many half as long."""
        draw = Draw(self._draw.rng, level=stage.level)
        rows, length = stage.rows, stage.length
        if stage.copy_share < 1:
            self._refill(draw, stage)
            if len(self._long) < rows:
                rows, length = 2 * rows, length // 2
        ids = torch.zeros(rows, length + 1, dtype=torch.long)
        weights = torch.zeros(rows, length + 1)
        belongs = torch.zeros(rows, length + 1, dtype=torch.long)
        for line in range(rows):
            if draw.chance(stage.copy_share):
                content = [self._copies(draw, length + 1)]
            else:
                content = self._conversations(draw, stage, length + 1)
            ids[line] = torch.tensor([i for row, _ in content for i in row])
            weights[line] = torch.tensor([w for _, own in content for w in own])
            belongs[line] = torch.tensor([n for n, (row, _) in enumerate(content) for _ in row])
        return Batch(ids[:, :-1], ids[:, 1:], weights[:, 1:], belongs[:, :-1])

    def state(self) -> BatchState:
        return BatchState(self._draw.rng.getstate(), tuple(self._short), tuple(self._long))

    def restore(self, state: BatchState) -> None:
        """Go on where the maker of `state` was."""
        self._draw.rng.setstate(state.rng)
        self._short, self._long = list(state.short), list(state.long)

    def _copies(self, draw: Draw, length: int) -> _Encoded:
        ids, second = copy_row(draw, self._tokenizer, self._vocabulary, length)
        return ids, [float(known) for known in second]

    def _conversations(self, draw: Draw, stage: Stage, length: int) -> list[_Encoded]:
        """As many whole conversations as fit into `length` ids, at most one of them long; then
        copies."""
        content: list[_Encoded] = []
        room = length
        if self._long and length > stage.length:
            content.append(self._long.pop())
            room -= len(content[0][0])
        while room >= _SHORTEST_GAP:
            self._refill(draw, stage)
            fitting = [i for i, (row, _) in enumerate(self._short) if len(row) <= room]
            if not fitting:
                break
            content.append(self._short.pop(draw.pick(fitting)))
            room -= len(content[-1][0])
        return [*content, self._copies(draw, room)]

    def _refill(self, draw: Draw, stage: Stage) -> None:
        while len(self._short) < _WAITING:
            row = sample(draw)
            ids, written = encode_row(self._tokenizer, row)
            kind = f"{row.category} with {len(row.tools)} tools"
            self.drawn[kind] += 1
            if len(ids) > stage.length + 1:
                self.too_long[kind] += 1
                continue
            short = len(ids) <= stage.length // 2 + 1
            waiting = self._short if short else self._long
            waiting.append((ids, _row_weights(draw, written)))


def _row_weights(draw: Draw, written: list[bool]) -> list[float]:
    """1 for the assistant's tokens; a random part of the others shares PROMPT_WEIGHT."""
    each = PROMPT_WEIGHT / PROMPT_SHARE
    return [1.0 if own else (each if draw.chance(PROMPT_SHARE) else 0.0) for own in written]
