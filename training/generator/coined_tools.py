"""Tools made of random or invented words: the open lexicon that teaches copying of names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from training.generator.draw import Draw
from training.generator.lexicon import pairs, phrases, table
from training.generator.requests import values_named
from training.generator.toolspec import (
    Param,
    ToolSpec,
    coined_label,
    distinct,
    function_name,
    param_name,
)
from training.generator.values import coined

_SPOKEN = {
    "en": (
        ("with {0}", "without {0}"),
        ("{0}: yes", "{0}: no"),
        ("{0} on", "{0} off"),
        ("{0} true", "{0} false"),
        ("{0}", "not {0}"),
        ("yes to {0}", "no {0}"),
        ("{0} please", "{0} not needed"),
        ("I want {0}", "I don't want {0}"),
        ("{0} = true", "{0} = false"),
        ("{0} enabled", "{0} disabled"),
        ("include {0}", "skip {0}"),
        ("{0} is needed", "{0} is not needed"),
        ("definitely {0}", "definitely no {0}"),
        ("{0}? yes", "{0}? no"),
        ("{0}, sure", "no {0}, thanks"),
    ),
    "zh": (
        ("要{0}", "不要{0}"),
        ("{0}：是", "{0}：否"),
        ("开启{0}", "关闭{0}"),
        ("需要{0}", "不需要{0}"),
        ("{0}", "不{0}"),
        ("{0}是", "{0}否"),
        ("{0}开", "{0}关"),
        ("带{0}", "不带{0}"),
        ("有{0}", "无{0}"),
        ("{0}要", "{0}不要"),
        ("启用{0}", "停用{0}"),
        ("打开{0}", "关掉{0}"),
        ("一定要{0}", "千万别{0}"),
        ("加上{0}", "去掉{0}"),
        ("{0}=true", "{0}=false"),
    ),
}
_GETTERS = frozenset(
    ("check", "find", "show", "query", "look up", "search", "read", "list", "track", "measure")
)
"""Verbs whose object can be asked for: what is the <object>."""

_WANTS = {
    "en": (
        *("{0} the {1}", "{0} the {1}", "{0} a {1}", "{0} my {1}", "{0} our {1}", "{0} {1}"),
        *("{0} this {1}", "{0} one {1}", "{0} some {1}", "{0} that {1}"),
    ),
    "zh": (
        *("{0}{1}", "{0}{1}", "{0}{1}", "把{1}{0}一下", "{0}一下{1}", "{0}那个{1}", "对{1}{0}"),
        *("{0}这个{1}", "给{1}{0}", "将{1}{0}"),
    ),
}

Pair = tuple[str, ...]
"""An English and a Chinese word."""


def coined_tool(draw: Draw, verb: Pair | None = None, thing: Pair | None = None) -> ToolSpec:
    """A tool whose verb, object, names and descriptions are random, most of them invented."""
    suffix = ".held" if draw.held_out else ""
    foreign = not draw.chance(0.97 if draw.lang == "en" else 0.92)
    verb = verb or _word(draw, "verbs" + suffix, invented=not foreign and draw.chance(0.35))
    thing = thing or _word(draw, "objects" + suffix, invented=not foreign and draw.chance(0.45))
    side = 0 if draw.lang == "en" else 1
    schema_side = 1 - side if foreign else side
    params = _params(draw, suffix)
    words = (verb[0].split() + thing[0].split()) if draw.chance(0.8) else thing[0].split()
    frames = phrases("tools")["frame_held"][draw.lang] if draw.held_out else ()
    pair = verb[side], thing[side]
    return ToolSpec(
        name=function_name(draw, "_".join(words)),
        about=_about(draw, verb[schema_side], thing[schema_side], schema_side == 0),
        topic=verb[side] + thing[side],
        params=params,
        ask=tuple(_held_line(draw, frame, pair, params) for frame in frames),
        result=_result(draw, suffix),
        wants=tuple(draw.pick(_WANTS[draw.lang]).format(*pair) for _ in range(2)),
        sought=thing[side] if verb[0] in _GETTERS else "",
        similar=partial(_similar, verb=verb, thing=thing),
    )


def _word(draw: Draw, name: str, invented: bool) -> Pair:
    if invented:
        english, chinese = draw.with_lang("en"), draw.with_lang("zh")
        return coined(english, draw.pick((1, 2))), coined_label(chinese)
    return draw.pick(table(name))


def _similar(draw: Draw, verb: Pair, thing: Pair) -> ToolSpec:
    """Another verb for the same thing, or the same verb for another thing."""
    return coined_tool(draw, thing=thing) if draw.chance(0.7) else coined_tool(draw, verb=verb)


def _held_line(draw: Draw, frame: str, pair: tuple[str, str], params: Sequence[Param]) -> str:
    line = frame.replace("<verb>", pair[0]).replace("<obj>", pair[1])
    return line.replace("<rest>", draw.by_lang(" ", "") + values_named(draw, params))


def _params(draw: Draw, suffix: str) -> tuple[Param, ...]:
    most = 1 if draw.chance(0.6 - 0.6 * draw.level) else 3
    described = not draw.chance(0.15)
    count = min(most, draw.pick((1, 1, 2, 2, 2, 3)))
    while True:
        rows = [_row(draw, suffix) for _ in range(count)]
        params = tuple(_param(draw, row, described) for row in rows)
        if distinct(draw, params) and len({param.label for param in params}) == count:
            return params


def _row(draw: Draw, suffix: str) -> tuple[str, ...]:
    """A row of params.txt; flags and choices come more often than they stand there."""
    name = "params" + (suffix if draw.chance(0.6) else "")
    wanted = draw.rng.choices(("", "bool", "enum"), (62, 21, 17))[0]
    rows = [row for row in table(name) if row[1] == wanted] if wanted else []
    return draw.pick(rows or table(name))


def _param(draw: Draw, row: tuple[str, ...], described: bool) -> Param:
    """A parameter of a row of params.txt; without description its name must tell all."""
    name, kind, en, zh, *marks = row
    label = en if draw.lang == "en" else zh
    about = ""
    if described:
        if draw.chance(0.35):
            label, marks = coined_label(draw), []
        about = draw.by_lang(f"the {label}", f"{label}信息") if draw.chance(0.15) else label
        name = param_name(draw, name)
    mark = draw.by_lang(*marks) if marks else ""
    if kind == "enum":
        return Param(name, kind, about, label, options=_options(draw), mark=mark)
    if kind == "bool":
        spoken = tuple(form.format(label) for form in draw.pick(_SPOKEN[draw.lang]))
        return Param(name, kind, about, label, spoken=spoken)
    return Param(name, kind, about, label, mark=mark)


def _options(draw: Draw) -> tuple[str, ...]:
    """Values of an enum: everyday words or invented ones."""
    if draw.chance(0.5):
        return tuple(draw.pick(pairs("enums", draw.lang)).split(","))
    count = draw.pick((2, 3, 3, 4))
    return tuple(dict.fromkeys(coined_label(draw) for _ in range(count)))


def _about(draw: Draw, verb: str, thing: str, english: bool) -> str:
    if english:
        text = draw.pick(("{0} the {1}", "{0} a {1}", "{0} {1}", "{1}: {0}")).format(verb, thing)
        return text[0].upper() + text[1:] if draw.chance(0.5) else text
    return draw.pick(("{0}{1}", "{0}{1}", "{1}{0}", "用来{0}{1}", "{0}{1}的工具")).format(
        verb, thing
    )


def _result(draw: Draw, suffix: str) -> tuple[tuple[str, str], ...]:
    fields: dict[str, str] = {}
    for _ in range(draw.pick((1, 1, 2, 2, 3))):
        name, kind, _, zh, *_ = draw.pick(table("params" + suffix))
        key = zh if draw.lang == "zh" and draw.chance(0.15) else param_name(draw, name)
        fields[key] = "word" if kind in ("enum", "bool") else kind
    return tuple(fields.items())
