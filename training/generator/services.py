"""Hand-made everyday services, read from the `services*.yaml` files of the lexicon."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from training.generator.draw import Draw
from training.generator.lexicon import FOLDER, Lang, phrases
from training.generator.templates import choose
from training.generator.toolspec import (
    Param,
    ToolSpec,
    coined_label,
    distinct,
    function_name,
    param_name,
)
from training.generator.values import alike, coined

_OTHER_OPTIONS = 0.35
"""Share of choices whose options are not those of the service."""


def service(draw: Draw, group: str = "", besides: str = "") -> ToolSpec:
    """A service with one of its many names, under renamed parameters.

    `group` restricts it to services easily taken for each other, all but the one `besides`.
    """
    entries = _entries(draw.held_out, group)
    if besides:
        entries = tuple(entry for entry in entries if _topic(entry) != besides)
    return _from_entry(draw, draw.pick(entries))


@cache
def _entries(held_out: bool, group: str) -> tuple[dict[str, Any], ...]:
    """What is drawn from: those with much to decide stand there several times."""
    return tuple(
        entry
        for entry in service_entries()
        if bool(entry.get("held")) == held_out and (not group or _group(entry) == group)
        for _ in range(_weight(entry))
    )


def _weight(entry: dict[str, Any]) -> int:
    """How much there is to decide: three parameters, values that are not said as they are
    written, or such as could be taken for each other. Held-out ones stay as they have been
    measured."""
    kinds = [_split_fields(line)[1] for line in _lines(entry["params"])]
    if alike(kinds) and not entry.get("held"):
        return 4
    return 2 if len(kinds) > 2 or not {"bool", "enum"}.isdisjoint(kinds) else 1


def _from_entry(draw: Draw, entry: dict[str, Any]) -> ToolSpec:
    names = entry["names"][0].split()
    schema_lang = draw
    if draw.chance(0.06 if draw.lang == "zh" else 0.03):
        schema_lang = draw.in_other_lang()
    params = tuple(_param(schema_lang, draw, line) for line in _lines(entry["params"]))
    if not distinct(draw, params):
        return _from_entry(draw, entry)
    group, topic = _group(entry), _topic(entry)
    return ToolSpec(
        name=function_name(draw, draw.pick(names)),
        about=_sentence(schema_lang, entry["about"]),
        topic=topic,
        params=params,
        ask=entry["ask"][draw.lang],
        result=tuple(_result(draw, field) for field in entry["result"][0].split()),
        wants=entry["wants"][draw.lang] if "wants" in entry else (),
        similar=partial(service, group=group, besides=topic) if _alike(entry) else None,
    )


def _group(entry: dict[str, Any]) -> str:
    return entry["group"][0] if "group" in entry else ""


def _alike(entry: dict[str, Any]) -> bool:
    """Whether there are others that are easily taken for it."""
    others = _entries(bool(entry.get("held")), _group(entry)) if _group(entry) else ()
    return any(other is not entry for other in others)


def _topic(entry: dict[str, Any]) -> str:
    return str(entry["names"][0].split()[0])


def _lines(params: list[tuple[str, ...]]) -> list[str]:
    return [line[0] for line in params]


def _sentence(draw: Draw, about: dict[str, tuple[str, ...]]) -> str:
    text = choose(draw, about[draw.lang][0])
    return text + draw.by_lang(".", "。") if draw.chance(0.25) else text


def _param(schema: Draw, user: Draw, line: str) -> Param:
    """Read `keys | kind | English | Chinese [| options]`; alternatives stand in brackets."""
    fields = _split_fields(line)
    name = param_name(user, user.pick(fields[0].split()))
    label = choose(user, fields[2 if user.lang == "en" else 3])
    about = choose(schema, fields[2 if schema.lang == "en" else 3])
    if user.chance(0.06) and fields[1] != "enum":
        about = label = coined_label(user)
    spoken = tuple(choose(user, word) for word in _spoken(fields, user.lang))
    if fields[1] == "enum":
        if not user.held_out and user.chance(_OTHER_OPTIONS):
            spoken = _other_options(user)
        return Param(name, "enum", about, label, options=spoken)
    return Param(name, fields[1], about, label, spoken=spoken)


def _other_options(draw: Draw) -> tuple[str, ...]:
    """Options of any services: a choice that can only be read off the schema and the request."""
    count = draw.pick((2, 3, 3, 4, 5))
    chosen: list[str] = []
    while len(chosen) < count:
        option = draw.pick(_all_options(draw.lang))
        if not any(option in other or other in option for other in chosen):
            chosen.append(option)
    return tuple(chosen)


@cache
def _all_options(lang: Lang) -> tuple[str, ...]:
    """The options of all services, but for those written in several ways."""
    lines = [line for entry in _entries(False, "") for line in _lines(entry["params"])]
    choices = [fields for fields in map(_split_fields, lines) if fields[1] == "enum"]
    options = {option for fields in choices for option in _spoken(fields, lang)}
    return tuple(sorted(option for option in options if "[" not in option))


def _spoken(fields: list[str], lang: Lang) -> list[str]:
    """How the values of a bool or the options of an enum are said; nothing of other kinds."""
    if len(fields) < 5:
        return []
    side = fields[4].split(";")[0 if lang == "en" else 1]
    return [words.strip() for words in side.split(",")]


def _split_fields(line: str) -> list[str]:
    """Split at the bars that stand outside brackets, without the blanks around them."""
    fields, depth = [""], 0
    for char in line:
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            fields.append("")
        else:
            fields[-1] += char
    return [field.strip() for field in fields]


def _result(draw: Draw, field: str) -> tuple[str, str]:
    keys, kind = field.split(":")
    key = draw.pick(keys.split("|"))
    if draw.chance(0.3):
        key = coined(draw.with_lang("en"), draw.pick((1, 2)))
    return key, "word" if kind == "enum" else kind


@cache
def service_entries() -> tuple[dict[str, Any], ...]:
    """The raw entries of all files."""
    files = sorted(file.stem for file in FOLDER.glob("services*.yaml"))
    return tuple(entry for name in files for entry in phrases(name)["services"])
