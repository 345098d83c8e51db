"""Tool mode with the tools that the app ships: what a visitor of the Tool page meets first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from glmdemo.messages import Message
from glmdemo.modes import TOOL
from training.generator import code_numbers
from training.generator.answers import quote_error, quote_pairs, quote_text
from training.generator.chat import small_talk, system_prompt
from training.generator.draw import Draw
from training.generator.lexicon import phrases, words
from training.generator.row import Row, answer, call, observation, user
from training.generator.values import city, date, to_json
from training.generator.wording import phrase

_ZONES = (
    "Asia/Shanghai Asia/Tokyo Europe/Berlin Europe/London America/New_York America/Lima UTC "
    "Asia/Seoul Africa/Cairo Australia/Sydney Europe/Paris Asia/Dubai America/Chicago Asia/Kolkata"
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_UNITS = {
    "en": (
        "mm cm m km inch foot mile inches feet miles metres meters kilometers",
        "g kg t oz lb grams kilograms pounds ounces tons",
        "ml l gallon litres liters gallons",
        "m2 ha km2 hectares",
        "s min h day seconds minutes hours days",
        "m/s km/h mph",
        "C F K celsius fahrenheit",
    ),
    "zh": (
        "mm cm m km inch foot mile 里 毫米 厘米 米 公里 千米 英里 英尺 英寸",
        "g kg t oz lb 斤 克 公斤 千克 吨 磅 盎司",
        "ml l gallon 毫升 升 加仑",
        "m2 ha km2 亩 平方米 公顷 平方公里",
        "s min h day 秒 分钟 小时 天",
        "m/s km/h mph",
        "C F K 摄氏度 华氏度",
    ),
}
"""Of each quantity, as users write them."""
_OFFLINE = "The weather service cannot be reached: this tool needs an internet connection."
_DEFAULT_SEED = 0

_LATER = 0.35
"""Share of rows with branches that go on after an answered request."""

_IN_WORDS = 0.35
"""Share of requests for the calculator that put the operation into words."""


@dataclass(frozen=True)
class Exchange:
    """A request, the call it needs, what the tool returned, and the answer."""

    ask: str
    name: str
    arguments: dict[str, Any]
    returned: str
    reply: str

    def messages(self) -> list[Message]:
        asked = call(self.name, self.arguments)
        return [user(self.ask), asked, observation(self.returned), answer(self.reply)]


@cache
def app_schemas() -> tuple[dict[str, Any], ...]:
    """The schemas the Tool page offers."""
    return tuple(dict(schema) for schema in TOOL.tools)


def app_row(draw: Draw) -> Row:
    """A conversation with the app's own tools.

    With all six the prompt is long, so one or two exchanges follow; with few up to four.
    """
    shared, makers, schemas = _offered(draw)
    messages = list(shared)
    if draw.chance(0.15):
        messages += small_talk(draw)
    for _ in range(draw.pick((1, 1, 2) if len(schemas) == len(app_schemas()) else (1, 2, 3, 4))):
        messages += draw.pick(makers)(draw).messages()
    return Row("tool/app", draw.lang, tuple(messages), schemas)


def _offered(
    draw: Draw,
) -> tuple[tuple[Message, ...], list[Callable[[Draw], Exchange]], tuple[dict[str, Any], ...]]:
    """What stands before a conversation, and the app's tools that it has: all in their own order,
    or a few of them."""
    schemas = list(app_schemas())
    if draw.chance(0.6):
        known = [schema for schema in schemas if schema["function"]["name"] in _MAKERS]
        schemas = draw.rng.sample(known, draw.rng.randint(1, min(4, len(known))))
    names = {schema["function"]["name"] for schema in schemas}
    makers = [make for name, make in _MAKERS.items() if name in names]
    shared = (system_prompt(draw),) if draw.chance(0.1) else ()
    return shared, makers, tuple(schemas)


def app_branches(draw: Draw, count: int) -> Row:
    """`count` ways in which a conversation with the app's own tools begins or goes on."""
    shared, makers, schemas = _offered(draw)
    if draw.chance(_LATER):
        shared = (*shared, *draw.pick(makers)(draw).messages())
    branches = []
    for _ in range(count):
        exchange = draw.pick(makers)(draw.now_and_then_in_other_lang()).messages()
        branch = exchange if draw.chance(0.25) else exchange[:2]
        branches.append(tuple(small_talk(draw) if draw.chance(0.06) else branch))
    return Row("tool/app branches", draw.lang, shared, schemas, branches=tuple(branches))


def _ask(draw: Draw, kind: str, **slots: object) -> str:
    return phrase(draw, phrases("app_tools")[kind][draw.lang], slots)


def _calculator(draw: Draw) -> Exchange:
    if draw.chance(_IN_WORDS):
        task = draw.pick((code_numbers.words, code_numbers.percentage))(draw)
        shown = code = code_numbers.expression_in(task.cell)
        ask = task.ask
    else:
        shown, code = code_numbers.typed_expression(draw)
        ask = phrase(draw, phrases("code")["expression"][draw.lang], {"e": shown})
    result = eval(code)  # noqa: S307 - an expression made of our own numbers
    text = str(result) if isinstance(result, int) else f"{result:.12g}"
    return Exchange(ask, "calculator", {"expression": shown}, text, quote_text(draw, text))


def _time(draw: Draw) -> Exchange:
    clock = ":".join(f"{draw.rng.randrange(top):02d}" for top in (24, 60, 60))
    offset = f"{draw.pick('+-')}{draw.rng.randrange(12):02d}00"
    text = f"{date(draw)} {clock} {draw.pick(_DAYS.split())}, UTC{offset}"
    arguments = {}
    ask = _ask(draw, "get_time")
    if draw.chance(0.4):
        arguments["timezone"] = draw.pick(_ZONES.split())
        ask = _ask(draw, "get_time_in", z=arguments["timezone"])
    return Exchange(ask, "get_time", arguments, text, quote_text(draw, text))


def _currency(draw: Draw) -> Exchange:
    rng = draw.rng
    amount = rng.randint(1, 2000) if draw.chance(0.7) else round(rng.uniform(1, 900), 2)
    rate = round(rng.uniform(0.05, draw.pick((1.5, 9, 160))), rng.randint(1, 4))
    target = draw.pick(words("currencies"))
    arguments = {"amount": amount, "rate": rate, "target": target}
    text = f"{amount * rate:.2f} {target}"
    ask = _ask(draw, "convert_currency", a=amount, r=rate, t=target)
    return Exchange(ask, "convert_currency", arguments, text, quote_text(draw, text))


def _random_number(draw: Draw) -> Exchange:
    low = draw.rng.randint(0, draw.pick((1, 1, 50)))
    high = low + draw.rng.randint(1, draw.pick((10, 100, 1000)))
    seed = _DEFAULT_SEED
    ask = _ask(draw, "random_number", a=low, b=high)
    if draw.chance(0.4):
        seed = draw.rng.randint(1, 9999)
        ask = _ask(draw, "random_number_seed", a=low, b=high, s=seed)
    text = str(draw.rng.randrange(low, high))
    arguments = {"seed": seed, "range": [low, high]}
    return Exchange(ask, "random_number_generator", arguments, text, quote_text(draw, text))


def _unit(draw: Draw) -> Exchange:
    source, target = draw.rng.sample(draw.pick(_UNITS[draw.lang]).split(), 2)
    number = draw.rng.randint(1, 500) if draw.chance(0.7) else round(draw.rng.uniform(0, 99), 1)
    text = f"{number:g} {source} = {draw.rng.uniform(0, 5000):.6g} {target}"
    arguments = {"value": number, "source": source, "target": target}
    ask = _ask(draw, "convert_unit", v=number, u=source, w=target)
    return Exchange(ask, "convert_unit", arguments, text, quote_text(draw, text))


def _weather(draw: Draw) -> Exchange:
    place = city(draw)
    entry = next(e for e in phrases("services")["services"] if "get_weather" in e["names"][0])
    ask = phrase(draw, entry["ask"][draw.lang], {"0": place})
    arguments = {"city_name": place}
    if draw.chance(0.5):
        return Exchange(ask, "get_weather", arguments, _OFFLINE, quote_error(draw, _OFFLINE))
    rng = draw.rng
    report = {
        "place": f"{place}, {city(draw)}",
        "temperature_2m": f"{round(rng.uniform(-20, 40), 1)} °C",
        "relative_humidity_2m": f"{rng.randint(5, 100)} %",
        "wind_speed_10m": f"{round(rng.uniform(0, 60), 1)} km/h",
    }
    reply = quote_pairs(draw, list(report.items()))
    return Exchange(ask, "get_weather", arguments, to_json(report), reply)


_MAKERS: dict[str, Callable[[Draw], Exchange]] = {
    "calculator": _calculator,
    "get_time": _time,
    "convert_currency": _currency,
    "random_number_generator": _random_number,
    "convert_unit": _unit,
    "get_weather": _weather,
}
