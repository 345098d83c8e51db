"""Which requests of the acceptance set the generator makes too, and the figures without them.

    python -m training.overlap [--rows 50000] [--model DIR]

Both are worded apart, but a greeting or "42!" has few wordings. Requests count as the same up to
their numbers, case and punctuation; items with such a request are left out of the second figure.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterable, Iterator

from training.acceptance.figures import ROWS
from training.acceptance.items import Item, load_items
from training.acceptance.report import counted, table_header, table_line
from training.evaluate import measure
from training.generator.draw import Draw
from training.generator.mix import sample
from training.generator.row import Row

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_APART = re.compile(r"[\W_]+")


def normal(request: str) -> str:
    """`request` without what may differ between two that count as the same."""
    return _APART.sub(" ", _NUMBER.sub("0", request.lower())).strip()


def shared_requests(items: Iterable[Item], rows: Iterable[Row]) -> dict[str, set[str]]:
    """What both have, in normal form, with the names of the items that ask it."""
    asked: dict[str, set[str]] = {}
    for item in items:
        for step in item.steps:
            if step.user is not None:
                asked.setdefault(normal(step.user), set()).add(item.name)
    made = {normal(request) for row in rows for request in row.requests()}
    return {request: names for request, names in asked.items() if request in made}


def _rows(count: int) -> Iterator[Row]:
    draw = Draw(random.Random(0))
    return (sample(draw) for _ in range(count))


def table(model: str | None, left_out: set[str]) -> list[str]:
    """Markdown: the figures with guided calls of all items, and of those that are not left out."""
    outcomes = measure(model)[0]["guided"]
    apart = [outcome for outcome in outcomes if outcome.item.name not in left_out]
    lines = table_header("what", "all", "without them")
    for row in ROWS:
        lines.append(table_line(row.name, counted(row.score(outcomes)), counted(row.score(apart))))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000, help="rows of the generator")
    parser.add_argument("--model", help="an exported model; default: the shipped one")
    options = parser.parse_args()
    items = load_items()
    shared = shared_requests(items, _rows(options.rows))
    print(*sorted(shared), sep="\n")
    left_out = set().union(*shared.values())
    print(f"{len(shared)} requests, in {len(left_out)} of {len(items)} items", end="\n\n")
    print(*table(options.model, left_out), sep="\n")


if __name__ == "__main__":
    main()
