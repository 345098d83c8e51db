"""From outcomes to the table of figures, each with its count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.acceptance.items import Call, Code

if TYPE_CHECKING:  # playing needs the whole application, showing figures does not
    from training.acceptance.play import Outcome

Score = tuple[int, int]
"""Right, and all."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `most` marks figures that must stay below their limit.

    Those with a `short` name are kept for each run, so that the runs can be compared.
    """

    name: str
    must: float
    aim: float
    score: Callable[[Sequence[Outcome]], Score]
    most: bool = False
    short: str = ""


def share(chosen: Callable[[Outcome], bool]) -> Callable[[Sequence[Outcome]], Score]:
    """Counts the right ones among the outcomes that are `chosen`."""

    def score(outcomes: Sequence[Outcome]) -> Score:
        kept = [outcome for outcome in outcomes if chosen(outcome)]
        return sum(outcome.right for outcome in kept), len(kept)

    return score


def _check(mode: str, check: str) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.item.mode == mode and outcome.check == check


def _first(mode: str, check: str, *, app: bool = False) -> Callable[[Outcome], bool]:
    """First steps; those with the tools of the app itself are counted apart."""

    def chosen(outcome: Outcome) -> bool:
        first = outcome.number == 0 and _check(mode, check)(outcome)
        return first and app == (outcome.item.kind == "app")

    return chosen


def _malformed(outcomes: Sequence[Outcome]) -> Score:
    bad = {o.item.name for o in outcomes if o.malformed and o.item.mode == "tool"}
    return len(bad), len({o.item.name for o in outcomes if o.item.mode == "tool"})


def _whole(mode: str, *, honest: bool | None = None) -> Callable[[Sequence[Outcome]], Score]:
    """Items of which every step is right; `honest` keeps just those that ask for the unable."""

    def score(outcomes: Sequence[Outcome]) -> Score:
        kept = [
            outcome
            for outcome in outcomes
            if outcome.item.mode == mode and honest in (None, outcome.item.kind == "honest")
        ]
        wrong = {outcome.item.name for outcome in kept if not outcome.right}
        names = {outcome.item.name for outcome in kept}
        return len(names - wrong), len(names)

    return score


ROWS = (
    Row(
        "tool: first call exactly right (name and all arguments)",
        0.75,
        0.90,
        share(_first("tool", "call")),
        short="first call",
    ),
    Row(
        "tool: the same with the six tools of the app's own page",
        0.75,
        0.90,
        share(_first("tool", "call", app=True)),
    ),
    Row(
        "tool: answer quotes the observation's values, given the right call",
        0.90,
        0.97,
        share(_check("tool", "observed")),
    ),
    Row(
        "tool: no tool fits / small talk → no call",
        0.75,
        0.90,
        share(_check("tool", "text")),
        short="no call",
    ),
    Row("malformed calls over all tool items", 0.05, 0.01, _malformed, most=True),
    Row(
        "code: first cell gives the right result or figure",
        0.75,
        0.90,
        share(_first("code", "code")),
        short="first cell",
    ),
    Row(
        "code: final answer quotes the printed result",
        0.90,
        0.97,
        share(_check("code", "observed")),
    ),
    Row(
        "code: error observation → next cell repairs it",
        0.60,
        0.80,
        share(_check("code", "repair")),
        short="repair",
    ),
    Row(
        "chat: whole item right (memory, system prompt, identity, help, echo)",
        0.75,
        0.90,
        _whole("chat", honest=False),
        short="chat",
    ),
    Row(
        "chat: declines honestly what it can't do",
        1.0,
        1.0,
        _whole("chat", honest=True),
    ),
)

GAP_MUST, GAP_AIM = 12.0, 6.0
"""Points that Chinese and English may lie apart."""


def language_score(outcomes: Sequence[Outcome], mode: str, language: str) -> Score:
    """First steps right in tool and code mode, whole items right in chat."""
    own = [o for o in outcomes if o.item.mode == mode and o.item.language == language]
    return _whole(mode)(own) if mode == "chat" else share(lambda o: o.number == 0)(own)


def language_gap(english: Score, chinese: Score) -> float:
    """Points between the two shares."""
    return 100 * abs(english[0] / english[1] - chinese[0] / chinese[1])


def details(outcomes: Iterable[Outcome]) -> dict[str, Score]:
    """Scores by mode, kind and what was checked."""
    counts: dict[str, list[int]] = {}
    for outcome in outcomes:
        counted = counts.setdefault(_detail(outcome), [0, 0])
        counted[0] += outcome.right
        counted[1] += 1
    return {name: (right, total) for name, (right, total) in sorted(counts.items())}


def _detail(outcome: Outcome) -> str:
    later = " again" if outcome.number and isinstance(outcome.expected, Call | Code) else ""
    return f"{outcome.item.mode} · {outcome.item.kind} · {outcome.check}{later}"


def speed(outcomes: Iterable[Outcome], lengths: range = range(200, 401)) -> Mapping[str, float]:
    """Medians over the replies to prompts of these lengths of which nothing was cached."""
    used = [
        o.usage
        for o in outcomes
        if o.usage.prompt_tokens in lengths
        and o.usage.completion_tokens >= 10
        and o.usage.cached_tokens < 16
    ]
    if not used:
        return {}
    return {
        "replies": len(used),
        "tokens_per_second": _median([usage.tokens_per_second for usage in used]),
        "first_token_seconds": _median([usage.first_token_seconds for usage in used]),
    }


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
