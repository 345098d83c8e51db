"""Random values by kind: names, codes, dates, numbers. Most words are invented or rare."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import combinations

from training.generator.draw import Draw
from training.generator.lexicon import pairs, phrases, words
from training.generator.templates import choose

_ONSETS = (
    *"bcdfghjklmnprstvwyz",
    *("br", "cr", "dr", "gl", "gr", "kr", "pl", "sh", "st", "th", "tr", "ch", "qu", "sk", "fl"),
    *("vl", "sn"),
)
_VOWELS = (*"aeioaeio", "o", "u", "ai", "ea", "io", "oo", "ou", "y")
_CODAS = ["", "", "", "n", "r", "s", "t", "l", "m", "x", "nd", "rk"]
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_SOUNDS = "阿尔卡洛斯特里亚姆贝西德兰格维纳波索马克拉米诺伊普罗曼达丽莎伦巴沙杰莱恩菲迪"


def coined(draw: Draw, syllables: int | None = None) -> str:
    """An invented lower-case Latin word."""
    count = syllables or draw.pick((1, 2, 2, 3))
    parts = [draw.pick(_ONSETS) + draw.pick(_VOWELS) for _ in range(count)]
    return "".join(parts) + draw.pick(_CODAS)


def hanzi(draw: Draw, count: int | None = None) -> str:
    """Random characters, as in an invented Chinese name or word; now and then a rare one."""
    chars = "".join(words("hanzi", "zh"))
    return "".join(
        chr(draw.rng.randint(0x4E00, 0x9F00)) if draw.chance(0.07) else draw.pick(chars)
        for _ in range(count or draw.pick((2, 2, 3, 4)))
    )


def foreign(draw: Draw) -> str:
    """A name from elsewhere as Chinese spells it, sound by sound."""
    return "".join(draw.pick(_SOUNDS) for _ in range(draw.pick((2, 3, 3, 4, 5))))


def city(draw: Draw) -> str:
    if draw.chance(0.5):
        return draw.pick(words("cities", draw.lang))
    if draw.lang == "zh":
        name = foreign(draw) if draw.chance(0.4) else hanzi(draw, draw.pick((2, 2, 3)))
        return name + draw.pick(("", "", "市", "县", "镇", "村", "岛"))
    name = coined(draw, 2).capitalize()
    if draw.chance(0.75):
        return name
    before, behind = ("New", "San", "Port", "Upper", "Saint"), ("Bay", "Falls", "Hill", "Point")
    return draw.pick((f"{name} {draw.pick(behind)}", f"{draw.pick(before)} {name}"))


def person(draw: Draw) -> str:
    if draw.lang == "zh":
        if draw.chance(0.08):
            return draw.pick(words("first_names", "en"))
        if draw.chance(0.12):
            return draw.pick((foreign(draw), f"{foreign(draw)}·{foreign(draw)}"))
        name = draw.pick(words("surnames", "zh")) + hanzi(draw, draw.pick((1, 2, 2)))
        return name + draw.pick(("老师", "医生", "经理")) if draw.chance(0.04) else name
    first = (
        draw.pick(words("first_names", "en")) if draw.chance(0.5) else coined(draw, 2).capitalize()
    )
    return f"{first} {coined(draw, 2).capitalize()}" if draw.chance(0.35) else first


def code(draw: Draw) -> str:
    """Identifiers as on tickets, lockers, flights, devices: letters, digits, what joins them."""

    def letters(low: int, high: int) -> str:
        return "".join(draw.pick(_LETTERS) for _ in range(draw.rng.randint(low, high)))

    def figures(low: int, high: int) -> str:
        return "".join(draw.pick("0123456789") for _ in range(draw.rng.randint(low, high)))

    form = draw.rng.randrange(10)
    if form == 0:
        return letters(2, 3) + "-" + figures(2, 5)
    if form == 1:
        return letters(1, 2) + figures(2, 4)
    if form == 2:
        return figures(4, 9)
    if form == 3:
        return letters(1, 1) + figures(1, 2) + "-" + letters(1, 2) + figures(1, 3)
    if form == 4:
        return "".join(draw.pick(_LETTERS + "0123456789") for _ in range(draw.rng.randint(4, 8)))
    if form == 5:
        return coined(draw, 2) + "-" + figures(1, 3)
    if form == 6:
        parts = (coined(draw, 1), draw.pick(words("open", "en")), figures(1, 3), letters(1, 2))
        return draw.pick("--_.").join(draw.rng.sample(parts, draw.pick((2, 3, 3))))
    if form == 7:
        return letters(2, 4).lower() + figures(1, 4)
    if form == 8:
        return ".".join(figures(1, 3) for _ in range(draw.pick((2, 3, 4))))
    return figures(2, 4) + "-" + figures(2, 4)


def phone(draw: Draw) -> str:
    digits = "".join(draw.pick("0123456789") for _ in range(9))
    if draw.lang == "zh":
        return "1" + draw.pick("3578") + digits
    return draw.pick((f"555-{digits[:4]}", f"+{digits[0]}{digits[1:]}", digits))


def email(draw: Draw) -> str:
    english = draw.with_lang("en")
    tail = draw.pick(("", "." + coined(english, 1), str(draw.rng.randint(1, 99))))
    domain = draw.pick(("mail", "example", coined(english, 2)))
    ending = draw.pick(("com", "org", "net", "cn", "io"))
    return f"{coined(english, 2)}{tail}@{domain}.{ending}"


def date(draw: Draw) -> str:
    rng = draw.rng
    return f"{rng.randint(2019, 2031)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def clock(draw: Draw) -> str:
    return (
        f"{draw.rng.randint(0, 23):02d}:{draw.pick((0, 15, 30, 45, draw.rng.randint(0, 59))):02d}"
    )


def integer(draw: Draw) -> int:
    return draw.rng.randint(1, draw.pick((9, 9, 30, 30, 100, 100, 1000, 20000)))


def decimal(draw: Draw) -> float:
    return round(draw.rng.uniform(0.1, draw.pick((10, 100, 1000))), draw.pick((1, 1, 2)))


def _from_words(draw: Draw, name: str) -> str:
    """A value made after one of the lines of values.yaml."""
    lines: tuple[str, ...] = phrases("values")[name][draw.lang]
    return re.sub(
        r"<(\w+)>",
        lambda match: str(_PARTS.get(match[1], KINDS.get(match[1], coined))(draw)),
        choose(draw, draw.pick(lines)),
    )


def title(draw: Draw) -> str:
    text = _from_words(draw, "title")
    return text.title() if draw.lang == "en" and draw.chance(0.7) else text


def word(draw: Draw) -> str:
    return _from_words(draw, "word")


def street(draw: Draw) -> str:
    text = _from_words(draw, "street")
    return text.title() if draw.lang == "en" else text


def note(draw: Draw) -> str:
    """A short phrase: the text of a reminder, a note, a message."""
    return _from_words(draw, "phrase")


def filename(draw: Draw) -> str:
    stem = coined(draw.with_lang("en"), 2) if draw.chance(0.6) else draw.pick(words("nouns", "en"))
    if draw.lang == "zh" and draw.chance(0.3):
        stem = hanzi(draw, 2)
    return (
        stem
        + draw.pick(("", "_" + str(draw.rng.randint(1, 99)), _stem_end(draw)))
        + draw.pick((".pdf", ".txt", ".docx", ".png", ".jpg", ".zip", ".mp3", ".tar.gz", ".csv"))
    )


def _stem_end(draw: Draw) -> str:
    return draw.pick("-_.") + draw.pick((draw.pick(words("open", "en")), "final", "v2", "2027"))


def food(draw: Draw) -> str:
    return draw.pick(pairs("foods", draw.lang))


def room(draw: Draw) -> str:
    return draw.pick(pairs("rooms", draw.lang))


def condition(draw: Draw) -> str:
    return draw.pick(pairs("weather", draw.lang))


def pet(draw: Draw) -> str:
    return draw.pick(pairs("pets", draw.lang))


_PARTS: dict[str, Callable[[Draw], str | int]] = {
    "adj": lambda draw: draw.pick(words("adjectives", "en")),
    "noun": lambda draw: draw.pick(words("nouns", "en")),
    "thing": lambda draw: draw.pick(words("things", "zh")),
    "open": lambda draw: draw.pick(words("open", draw.lang)),
    "coin": coined,
    "Coin": lambda draw: coined(draw).capitalize(),
    "hanzi": hanzi,
    "hanzi4": lambda draw: draw.pick((foreign(draw), hanzi(draw, draw.pick((2, 3, 4, 5))))),
    "n": lambda draw: draw.rng.randint(1, 300),
}
"""What stands in the lines of values.yaml besides KINDS."""

KINDS: dict[str, Callable[[Draw], str | int | float]] = {
    "city": city,
    "person": person,
    "code": code,
    "phone": phone,
    "email": email,
    "date": date,
    "time": clock,
    "int": integer,
    "dec": decimal,
    "title": title,
    "word": word,
    "phrase": note,
    "file": filename,
    "food": food,
    "room": room,
    "weather": condition,
    "color": lambda draw: draw.pick(pairs("colors", draw.lang)),
    "language": lambda draw: draw.pick(pairs("languages", draw.lang)),
    "pet": pet,
    "street": street,
    "job": lambda draw: draw.pick(pairs("jobs", draw.lang)),
    "hobby": lambda draw: draw.pick(pairs("hobbies", draw.lang)),
    "currency": lambda draw: draw.pick(words("currencies")),
    "unit": lambda draw: draw.pick(words("units")),
    "temp": lambda draw: draw.rng.randint(-15, 40),
    "percent": lambda draw: draw.rng.randint(1, 100),
    "age": lambda draw: draw.rng.randint(3, 95),
    "price": lambda draw: round(draw.rng.uniform(1, 900), 2),
    "state": lambda draw: draw.pick(("ok", "done", "success", "confirmed", "queued", "accepted")),
}

_ALIKE = (
    frozenset(("int", "dec", "temp", "percent", "age", "price")),
    frozenset(("word", "title", "phrase")),
)

JSON_TYPES = {
    "bool": "boolean",
    **dict.fromkeys(("int", "temp", "percent", "age"), "integer"),
    **dict.fromkeys(("dec", "price"), "number"),
}
"""JSON schema type of a parameter's kind; every other kind is a string."""


def value(draw: Draw, kind: str) -> str | int | float:
    """A random value of `kind` in the draw's language."""
    return KINDS[kind](draw)


def alike(kinds: Sequence[str]) -> bool:
    """Whether values of two of `kinds` could be taken for each other where no label tells them
    apart: of the same kind, two numbers, two texts about anything."""
    return any(
        one == other or any({one, other} <= family for family in _ALIKE)
        for one, other in combinations(kinds, 2)
    )


def to_json(data: object) -> str:
    """JSON as GLM-4's format writes it: default separators, characters kept."""
    return json.dumps(data, ensure_ascii=False)
