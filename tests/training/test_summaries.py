"""Auxiliary targets: which words the tokens that choose should hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import glmdemo
from glmdemo.messages import Message
from training.generator.copying import FIRST_TEXT_ID
from training.generator.row import Row, call, user
from training.rendering import encode_branches, encode_row
from training.summaries import Summaries
from training.tokenizer import BuiltinTokenizer

MODEL = Path(glmdemo.__file__).parent / "models" / "builtin"


def _tool(name: str, about: str, parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    function = {"name": name, "description": about, "parameters": schema}
    return {"type": "function", "function": function}


def _found(tools: tuple[dict[str, Any], ...], *branch: Message) -> list[tuple[str, str]]:
    """The next letters at each place, and the words that it should hold."""
    tokenizer = BuiltinTokenizer.load(MODEL)
    row = Row("tool", "en", (), tools, branches=(branch,))
    ids = [*encode_row(tokenizer, row).ids, *encode_branches(tokenizer, row)[0].ids]
    summaries = Summaries(tokenizer, tokenizer.size, FIRST_TEXT_ID + 256)
    return [
        (tokenizer.decode(ids[place:])[:4], tokenizer.decode(words))
        for place, words in summaries.find(ids)
    ]


def test_names_values_and_replies_hold_their_words() -> None:
    place = {"type": "string", "description": "the city"}
    tools = (
        _tool("qq", "weather report", {"zz": place, "yy": {"type": "integer"}}),
        _tool("ww", "book table", {"vv": {"type": "string", "description": "people"}}),
    )
    assert _found(tools, user("rain in Oslo"), call("qq", {"zz": "Oslo", "yy": 5})) == [
        ('zz"}', "thecity"),
        ("qq\n\n", "weatherreport"),
        ('vv"}', "people"),
        ("ww\nr", "booktable"),
        ("in O", "rain"),
        ("Oslo", "rainin"),
        ("loqq", "raininOs"),
        ("qq\n{", "raininOslo"),
        ('": "', "thecity"),
        ("Oslo", "thecity"),
        ("loqq", "thecity"),
        ("qq\n{", "thecity"),
        ("qq\n{", "Os"),
    ]


def test_values_of_a_request_hold_what_they_are_of_the_tool_that_is_called() -> None:
    def number(about: str) -> dict[str, Any]:
        return {"type": "integer", "description": about}

    tools = (
        _tool("qq", "run", {"zz": number("fuel"), "yy": number("table")}),
        _tool("ww", "fly", {"zz": number("bird"), "yy": number("house")}),
    )

    def held(request: str) -> list[tuple[str, str]]:
        found = _found(tools, user(request), call("ww", {"zz": 14, "yy": 4}))
        return found[found.index(('": 4', "house")) + 1 :]

    assert held("4x 14?") == [("4x 1", "house"), ("x 14", "house"), ("x 14", "4")]
    assert held("4 x")[1:] == [(" xww", "house"), ("xww\n", "house"), ("xww\n", "4")]
    assert held("4x 4?") == []
