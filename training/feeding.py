"""Where the batches of a training run come from: the run itself, or processes that work ahead.

Worker w of n makes the batches w, w + n, w + 2n, ... from a random source of its own, so a run is
determined by its seed and its number of workers. The state of a source comes with each batch; from
the states behind the last batches that were used, a resumed run goes on with the very next ones.
"""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import torch

from training.batches import Batch, BatchMaker, BatchState, Stage
from training.generator.draw import Draw
from training.packing import Packing
from training.tokenizer import BuiltinTokenizer

_AHEAD = 2
"""Batches asked of each worker before they are needed."""


@dataclass(frozen=True)
class FeedState:
    """States of all sources (None: nothing taken yet), and how many batches were taken."""

    sources: tuple[BatchState | None, ...]
    taken: int


class Feed(Protocol):
    """Endless batches. `too_long` counts the rows that were left out."""

    too_long: Counter[str]

    def batch(self, stage: Stage) -> Batch: ...

    def state(self) -> FeedState: ...

    def close(self) -> None: ...


def open_feed(workers: int, tokenizer: Path, seed: object, state: FeedState | None = None) -> Feed:
    """`workers` processes that generate, 0: this one. Goes on from `state` where it fits."""
    if state is not None and len(state.sources) != max(1, workers):
        seed, state = f"{seed} after {state.taken}", None
    if workers:
        return Workers(workers, tokenizer, seed, state)
    if state is None:
        return OwnFeed(make_source(tokenizer, seed))
    return OwnFeed(make_source(tokenizer, seed, state.sources[0]), state.taken)


class OwnFeed:
    """Batches made when they are needed."""

    def __init__(self, maker: BatchMaker, taken: int = 0) -> None:
        self._maker = maker
        self._taken = taken
        self.too_long = maker.too_long

    def batch(self, stage: Stage) -> Batch:
        self._taken += 1
        return self._maker.batch(stage)

    def state(self) -> FeedState:
        return FeedState((self._maker.state(),), self._taken)

    def close(self) -> None:
        """Nothing is open."""


class Workers:
    """Batches of `count` processes, taken in turn. They end with `close` or with the run."""

    def __init__(
        self, count: int, tokenizer: Path, seed: object, state: FeedState | None = None
    ) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.too_long: Counter[str] = Counter()
        self._states = list(state.sources if state else [None] * count)
        self._taken = state.taken if state else 0
        self._pipes: list[Connection[Any, Any]] = []
        self._processes = []
        self._asked = False
        for number, source in enumerate(self._states):
            ours, theirs = context.Pipe()
            arguments = (theirs, tokenizer, f"{seed} {number}", source)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for number in range(count):
            self._receive(number)  # that it is ready

    def batch(self, stage: Stage) -> Batch:
        """The next batch, of the stage that was current when it was asked for."""
        if not self._asked:
            self._asked = True
            for pipe in self._pipes:
                for _ in range(_AHEAD):
                    pipe.send(stage)
        number = self._taken % len(self._pipes)
        (whole, packing), self._states[number], too_long = self._receive(number)
        self._pipes[number].send(stage)
        self.too_long.update(too_long)
        self._taken += 1
        inputs, targets, weights, summaries = map(torch.from_numpy, whole)
        packing = Packing(*map(torch.from_numpy, packing))
        return Batch(inputs, targets, weights, packing, summaries)

    def state(self) -> FeedState:
        return FeedState(tuple(self._states), self._taken)

    def _receive(self, number: int) -> Any:
        try:
            return self._pipes[number].recv()
        except EOFError:
            self.close()
            raise RuntimeError("A process that generates ended; its error stands above.") from None

    def close(self) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.terminate()
            process.join()


def make_source(tokenizer: Path, seed: object, state: BatchState | None = None) -> BatchMaker:
    """What makes the batches of one process, in the state it is to go on from."""
    known = BuiltinTokenizer.load(tokenizer)
    maker = BatchMaker(known, known.size, Draw(random.Random(str(seed))))
    if state is not None:
        maker.restore(state)
    return maker


def _serve(
    pipe: Connection[Any, Any], tokenizer: Path, seed: str, state: BatchState | None
) -> None:
    """One worker: a batch for every stage that comes, until the run is gone."""
    torch.set_num_threads(1)
    maker = make_source(tokenizer, seed, state)
    try:
        pipe.send("ready")
        while True:
            made = maker.batch(pipe.recv())
            tensors = (made.inputs, made.targets, made.weights, made.summaries)
            whole = tuple(tensor.numpy() for tensor in tensors)
            packing = tuple(tensor.numpy() for tensor in made.packing)
            pipe.send(((whole, packing), maker.state(), dict(maker.too_long)))
            maker.too_long.clear()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
