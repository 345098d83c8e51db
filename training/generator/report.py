"""Figures about the generator: breadth, length and speed of what it yields.

    python -m training.generator.report [--rows 2000] [--seed 0] [--show 0]

Tokens are those of the built-in model's tokenizer.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from training.generator.draw import Draw
from training.generator.lexicon import Lang
from training.generator.mix import sample
from training.generator.requests import request
from training.generator.row import Encoded, Row
from training.generator.services import service, service_entries
from training.generator.templates import choose
from training.rendering import encode_branches, encode_row
from training.schedule import LINE
from training.tokenizer import BuiltinTokenizer

TOKENIZER = Path(__file__).resolve().parents[2] / "glmdemo/models/builtin"
LANGS: tuple[Lang, ...] = ("en", "zh")
_TRIES = 300


def report(rows: int, seed: int) -> list[str]:
    """Lines of `name: figure` over `rows` random rows of the mixture at full difficulty."""
    tokenizer = BuiltinTokenizer.load(TOKENIZER)
    draw = Draw(random.Random(seed))
    begun = time.process_time()
    drawn = [sample(draw) for _ in range(rows)]
    made = time.process_time()
    encoded = [_encode_all(tokenizer, row) for row in drawn]
    ended = time.process_time()
    lines = []
    modes = sorted({row.category.split("/")[0] for row in drawn})
    for mode in (*modes, ""):
        chosen = [i for i, row in enumerate(drawn) if row.category.startswith(mode)]
        lines.append(_lengths(mode or "all", [encoded[i] for i in chosen]))
    prompts = [request for row in drawn for request in row.requests()]
    total = sum(len(ids) for ids, _ in encoded)
    lines += [
        f"distinct requests: {len(set(prompts))} of {len(prompts)}",
        f"invented or rare tool names: {_rare_names(drawn):.0%}",
        f"services: {len(service_entries())}",
        f"lines of a service with their alternatives, median: {_median_lines()}",
        f"requests to a service with the same values, distinct of {_TRIES}: {_median_requests()}",
        f"tokens per second: generating {total / (made - begun):.0f}, "
        f"with encoding {total / (ended - begun):.0f}",
    ]
    kinds = Counter(row.category for row in drawn)
    return [*lines, "", *(f"{kind:26} {count:5}" for kind, count in sorted(kinds.items()))]


def _encode_all(tokenizer: BuiltinTokenizer, row: Row) -> Encoded:
    """All tokens of a row, its branches one after another."""
    parts = [encode_row(tokenizer, row), *encode_branches(tokenizer, row)]
    return Encoded(
        [i for ids, _ in parts for i in ids], [own for _, learnt in parts for own in learnt]
    )


def _lengths(name: str, encoded: Sequence[Encoded]) -> str:
    tokens = sum(len(ids) for ids, _ in encoded)
    own = sum(sum(written) for _, written in encoded)
    left_out = sum(len(ids) > LINE for ids, _ in encoded)
    return (
        f"{name}: {len(encoded)} rows, {tokens / len(encoded):.0f} tokens each, "
        f"{own / tokens:.0%} written by the assistant, {left_out} longer than {LINE}"
    )


def _rare_names(drawn: Sequence[Row]) -> float:
    """Share of offered tools whose name is none of the services' own."""
    known = {name for entry in service_entries() for name in entry["names"][0].split()}
    names = [tool["function"]["name"] for row in drawn for tool in row.tools]
    names = [name for row, name in zip(_repeated(drawn), names, strict=True) if _open(row)]
    return sum(name not in known for name in names) / max(1, len(names))


def _repeated(drawn: Sequence[Row]) -> list[Row]:
    return [row for row in drawn for _ in row.tools]


def _open(row: Row) -> bool:
    return row.category.startswith("tool/") and row.category != "tool/app"


def _median_lines() -> int:
    """Distinct expansions of the written lines of a service in one language."""
    counts = []
    for entry in service_entries():
        for lang in LANGS:
            draw = Draw(random.Random(0), lang)
            lines = entry["ask"][lang]
            counts.append(len({choose(draw, draw.pick(lines)) for _ in range(_TRIES)}))
    return sorted(counts)[len(counts) // 2]


def _median_requests() -> int:
    """Distinct requests, written or composed, without typing mistakes."""
    counts = []
    for seed in range(40):
        draw = Draw(random.Random(seed), LANGS[seed % 2], level=0)
        tool = service(draw)
        values = tool.draw_values(draw)
        counts.append(len({request(draw, tool, values) for _ in range(_TRIES)}))
    return sorted(counts)[len(counts) // 2]


def show(rows: int, seed: int) -> None:
    """Print rows as a reader sees them, without the schemas' punctuation."""
    draw = Draw(random.Random(seed))
    for _ in range(rows):
        row = sample(draw)
        print(f"--- {row.category} {row.lang}")
        for tool in row.tools:
            print(f"    {tool['function']}")
        for message in itertools.chain(row.messages, *row.branches):
            calls = "; ".join(f"{call.name} {call.arguments}" for call in message.tool_calls)
            print(f"{message.role.value}: {calls or message.content}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="rows to print")
    options = parser.parse_args()
    if options.show:
        show(options.show, options.seed)
    else:
        print("\n".join(report(options.rows, options.seed)))


if __name__ == "__main__":
    main()
