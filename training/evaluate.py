"""Runs the acceptance set through the product and prints the table of figures.

    python -m training.evaluate [--model DIR] [--only tool] [--show 5] [--report FILE]

Without arguments it measures the weights that the package ships. Requests are answered by
`open_client()`, the agent loop and the code interpreter's kernel, greedily; those with tools twice:
with guided calls and with free ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from glmdemo.clients.base import ModelClient
from glmdemo.clients.open import open_client
from training.acceptance.cells import Cells, open_cells
from training.acceptance.items import MODES, Item, load_items
from training.acceptance.passing import choose_passing, write_passing
from training.acceptance.play import Outcome, play
from training.acceptance.report import Report, detail_table, make_report, markdown

WAYS = {"guided": True, "free": False}
"""How calls are decoded, by the names that the report uses."""


_OPEN = """
import sys, time
begun = time.monotonic()
from contextlib import closing
from glmdemo.clients.open import open_client
with closing(open_client(*sys.argv[1:])):
    print(time.monotonic() - begun)
"""


def evaluate(
    client: ModelClient, items: Sequence[Item], cells: Cells | None
) -> dict[str, list[Outcome]]:
    """Outcomes of all items by the way calls were decoded; chat has none and is played once."""
    runs: dict[str, list[Outcome]] = {way: [] for way in WAYS}
    for number, item in enumerate(items, start=1):
        _show_progress(f"{number}/{len(items)} {item.name}")
        if item.mode == "chat":
            outcomes = play(item, client, None)
            for run in runs.values():
                run += outcomes
        else:
            for way, guided in WAYS.items():
                runs[way] += play(item, client, cells, guided=guided)
    _show_progress("")
    return runs


@contextmanager
def model_folder(given: Path | None, tokenizer: Path | None) -> Iterator[str | None]:
    """What `open_client` reads; a training run is exported to a temporary folder first."""
    if given is None or not (given / "checkpoint.pt").is_file():
        yield None if given is None else str(given)
        return
    from glmdemo.models import builtin_path
    from training.export import export

    with tempfile.TemporaryDirectory() as folder:
        export(given, tokenizer or builtin_path(), Path(folder))
        yield folder


def mistakes(outcomes: Sequence[Outcome], most: int) -> Iterator[str]:
    """Up to `most` wrong steps of each mode, a line each."""
    for mode in MODES:
        wrong = [o for o in outcomes if o.item.mode == mode and not o.right]
        for outcome in wrong[:most]:
            yield f"{outcome.item.name} step {outcome.number}, {outcome.check}: {outcome.said!r}"


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _seconds_to_load(model: str | None) -> float:
    """Until a client is open in a process of its own, so that libraries count as for a user."""
    given = () if model is None else (model,)
    done = subprocess.run(  # noqa: S603 - this interpreter, and a folder the user named
        [sys.executable, "-c", _OPEN, *given], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def _machine(load_seconds: float) -> dict[str, Any]:
    from glmdemo.engine.local import default_threads

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processors": usable,
        "threads": default_threads(),
        "load": os.getloadavg()[0],
        "load_seconds": load_seconds,
    }


def measure(model: str | None, only: str | None = None) -> tuple[dict[str, list[Outcome]], Report]:
    """Play the items (of one mode) on the model that `open_client` finds; outcomes and figures."""
    items = [item for item in load_items() if only in (None, item.mode)]
    needs_kernel = any(item.mode == "code" for item in items)
    loaded = _seconds_to_load(model)
    with closing(open_client(model)) as client:
        with open_cells() if needs_kernel else nullcontext() as cells:
            if cells is not None and cells.warning:
                print(cells.warning)
            runs = evaluate(client, items, cells)
        return runs, make_report(runs, client.info, _machine(loaded))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", type=Path, help="an exported model or a training run; default: the shipped one"
    )
    parser.add_argument(
        "--tokenizer", type=Path, help="tokenizer of a training run; default: the shipped one"
    )
    parser.add_argument("--only", choices=MODES, help="one mode of the three")
    parser.add_argument("--show", type=int, default=0, help="mistakes to print of each mode")
    parser.add_argument("--report", type=Path, help="where to write the figures as JSON")
    parser.add_argument(
        "--write-passing", type=Path, help="where to write the items to guard (see README.md)"
    )
    options = parser.parse_args()
    begun = time.monotonic()
    with model_folder(options.model, options.tokenizer) as model:
        runs, report = measure(model, options.only)
    print(markdown(report), detail_table(report), sep="\n\n")
    for line in mistakes(runs["guided"], options.show):
        print(line)
    print(f"measured in {time.monotonic() - begun:.0f} s")
    if options.report:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        options.report.write_text(text + "\n", encoding="utf-8")
    if options.write_passing:
        write_passing(choose_passing(runs.values()), options.write_passing)


if __name__ == "__main__":
    main()
