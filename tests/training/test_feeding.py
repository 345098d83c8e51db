"""Batches of several processes: the same for the same seed, and a resumed run goes on with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from training.batches import Batch, Stage
from training.feeding import Feed, FeedState, OwnFeed, Workers, make_source, open_feed
from training.tokenizer import build, save

STAGE = Stage(copy_share=0.1, level=0.3, length=128, rows=2)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    save(build(400, 60), folder)
    return folder


@contextmanager
def _open(workers: int, tokenizer: Path, state: FeedState | None = None) -> Iterator[Feed]:
    feed = open_feed(workers, tokenizer, 5, state)
    try:
        yield feed
    finally:
        feed.close()


def _take(feed: Feed, count: int) -> list[Batch]:
    return [feed.batch(STAGE) for _ in range(count)]


def _equal(one: Batch, other: Batch) -> bool:
    ours, theirs = ((b.inputs, b.targets, b.weights, *b.packing, b.summaries) for b in (one, other))
    pairs = zip(ours, theirs, strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_resumed_feed_goes_on_with_the_next_batch(tokenizer: Path) -> None:
    with _open(0, tokenizer) as feed:
        _take(feed, 3)
        state = feed.state()
        expected = _take(feed, 4)
    with _open(0, tokenizer, state) as resumed:
        assert all(map(_equal, _take(resumed, 4), expected))
        assert resumed.state().taken == 7


def test_workers_take_turns_and_go_on_where_they_were(tokenizer: Path) -> None:
    sources = [OwnFeed(make_source(tokenizer, f"5 {number}")) for number in range(2)]
    expected = [sources[i % 2].batch(STAGE) for i in range(6)]
    with _open(2, tokenizer) as feed:
        assert all(map(_equal, _take(feed, 3), expected))
        state = feed.state()
    with _open(2, tokenizer, state) as resumed:
        assert all(map(_equal, _take(resumed, 3), expected[3:]))


def test_another_number_of_workers_draws_anew(tokenizer: Path) -> None:
    with _open(0, tokenizer) as feed:
        first = _take(feed, 1)
        state = FeedState((*feed.state().sources, None), 1)
    with _open(0, tokenizer, state) as resumed:
        assert not _equal(_take(resumed, 1)[0], first[0])


def test_a_worker_that_fails_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="its error stands above"):
        Workers(1, tmp_path / "no tokenizer", 1)
