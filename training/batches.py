"""Packs generated rows into training batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from glmdemo.families.base import Tokenizer
from training.generator.copying import FIRST_TEXT_ID, copy_row
from training.generator.draw import Draw
from training.generator.matching import Matching
from training.generator.mix import sample
from training.generator.row import Row
from training.packing import Packing
from training.rendering import encode_branches, encode_row
from training.summaries import Summaries
from training.weights import Weights

_WAITING = 32
_SHORTEST_GAP = 40
_FEWEST_BRANCHES = 2
"""Of a row with branches so many must fit into half a line, or it waits for a whole one."""


@dataclass(frozen=True)
class _Packed:
    """A conversation in a line: its ids, their loss weights, branches and positions (`Packing`)."""

    ids: list[int]
    weights: list[float]
    branches: list[int]
    positions: list[int]

    @classmethod
    def of(cls, ids: list[int], weights: list[float]) -> _Packed:
        return cls(list(ids), weights, [0] * len(ids), list(range(len(ids))))

    def add_branch(self, ids: list[int], weights: list[float]) -> None:
        shared = self.branches.count(0)
        self.ids.extend(ids)
        self.weights.extend(weights)
        self.branches.extend([self.branches[-1] + 1] * len(ids))
        self.positions.extend(range(shared, shared + len(ids)))


@dataclass(frozen=True)
class Batch:
    """What one step learns from; of shape (B, T) where nothing else is said.

    inputs, targets: ids. weights: 0 where no logits are needed. packing: of the inputs.
    summaries: (S, 3), the line, place and word of each word of `training.summaries`.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    packing: Packing
    summaries: Tensor


@dataclass(frozen=True)
class Stage:
    """What a batch is made of at one moment of the training."""

    copy_share: float
    level: float
    length: int
    rows: int
    matching_share: float = 0.0
    matching_level: float = 1.0


@dataclass(frozen=True)
class BatchState:
    """What the batches to come depend on: the random source, and the rows that wait."""

    rng: tuple[Any, ...]
    short: tuple[_Packed, ...]
    long: tuple[_Packed, ...]


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
        self._short: list[_Packed] = []
        self._long: list[_Packed] = []
        first_letters = FIRST_TEXT_ID + 256
        self._matching = Matching(tokenizer, vocabulary, first_letters)
        self._weights = Weights(tokenizer)
        self._summaries = Summaries(tokenizer, vocabulary, first_letters)
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
        lines = [self._line(draw, stage, length + 1) for _ in range(rows)]
        ids = torch.tensor([[i for row in line for i in row.ids] for line in lines])
        weights = torch.tensor([[w for row in line for w in row.weights] for line in lines])
        packing = Packing(
            torch.tensor([[n for n, row in enumerate(line) for _ in row.ids] for line in lines]),
            torch.tensor([[b for row in line for b in row.branches] for line in lines]),
            torch.tensor([[p for row in line for p in row.positions] for line in lines]),
        )
        inputs = Packing(*(tensor[:, :-1] for tensor in packing))
        return Batch(ids[:, :-1], ids[:, 1:], weights[:, 1:], inputs, self._summed(lines, length))

    def _summed(self, lines: list[list[_Packed]], length: int) -> Tensor:
        found = []
        for number, line in enumerate(lines):
            start = 0
            for row in line:
                for place, words in self._summaries.find(row.ids):
                    if start + place < length:
                        found += [(number, start + place, word) for word in words]
                start += len(row.ids)
        return torch.tensor(found, dtype=torch.long).reshape(-1, 3)

    def state(self) -> BatchState:
        return BatchState(self._draw.rng.getstate(), tuple(self._short), tuple(self._long))

    def restore(self, state: BatchState) -> None:
        """Go on where the maker of `state` was."""
        self._draw.rng.setstate(state.rng)
        self._short, self._long = list(state.short), list(state.long)

    def _line(self, draw: Draw, stage: Stage, length: int) -> list[_Packed]:
        if draw.chance(stage.copy_share):
            return [self._copies(draw, length)]
        if draw.chance(stage.matching_share):
            return self._choices(draw, stage, length)
        return self._conversations(draw, stage, length)

    def _copies(self, draw: Draw, length: int) -> _Packed:
        ids, second = copy_row(draw, self._tokenizer, self._vocabulary, length)
        return _Packed.of(ids, [float(known) for known in second])

    def _choices(self, draw: Draw, stage: Stage, length: int) -> list[_Packed]:
        """A row of `matching` with as many branches as fit; then copies."""
        shared, branches = self._matching.row(replace(draw, level=stage.matching_level))
        if len(shared.ids) > length:
            return [self._copies(draw, length)]
        packed = _Packed.of(shared.ids, self._weights.of(draw, shared))
        heard = self._weights.heard(shared)
        for branch in branches:
            if len(packed.ids) + len(branch.ids) > length:
                break
            packed.add_branch(branch.ids, self._weights.of(draw, branch, heard))
        return [packed, self._copies(draw, length - len(packed.ids))]

    def _conversations(self, draw: Draw, stage: Stage, length: int) -> list[_Packed]:
        """As many whole conversations as fit into `length` ids, at most one of them long; then
        copies."""
        content: list[_Packed] = []
        room = length
        if self._long and length > stage.length:
            content.append(self._long.pop())
            room -= len(content[0].ids)
        while room >= _SHORTEST_GAP:
            self._refill(draw, stage)
            fitting = [i for i, row in enumerate(self._short) if len(row.ids) <= room]
            if not fitting:
                break
            content.append(self._short.pop(draw.pick(fitting)))
            room -= len(content[-1].ids)
        return [*content, self._copies(draw, room)]

    def _refill(self, draw: Draw, stage: Stage) -> None:
        half = stage.length // 2 + 1
        while len(self._short) < _WAITING:
            row = sample(draw)
            kind = f"{row.category} with {len(row.tools)} tools"
            self.drawn[kind] += 1
            packed = self._pack(draw, row, half) or self._pack(draw, row, stage.length + 1)
            if packed is None:
                self.too_long[kind] += 1
            else:
                (self._short if len(packed.ids) <= half else self._long).append(packed)

    def _pack(self, draw: Draw, row: Row, limit: int) -> _Packed | None:
        """A row of at most `limit` ids, with as many of its branches as fit; None where none
        does, or too few do."""
        whole = encode_row(self._tokenizer, row)
        packed = _Packed.of(whole.ids, self._weights.of(draw, whole))
        if not row.branches:
            return packed if len(whole.ids) <= limit else None
        heard = self._weights.heard(whole)
        for branch in encode_branches(self._tokenizer, row):
            if len(packed.ids) + len(branch.ids) <= limit:
                packed.add_branch(branch.ids, self._weights.of(draw, branch, heard))
        taken = packed.branches[-1]
        return packed if taken >= min(_FEWEST_BRANCHES, len(row.branches)) else None
