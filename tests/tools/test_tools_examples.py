"""The example tools that are shipped in `tools/`."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit

import pytest

from glmdemo.errors import ToolError
from glmdemo.messages import ToolCall
from glmdemo.tools import ToolRegistry

EXAMPLES = ToolRegistry.discover(Path(__file__).parents[2] / "tools")


def run(name: str, **arguments: Any) -> str:
    (output,) = EXAMPLES.call(ToolCall("1", name, arguments))
    return getattr(output, "text", "")


def test_all_load_and_their_schemas_are_short() -> None:
    assert EXAMPLES.problems == ()
    assert set(EXAMPLES.names()) == {
        "calculator",
        "convert_currency",
        "convert_unit",
        "get_time",
        "get_weather",
        "query_table",
        "random_number_generator",
    }
    compact = [schema["function"] for schema in EXAMPLES.schemas()]
    assert len(json.dumps(compact, ensure_ascii=False)) < 2_600


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("(3 + 4) * 2 ** 10", "7168"),
        ("100×3÷4", "75"),
        ("2^10", "1024"),
        ("-7 // 2", "-4"),
        ("0.1 + 0.2", "0.3"),
        ("sqrt(2) * pi", "4.44288293816"),
        ("round(2.567, 1)", "2.6"),
        ("12x3·2 X (1)", "72"),
        ("0x10", "16"),
    ],
)
def test_calculator(expression: str, result: str) -> None:
    assert run("calculator", expression=expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9",
        "2**4000 * 2**4000",
        "round(5, -10**9)",
        "1/0",
        "1e308 * 10",
        "(-8) ** 0.5",
        "__import__('os').getcwd()",
        "[1 for _ in (1,)]",
        "abs()",
        "(" * 300,
        "1" * 501,
        "两加二",
    ],
)
def test_calculator_refuses(expression: str) -> None:
    with pytest.raises(ToolError):
        run("calculator", expression=expression)


def test_clock() -> None:
    assert run("get_time", timezone="UTC").endswith("UTC+0000")
    assert "UTC" in run("get_time")
    assert run("get_time", timezone="new york")[-5:] in ("-0400", "-0500")
    assert "+0900" in run("get_time", timezone="Tokyo")
    with pytest.raises(ToolError, match="no time zone"):
        run("get_time", timezone="../../etc/passwd")


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (3, "km", "mile", "3 km = 1.86411 mile"),
        (20, "C", "F", "20 C = 68 F"),
        (0, "K", "C", "0 K = -273.15 C"),
        (2, "斤", "kg", "2 斤 = 1 kg"),
        (26.2, "Miles", "kilometers", "26.2 mile = 42.1648 km"),
        (5, "公里", "英尺", "5 km = 16404.2 foot"),
        (100, "°C", "fahrenheit", "100 C = 212 F"),
    ],
)
def test_unit_conversion(value: float, source: str, target: str, result: str) -> None:
    assert run("convert_unit", value=value, source=source, target=target) == result


def test_unit_conversion_refuses_different_quantities() -> None:
    with pytest.raises(ToolError, match="Known units: mm, cm"):
        run("convert_unit", value=1, source="kg", target="km")


def test_currency_rounds_decimally() -> None:
    assert run("convert_currency", amount=100, rate=7.123, target="cny") == "712.30 CNY"
    assert run("convert_currency", amount=0.1, rate=0.15, target="EUR") == "0.02 EUR"
    with pytest.raises(ToolError, match="above 0"):
        run("convert_currency", amount=1, rate=0, target="EUR")


def test_random_number_is_repeatable_and_in_range() -> None:
    expected = str(random.Random(7).randrange(10, 20))
    assert run("random_number_generator", seed=7, range=[10, 20]) == expected
    with pytest.raises(ToolError, match="empty"):
        run("random_number_generator", seed=7, range=[10, 10])


ANSWERS = {
    "/v1/search": {
        "results": [{"name": "北京", "country": "中国", "latitude": 39.9, "longitude": 116.4}]
    },
    "/v1/forecast": {
        "current_units": {
            "temperature_2m": "°C",
            "relative_humidity_2m": "%",
            "wind_speed_10m": "km/h",
        },
        "current": {"temperature_2m": 21.5, "relative_humidity_2m": 40, "wind_speed_10m": 9},
    },
}


def weather_globals() -> dict[str, Any]:
    return EXAMPLES.get("get_weather").function.__globals__


def test_weather(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(json.dumps(ANSWERS[urlsplit(address).path]).encode())

    monkeypatch.setitem(weather_globals(), "urlopen", answer)
    report = json.loads(run("get_weather", city_name="../../x?name=北京&y=1"))
    assert report["place"] == "北京, 中国"
    assert report["temperature_2m"] == "21.5 °C"
    query = parse_qs(urlsplit(asked[0]).query)
    assert query["name"] == ["../../x?name=北京&y=1"]
    assert parse_qs(urlsplit(asked[1]).query)["latitude"] == ["39.9"]


def test_weather_asks_the_user_and_says_when_it_is_offline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(address: str, timeout: float) -> None:
        raise URLError("no route")

    assert EXAMPLES.get("get_weather").approval == "ask"
    monkeypatch.setitem(weather_globals(), "urlopen", no_network)
    with pytest.raises(ToolError, match="needs an internet connection"):
        run("get_weather", city_name="北京")


def test_weather_of_an_unknown_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weather_globals(), "urlopen", lambda *_, **__: io.BytesIO(b"{}"))
    with pytest.raises(ToolError, match="No place called 'Nowhere'"):
        run("get_weather", city_name="Nowhere")
