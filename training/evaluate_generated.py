"""Measures a model on the generator's own split, through the product, with exact checks.

    python -m training.evaluate_generated [--model DIR] [--rows 40] [--show 5]

Without arguments it measures the weights that the package ships. "held-out" rows use wordings,
services and parameter names that training never uses, "seen" rows training wordings with fresh
values. They are played like the acceptance set, greedily, with guided calls and with free ones.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch

from glmdemo.clients.open import open_client
from glmdemo.models import builtin_path
from training.acceptance.cells import open_cells
from training.acceptance.figures import Score, share
from training.acceptance.play import Outcome
from training.acceptance.report import Runs, counted, table_header, table_line
from training.checkpoints import load_network
from training.evaluate import evaluate, mistakes, model_folder
from training.own_items import SPLITS, own_items
from training.probes import copy_probe
from training.tokenizer import BuiltinTokenizer

ROWS = 40
"""Items of each mode and split."""

_COPY_ASKED = 0.99
_FIGURES: Mapping[str, tuple[str, Callable[[Outcome], bool]]] = {
    "tool: calls exactly right": ("90%", lambda outcome: outcome.check == "call"),
    "code: cells with the right result": (
        "92%",
        lambda outcome: outcome.check in ("code", "repair"),
    ),
    "answers that quote the observation": ("", lambda outcome: outcome.check == "observed"),
    "no call where none is wanted": ("", lambda outcome: outcome.check == "text"),
}
"""What is asked of held-out rows, and which steps count."""


def measure(model: Path, rows: int = ROWS) -> tuple[Runs, float]:
    """Outcomes of `rows` items of each split and mode by the way calls were decoded, and the copy
    probe, of an exported model."""
    with closing(open_client(str(model))) as client, open_cells() as cells:
        if cells.warning:
            print(cells.warning)
        runs = evaluate(client, own_items(rows), cells)
    tokenizer = BuiltinTokenizer.load(model)
    return runs, copy_probe(load_network(model).eval(), tokenizer, torch.device("cpu"))


def table(runs: Runs, copied: float) -> str:
    """Markdown: right steps by split and by how calls were decoded."""
    columns = [(split, way) for split in SPLITS for way in runs]
    lines = table_header("what", "asked", *(f"{split}, {way}" for split, way in columns))
    for name, (asked, chosen) in _FIGURES.items():
        scores = [_score(runs[way], split, chosen) for split, way in columns]
        lines.append(table_line(name, asked, *map(counted, scores)))
    empty = [""] * (len(columns) - 1)
    lines.append(table_line("copy probe", f"{_COPY_ASKED}", f"{copied:.3f}", *empty))
    return "\n".join(lines)


def _score(outcomes: Sequence[Outcome], split: str, chosen: Callable[[Outcome], bool]) -> Score:
    return share(lambda outcome: outcome.item.kind == split and chosen(outcome))(outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", type=Path, help="an exported model or a training run; default: the shipped one"
    )
    parser.add_argument("--tokenizer", type=Path, help="tokenizer of a training run")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of each mode and split")
    parser.add_argument("--show", type=int, default=0, help="mistakes to print of each mode")
    options = parser.parse_args()
    begun = time.monotonic()
    with model_folder(options.model, options.tokenizer) as model:
        runs, copied = measure(Path(model) if model else builtin_path(), options.rows)
    print(table(runs, copied))
    for way, outcomes in runs.items():
        for line in mistakes(outcomes, options.show):
            print(f"{way}: {line}")
    print(f"measured in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
