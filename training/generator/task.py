"""What a code task is: a request, the cell that answers it, the files it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.wording import phrase


@dataclass(frozen=True)
class Task:
    kind: str
    ask: str
    cell: str
    files: Mapping[str, str] = field(default_factory=dict)
    has_list: bool = False
    """Whether the cell leaves its numbers in the variable `data`."""
    columns: tuple[str, ...] = ()
    """Columns of numbers of the table that the cell leaves in the variable `df`."""
    again: str = ""
    """What alone must be named to ask for the same with other values: and <again>?"""


def ask(draw: Draw, kind: str, **slots: object) -> str:
    """A wording of the request `kind`."""
    return phrase(draw, wording(draw, kind), slots)


def wording(draw: Draw, *keys: str) -> tuple[str, ...]:
    """The lines of the request at `keys` of code.yaml, in the held-out split of code.held.yaml."""
    known = phrases("code.held" if draw.held_out else "code")
    for key in keys:
        known = known[key]
    lines: tuple[str, ...] = known[draw.lang]
    return lines


def number_list(draw: Draw) -> list[int | float]:
    """Three to ten numbers of one size; every third list has decimals, some have minus signs."""
    rng = draw.rng
    count = rng.randint(3, 5 if not draw.chance(draw.level) else 10)
    top = draw.pick((9, 30, 100, 100, 1000, 5000, 99999))
    if draw.chance(0.3):
        return [round(rng.uniform(0, min(top, 1000)), draw.pick((1, 1, 2))) for _ in range(count)]
    numbers: list[int | float] = [rng.randint(0 if top > 9 else 1, top) for _ in range(count)]
    if draw.chance(0.15):
        numbers = [-n if draw.chance(0.4) else n for n in numbers]
    return numbers


def spoken_list(draw: Draw, numbers: list[int | float]) -> str:
    """Numbers the way a user types them."""
    joint = draw.by_lang(
        draw.pick((", ", ", ", ", ", " ", ",", "; ")), draw.pick(("、", "，", ", ", " ", ",", "、"))
    )
    texts = [str(n) for n in numbers]
    if draw.chance(0.25):
        last = draw.by_lang(draw.pick((" and ", ", and ")), draw.pick(("和", "、和", "以及")))
        return joint.join(texts[:-1]) + last + texts[-1]
    text = joint.join(texts)
    return f"({text})" if draw.chance(0.03) else f"[{text}]" if draw.chance(0.08) else text
