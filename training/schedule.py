"""How learning rate and data change over a training run, as functions of its progress (0..1)."""

from __future__ import annotations

import math

from training.batches import Stage

LINE = 768
"""Tokens of a line of a batch. A longer conversation is left out, so it must hold the app's own
six tools and some exchanges: their prompt alone has about 490 tokens."""

WARM_UP_STEPS = 60
DECAY_START = 0.78
FINAL_RATE = 0.02
"""Share of the full learning rate at the end; judge a checkpoint only after the decay."""

COPY_ONLY_UNTIL = 0.14
_COPY_FADED = 0.28
_COPY_REST = 0.03

_MATCHING_MOST = 0.4
_MATCHING_REST = 0.12
_MATCHING_PLAIN_UNTIL = 0.55
_MATCHING_UNTIL = 0.8
_MATCHING_FADED = 0.92
"""Rows of `generator.matching` are the greater part until choosing is learnt; plain ones first."""

GROUNDWORK_UNTIL = 0.4
"""From here on the data has its full difficulty; a run from trained weights starts here."""


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


def data_progress(progress: float, groundwork: float) -> float:
    """How far the data is at `progress` of a run whose groundwork takes that share of it."""
    if progress >= groundwork:
        return 1.0
    return progress / groundwork * GROUNDWORK_UNTIL


def stage(
    progress: float,
    tokens_per_step: int,
    hardest: float = 1.0,
    groundwork: float = GROUNDWORK_UNTIL,
) -> Stage:
    """Short rows of copies first, then conversations of growing difficulty, up to `hardest`.

    A run too short for everything learns the plain requests well when `hardest` is below 1; one
    from trained weights needs no `groundwork`.
    """
    taught = data_progress(progress, groundwork)
    if taught < COPY_ONLY_UNTIL:
        level = taught / COPY_ONLY_UNTIL
        return Stage(copy_share=1.0, level=level, length=256, rows=max(1, tokens_per_step // 384))
    fade = min(1.0, (taught - COPY_ONLY_UNTIL) / (_COPY_FADED - COPY_ONLY_UNTIL))
    level = min(1.0, (taught - COPY_ONLY_UNTIL) / (GROUNDWORK_UNTIL - COPY_ONLY_UNTIL))
    return Stage(
        copy_share=0.4 + (_COPY_REST - 0.4) * fade,
        matching_share=matching_share(progress),
        matching_level=_ramp(progress, _MATCHING_PLAIN_UNTIL, _MATCHING_UNTIL),
        level=min(level, hardest),
        length=LINE,
        rows=max(1, tokens_per_step // LINE),
    )


def matching_share(progress: float) -> float:
    """Share of the lines that are rows of `generator.matching`."""
    faded = _ramp(progress, _MATCHING_UNTIL, _MATCHING_FADED)
    return _MATCHING_MOST + (_MATCHING_REST - _MATCHING_MOST) * faded


def _ramp(progress: float, start: float, end: float) -> float:
    """0 until `start`, 1 from `end` on."""
    return min(1.0, max(0.0, (progress - start) / (end - start)))
