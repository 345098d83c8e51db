"""Auxiliary targets: which words the tokens that choose should hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import glmdemo
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


def test_names_values_and_replies_hold_their_words() -> None:
    tokenizer = BuiltinTokenizer.load(MODEL)
    place = {"type": "string", "description": "the city"}
    tools = (
        _tool("qq", "weather report", {"zz": place, "yy": {"type": "integer"}}),
        _tool("ww", "book table", {"vv": {"type": "string", "description": "people"}}),
    )
    branch = (user("rain in Oslo"), call("qq", {"zz": "Oslo", "yy": 5}))
    row = Row("tool", "en", (), tools, branches=(branch,))
    ids = [*encode_row(tokenizer, row).ids, *encode_branches(tokenizer, row)[0].ids]
    summaries = Summaries(tokenizer, tokenizer.size, FIRST_TEXT_ID + 256)
    found = [
        (tokenizer.decode(ids[place:])[:4], tokenizer.decode(words))
        for place, words in summaries.find(ids)
    ]
    assert found == [
        ('zz"}', "thecity"),
        ("qq\n\n", "weatherreport"),
        ('vv"}', "people"),
        ("ww\nr", "booktable"),
        ("in O", "rain"),
        ("Oslo", "rainin"),
        ("loqq", "raininOs"),
        ("qq\n{", "raininOslo"),
        ('": "', "thecity"),
    ]
