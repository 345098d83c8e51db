"""The rows of the hostile cells: each alone, and two conversations attacking at once."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.interpreter.hostile_range import CELLS, Cell, Range, Shot
from benchmarks.interpreter.rows import Result, Setting


def hostile_cells(setting: Setting, repeats: int) -> Result:
    """Every cell `repeats` times."""
    return _shoot(setting, [(cell,) for cell in CELLS * repeats])


def two_attacks(setting: Setting, count: int) -> Result:
    """`count` pairs of cells, drawn so that each cell meets others; 0 for all cells."""
    cells = setting.dice.sample(CELLS, len(CELLS))
    pairs = list(zip(cells[::2], cells[1::2], strict=False))
    return _shoot(setting, pairs[: count or None])


def _shoot(setting: Setting, rounds: Sequence[tuple[Cell, ...]]) -> Result:
    os.environ["APP_SECRET"] = "topsecret123"  # what a cell must not find
    shots: list[Shot] = []
    with Range(setting.folder, setting.isolation) as the_range:
        for cells in rounds:
            for shot in the_range.shoot(*cells):
                shots.append(shot)
                setting.tell(
                    f"{len(shots)} {shot.cell['id']} {shot.seconds:.1f} s {shot.complaints or ''}"
                )
    failures = [f"{s.cell['id']}: {', '.join(s.complaints)}" for s in shots if s.complaints]
    return Result(f"{len(shots) - len(failures)} of {len(shots)}", tuple(failures))
