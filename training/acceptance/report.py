"""The report of one acceptance run: JSON to keep, Markdown to read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glmdemo.clients.base import ClientInfo
from training.acceptance.figures import (
    GAP_AIM,
    GAP_MUST,
    ROWS,
    Score,
    details,
    language_gap,
    language_score,
    speed,
)
from training.acceptance.items import MODES

if TYPE_CHECKING:
    from training.acceptance.play import Outcome

Report = dict[str, Any]
Runs = Mapping[str, Sequence["Outcome"]]
"""Outcomes by how calls were decoded: "guided" and "free"."""

SPEED_MUST, SPEED_AIM = 100, 200
FIRST_TOKEN_MUST, LOAD_MUST = 0.3, 2.0


def make_report(runs: Runs, info: ClientInfo, machine: Mapping[str, Any]) -> Report:
    """`machine` tells processors, threads, seconds of loading and how cells were confined."""
    first = next(iter(runs.values()))
    return {
        "model": info.model,
        "parameters": info.parameters,
        "date": date.today().isoformat(),
        "commit": _commit(),
        "machine": dict(machine),
        "rows": [
            {
                "name": row.name,
                "short": row.short,
                "must": row.must,
                "aim": row.aim,
                "most": row.most,
                "scores": {way: row.score(outcomes) for way, outcomes in runs.items()},
            }
            for row in ROWS
            if row.score(first)[1]
        ],
        "languages": {
            mode: {lang: language_score(first, mode, lang) for lang in ("en", "zh")}
            for mode in MODES
            if any(outcome.item.mode == mode for outcome in first)
        },
        "details": {way: details(outcomes) for way, outcomes in runs.items()},
        "speed": dict(speed(first)),
    }


def in_short(report: Report) -> dict[str, Score]:
    """The scores that are kept for each run, by their short names; calls guided where they were."""
    way = next(iter(report["details"]))
    return {row["short"]: row["scores"][way] for row in report["rows"] if row["short"]}


def markdown(report: Report) -> str:
    """The tables, as they stand in the model card."""
    return "\n".join([*_rows(report), "", *_languages(report), "", *_speed(report)])


def detail_table(report: Report) -> str:
    """Scores by mode, kind and what was checked."""
    ways = list(report["details"])
    lines = table_header("mode · kind · check", *ways)
    for name, score in report["details"][ways[0]].items():
        lines.append(
            table_line(name, *(counted(report["details"][w].get(name, score)) for w in ways))
        )
    return "\n".join(lines)


def _rows(report: Report) -> Iterator[str]:
    ways = list(report["rows"][0]["scores"])
    yield from table_header("what", "must", "aim", *(f"{way} calls" for way in ways))
    for row in report["rows"]:
        sign = "≤ " if row["most"] else ""
        scores = [counted(row["scores"][way]) for way in ways]
        yield table_line(
            row["name"], f"{sign}{row['must']:.0%}", f"{sign}{row['aim']:.0%}", *scores
        )


def _languages(report: Report) -> Iterator[str]:
    yield from table_header("Chinese against English", "must", "aim", "English", "Chinese", "apart")
    for mode, scores in report["languages"].items():
        english, chinese = tuple(scores["en"]), tuple(scores["zh"])
        yield table_line(
            f"{mode}: {'whole items' if mode == 'chat' else 'first steps'}",
            f"≤ {GAP_MUST:.0f} points",
            f"≤ {GAP_AIM:.0f}",
            counted(english),
            counted(chinese),
            f"{language_gap(english, chinese):.0f} points",
        )


def _speed(report: Report) -> Iterator[str]:
    machine, seen = report["machine"], report["speed"]
    yield from table_header("speed", "must", "aim", "measured")
    if seen:
        many = f"{seen['replies']} prompts of 200 to 400 tokens"
        rate = f"{seen['tokens_per_second']:.0f} tokens/s (median, {many})"
        yield table_line("decoding", f"{SPEED_MUST} tokens/s", f"{SPEED_AIM} tokens/s", rate)
        first = f"{seen['first_token_seconds']:.3f} s (median, the same)"
        yield table_line("first token", f"< {FIRST_TOKEN_MUST} s", "", first)
    loading = f"{machine['load_seconds']:.2f} s, libraries included"
    yield table_line("load", f"< {LOAD_MUST:.0f} s", "", loading)
    yield ""
    yield (
        f"Machine: {machine['processors']} processor(s), {machine['threads']} thread(s), "
        f"load {machine['load']:.1f}."
    )


def table_header(*titles: str) -> list[str]:
    return [table_line(*titles), table_line(*["---"] * len(titles))]


def table_line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def counted(score: Iterable[int]) -> str:
    """A share with its count: 29% (24/82)."""
    right, total = score
    return f"{right / total:.0%} ({right}/{total})" if total else "none asked"


def _commit() -> str:
    """The commit of this tree, "" where it is not under git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - whichever git there is
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()


__all__ = ["Report", "Runs", "Score", "detail_table", "make_report", "markdown"]
