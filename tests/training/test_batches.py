"""Batches: what is packed, and that no kind of conversation is lost to the length of a line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import glmdemo
from training.batches import BatchMaker
from training.generator.app_tools import app_row, app_schemas
from training.generator.draw import Draw
from training.generator.row import random_draw
from training.rendering import encode_row
from training.schedule import LINE, stage
from training.tokenizer import BuiltinTokenizer

MODEL = Path(glmdemo.__file__).parent / "models" / "builtin"


@pytest.fixture(scope="module")
def tokenizer() -> BuiltinTokenizer:
    if not (MODEL / "tokenizer.json").exists():
        pytest.skip("no tokenizer is exported yet")
    return BuiltinTokenizer.load(MODEL)


def test_rows_with_all_tools_of_the_app_fit_a_line(tokenizer: BuiltinTokenizer) -> None:
    """The first weights never saw the Tool page's own prompt: its rows were all too long."""
    rows = [app_row(random_draw(i, "zh" if i % 2 else "en")) for i in range(120)]
    full = [encode_row(tokenizer, row)[0] for row in rows if len(row.tools) == len(app_schemas())]
    assert len(full) > 20
    assert sum(len(ids) <= LINE for ids in full) >= 0.9 * len(full)


def test_no_kind_of_row_is_always_left_out(tokenizer: BuiltinTokenizer) -> None:
    maker = BatchMaker(tokenizer, tokenizer.size, Draw(random.Random(1)))
    for _ in range(60):
        batch = maker.batch(stage(0.9, 1536))
        assert batch.inputs.shape == batch.targets.shape == batch.weights.shape
        assert all(tensor.shape == batch.inputs.shape for tensor in batch.packing)
        assert (batch.packing.rows.diff(dim=1) >= 0).all()
        assert batch.weights.sum() > 0
    lost = {kind for kind, n in maker.drawn.items() if n >= 10 and maker.too_long[kind] == n}
    assert not lost
    assert maker.too_long.total() < 0.06 * maker.drawn.total()
