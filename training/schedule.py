"""How learning rate and data change over a training run, as functions of its progress (0..1)."""

from __future__ import annotations

import math

from training.batches import Stage

LINE = 768
"""Tokens of a line of a batch. A longer conversation is left out, so it must hold the app's own
six tools and some exchanges: their prompt alone has about 490 tokens."""

WARM_UP_STEPS = 60
DECAY_START = 0.45
FINAL_RATE = 0.02
"""Share of the full learning rate at the end; judge a checkpoint only after the decay."""

COPY_ONLY_UNTIL = 0.14
_COPY_FADED = 0.28
_COPY_REST = 0.03

_MATCHING_MOST = 0.6
_MATCHING_REST = 0.12
"""Rows of `generator.matching` are the greater part between the copies and the end of the
groundwork, plain ones first."""

GROUNDWORK_UNTIL = 0.4
_MATCHING_FADED = 0.5
"""At `GROUNDWORK_UNTIL` the data has its full difficulty. All these are points of `data_progress`,
which is a run's time unless its groundwork takes another share of it."""


def rate(progress: float, step: int) -> float:
    """Factor of the learning rate: warm-up, stable, then 1 - sqrt decay.

    The decay falls fast at first (shape from arXiv 2405.18392), since the full rate is too noisy
    for exact copies: calls did not improve between 5 and 8 M tokens before it.
    """
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    if progress < DECAY_START:
        return warm
    decayed = min(1.0, (progress - DECAY_START) / (1 - DECAY_START))
    return warm * max(FINAL_RATE, 1 - math.sqrt(decayed))


def data_progress(progress: float, groundwork: float, begun: float = 0.0) -> float:
    """How far the data is at `progress` of a run that spends the share `groundwork` of its time on
    the groundwork, of which it finds `begun` done; without any it is all done."""
    if not groundwork:
        return 1.0
    if progress < groundwork:
        return begun + (GROUNDWORK_UNTIL - begun) * progress / groundwork
    return min(1.0, GROUNDWORK_UNTIL + progress - groundwork)


def stage(taught: float, tokens_per_step: int, hardest: float = 1.0) -> Stage:
    """Short rows of copies first, then conversations of growing difficulty, up to `hardest`;
    `taught` is the data progress.

    A run too short for everything learns the plain requests well when `hardest` is below 1.
    """
    if taught < COPY_ONLY_UNTIL:
        level = taught / COPY_ONLY_UNTIL
        return Stage(copy_share=1.0, level=level, length=256, rows=max(1, tokens_per_step // 384))
    copies = _between(0.4, _COPY_REST, _ramp(taught, COPY_ONLY_UNTIL, _COPY_FADED))
    level = _ramp(taught, COPY_ONLY_UNTIL, GROUNDWORK_UNTIL)
    faded = _ramp(taught, GROUNDWORK_UNTIL, _MATCHING_FADED)
    return Stage(
        copy_share=copies,
        matching_share=_between(_MATCHING_MOST, _MATCHING_REST, faded),
        matching_level=level,
        level=min(level, hardest),
        length=LINE,
        rows=max(1, tokens_per_step // LINE),
    )


def _ramp(progress: float, start: float, end: float) -> float:
    """0 until `start`, 1 from `end` on."""
    return min(1.0, max(0.0, (progress - start) / (end - start)))


def _between(first: float, last: float, share: float) -> float:
    return first + (last - first) * share
