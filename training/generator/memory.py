"""Facts that a user tells about himself, corrects, and asks for later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.turn import Turn
from training.generator.values import coined, hanzi, value
from training.generator.wording import phrase, plain

Fact = dict[str, Any]
"""An entry of chat.yaml: its kind of value, how it is told, asked for and said."""

Known = dict[str, tuple[Fact, object]]
"""What has been told: fact and value by the fact's key."""

_FEW_VALUES = ("food", "color", "hobby")
_CORRECTED = 0.33
_NOT_TOLD = 0.06
_BETWEEN = 0.45
_WORDINGS = 2
"""Of the questions about each fact that are asked side by side."""


def memory(draw: Draw, other: Callable[[Draw], Turn]) -> list[Turn]:
    """One to three facts, `other` turns between, questions at the end; corrections win."""
    turns, known, corrected = _told(draw, other)
    if draw.chance(_NOT_TOLD * draw.level):
        turns.append(_unknown(draw, known))
    questions = draw.rng.sample(list(known), draw.rng.randint(1, len(known)))
    if corrected and corrected not in questions:
        questions.append(corrected)
    return turns + [question(draw, *known[key]) for key in questions]


def recalled(draw: Draw, other: Callable[[Draw], Turn]) -> tuple[list[Turn], list[Turn]]:
    """The turns that tell facts, and turns of which each may follow: questions about every fact
    in several wordings, and about one that was not told."""
    turns, known, _ = _told(draw, other)
    questions = [question(draw, *fact) for fact in known.values() for _ in range(_WORDINGS)]
    return turns, [*questions, _unknown(draw, known)]


def _told(draw: Draw, other: Callable[[Draw], Turn]) -> tuple[list[Turn], Known, str]:
    """The turns that tell one to three facts, what is known after them, and the key of the fact
    that was corrected, or nothing."""
    facts = _unlike(draw, draw.pick((1, 1, 2, 3)))
    known: Known = {}
    turns: list[Turn] = []
    while facts:
        group = [facts.pop() for _ in range(min(len(facts), draw.pick((1, 1, 2))))]
        turns.append(_tell(draw, group, known))
        if draw.chance(_BETWEEN * draw.level):
            turns.append(other(draw))
    corrected = ""
    if draw.chance(_CORRECTED * draw.level):
        corrected = draw.pick(list(known))
        turns.append(correct(draw, known, corrected))
    return turns, known, corrected


def _key(fact: Fact) -> str:
    return str(fact["key" if "key" in fact else "kind"][0])


def _unlike(draw: Draw, count: int) -> list[Fact]:
    """Facts whose values cannot be taken for each other: kinds differ."""
    chosen: dict[str, Fact] = {}
    while len(chosen) < count:
        fact = draw.pick(phrases("chat")["facts"])
        chosen.setdefault(fact["kind"][0], fact)
    return list(chosen.values())


def _tell(draw: Draw, group: list[Fact], known: Known) -> Turn:
    parts = []
    for fact in group:
        content = _content(draw, fact)
        known[_key(fact)] = (fact, content)
        parts.append(plain(draw, fact[draw.lang]["tell"], {"v": content}))
    text = draw.by_lang(draw.pick((" and ", ", ", ". ")), draw.pick(("，", "，", "。"))).join(parts)
    frame = phrases("chat")["facts_frame"]["before"][draw.lang]
    text = _capital(plain(draw, frame) + text) if draw.chance(0.7) else text
    text += draw.by_lang(draw.pick((".", "!", "")), draw.pick(("。", "！", "")))
    return Turn("told", text, plain(draw, phrases("chat")["facts_say"]["noted"][draw.lang]))


def _content(draw: Draw, fact: Fact) -> object:
    """What is told; of kinds with few values every third is an invented word."""
    kind = fact["kind"][0]
    if kind in _FEW_VALUES and draw.chance(0.3):
        return draw.by_lang(coined(draw, 2), hanzi(draw))
    return value(draw, kind)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def correct(draw: Draw, known: Known, key: str) -> Turn:
    """A new value for a known fact: told again, or the value alone where its fact is clear."""
    fact, old = known[key]
    content = old
    while content == old:
        content = _content(draw, fact)
    known[key] = (fact, content)
    frames = phrases("chat")["facts_frame"]
    if draw.chance(0.5):
        text = plain(draw, frames["fix_value"][draw.lang], {"v": content, "o": old})
    else:
        text = plain(draw, frames["fix"][draw.lang])
        text += plain(draw, fact[draw.lang]["tell"], {"v": content})
    text += draw.by_lang(draw.pick((".", "!", "")), draw.pick(("。", "！", "")))
    return Turn("told", text, plain(draw, phrases("chat")["facts_say"]["corrected"][draw.lang]))


def _unknown(draw: Draw, known: Known) -> Turn:
    """A question about something the user has not told."""
    kinds = {fact["kind"][0] for fact, _ in known.values()}
    others = [fact for fact in phrases("chat")["facts"] if fact["kind"][0] not in kinds]
    ask = phrase(draw, draw.pick(others)[draw.lang]["ask"])
    return Turn("unknown", ask, plain(draw, phrases("chat")["facts_say"]["unknown"][draw.lang]))


def question(draw: Draw, fact: Fact, content: object) -> Turn:
    side = fact[draw.lang]
    return Turn("memory", phrase(draw, side["ask"]), plain(draw, side["say"], {"v": content}))
