"""Grammars of calls: all that fits the schemas can be written, and nothing else."""

from __future__ import annotations

import json
import time

import pytest
from grammar_writer import Writer
from hypothesis import given, settings
from hypothesis import strategies as st

from glmdemo.families import FAMILIES
from glmdemo.messages import ToolCall
from glmdemo.modes import CODE, TOOL
from glmdemo.tools import parse_tool_call

WRITER = Writer()
STYLES = {"glm4": "glm4", "glm4-compact": "glm4", "glm4-brief": "glm4", "glm4-0414": "glm4"}
STYLES |= {"chatglm3": "chatglm3", "glm45": "glm45", "glm45-nothink": "glm45"}
PLACE = {
    "type": "object",
    "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "null"}}},
    "required": ["lat"],
}
PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "单位": {"type": "string", "enum": ["度", 'F"x', "a\\b"]},
    "place": PLACE,
    "range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    "exact": {"type": ["boolean", "null"]},
    "either": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "string"}}]},
    "pair": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"type": "string"}],
        "minItems": 2,
        "maxItems": 2,
    },
    "words": {"type": "object", "additionalProperties": {"type": "integer"}},
    "level": {"enum": [1, 2.5, None, True]},
    "shape": {"$ref": "#/$defs/shape"},
    "mode": {"const": "fast"},
}
PLAN = {
    "type": "function",
    "function": {
        "name": "plan",
        "parameters": {
            "type": "object",
            "properties": PROPERTIES,
            "required": ["city", "单位"],
            "$defs": {"shape": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        },
    },
}
PLANNER = {"name": "planner", "parameters": {"type": "object", "properties": {}}}
TOOLS = [PLAN, PLANNER]

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).filter(
    lambda text: "<" not in text  # the writer takes names of tokens for tokens
)
VALUES = {
    "city": TEXTS,
    "days": st.integers(-(10**20), 10**20),
    "单位": st.sampled_from(PROPERTIES["单位"]["enum"]),
    "place": st.fixed_dictionaries(
        {"lat": st.floats(-1e300, 1e300)},
        optional={"tags": st.lists(st.none(), max_size=3)},
    ),
    "range": st.lists(st.integers(0, 99), min_size=2, max_size=3),
    "exact": st.sampled_from([True, False, None]),
    "either": st.one_of(st.floats(0, 1), st.lists(TEXTS, max_size=2)),
    "pair": st.tuples(st.integers(0, 9), TEXTS).map(list),
    "words": st.dictionaries(TEXTS, st.integers(0, 9), max_size=2),
    "level": st.sampled_from([1, 2.5, None, True]),
    "shape": st.sampled_from([{}, {"n": 3}]),
    "mode": st.just("fast"),
}
ARGUMENTS = st.fixed_dictionaries(
    {name: VALUES[name] for name in ("city", "单位")},
    optional={name: values for name, values in VALUES.items() if name not in ("city", "单位")},
)


def written(style: str, arguments: dict, name: str = "plan") -> str:
    """A call as a model of the family writes it."""
    if style == "chatglm3":
        keywords = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        return f"{name}\n ```python\ntool_call({keywords})\n```"
    if style == "glm45":
        texts = {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in arguments.items()
        }
        pairs = "".join(
            f"<arg_key>{key}</arg_key>\n<arg_value>{text}</arg_value>\n"
            for key, text in texts.items()
        )
        return f"<tool_call>{name}\n{pairs}</tool_call>"
    return f"{name}\n{json.dumps(arguments, ensure_ascii=False)}"


def begin(style: str) -> str:
    openings = {"chatglm3": "plan\n ```python\ntool_call(", "glm45": "<tool_call>plan\n"}
    return openings.get(style, "plan\n")


@pytest.mark.parametrize("name", ["glm4", "chatglm3", "glm45"])
@settings(max_examples=40)
@given(arguments=ARGUMENTS, order=st.randoms(use_true_random=False))
def test_every_call_that_fits_can_be_written(name: str, arguments: dict, order):
    keys = list(arguments)
    order.shuffle(keys)
    text = written(STYLES[name], {key: arguments[key] for key in keys})
    assert WRITER.accepts(FAMILIES[name], TOOLS, text)
    assert WRITER.accepts(FAMILIES[name], TOOLS, text + "<|observation|>")


EXACT = FAMILIES["glm4-compact"]
IN_ORDER = {"city": "上海", "days": 2, "单位": 'F"x', "exact": None, "words": {"a": 1, "b": 2}}


@settings(max_examples=30)
@given(arguments=ARGUMENTS)
def test_the_built_in_model_can_write_what_json_dumps_writes(arguments: dict):
    ordered = {key: arguments[key] for key in PROPERTIES if key in arguments}
    if "place" in ordered:
        ordered["place"] = dict(sorted(ordered["place"].items()))
    assert WRITER.accepts(EXACT, TOOLS, written("glm4", ordered) + "<|observation|>")


def test_the_built_in_model_writes_calls_in_one_way_only():
    call = written("glm4", IN_ORDER)
    assert WRITER.accepts(EXACT, TOOLS, call)
    for other in (
        f" {call}",
        f"{call}\n",
        call.replace("{", "{ ", 1),
        call.replace("\n", "\n\n", 1),
        call.replace(", ", ",", 1),
        call.replace(": ", ":", 1),
        call.replace(": ", " : ", 1),
        call.replace("2}", "2 }"),
        call.replace("上海", "\\u4e0a\\u6d77"),
        written("glm4", dict(reversed(IN_ORDER.items()))),
    ):
        assert other != call
        assert not WRITER.accepts(EXACT, TOOLS, other), other
        assert WRITER.accepts(FAMILIES["glm4"], TOOLS, other), other


@pytest.mark.parametrize("text", ["", " ", "a ", "\n", "\x01", "\x7f", "🙂", "\\"])
def test_the_built_in_model_can_write_any_text(text: str):
    assert WRITER.accepts(EXACT, TOOLS, written("glm4", {"city": text, "单位": "度"}))


def test_keys_that_are_not_declared_follow_the_declared():
    bag = {"name": "bag", "parameters": {"properties": {"a": {}, "b": {}}, "required": ["b"]}}
    bag["parameters"]["additionalProperties"] = {"type": "integer"}
    for arguments in (
        {"b": 0},
        {"a": 0, "b": 0},
        {"b": 0, "c": 1},
        {"a": 0, "b": 0, "c": 1, "d": 2},
    ):
        assert WRITER.accepts(EXACT, [bag], written("glm4", arguments, "bag"))
    for arguments in ({}, {"a": 0}, {"b": 0, "a": 0}, {"c": 1, "b": 0}, {"b": 0, "c": "x"}):
        assert not WRITER.accepts(EXACT, [bag], written("glm4", arguments, "bag"))


@pytest.mark.parametrize("name", STYLES)
def test_whatever_is_written_can_be_read_and_fits(name: str):
    style = STYLES[name]
    calls = [WRITER.nonsense(FAMILIES[name], TOOLS, begin(style), seed) for seed in range(25)]
    complete = [text for text, _ in filter(None, calls)]
    assert len(complete) > 20
    for text in complete:
        call = parse_tool_call(text, style, TOOLS)
        assert isinstance(call, ToolCall), text
        assert {"city", "单位"} <= call.arguments.keys() <= PROPERTIES.keys()


WRONG = [
    {"city": 3, "单位": "度"},
    {"city": "a"},
    {"city": "a", "单位": "K"},
    {"city": "a", "单位": "度", "town": "b"},
    {"city": "a", "单位": "度", "days": 1.5},
    {"city": "a", "单位": "度", "days": "1"},
    {"city": "a", "单位": "度", "place": {"tags": []}},
    {"city": "a", "单位": "度", "place": {"lat": 1, "tags": [1]}},
    {"city": "a", "单位": "度", "range": [1]},
    {"city": "a", "单位": "度", "exact": 1},
    {"city": "a", "单位": "度", "pair": ["a", 1]},
    {"city": "a", "单位": "度", "words": {"a": "b"}},
    {"city": "a", "单位": "度", "level": 3},
    {"city": "a", "单位": "度", "shape": {"m": 1}},
    {"city": "a", "单位": "度", "mode": "slow"},
]


@pytest.mark.parametrize("name", ["glm4", "glm4-compact", "chatglm3", "glm45"])
@pytest.mark.parametrize("arguments", WRONG, ids=repr)
def test_a_call_that_does_not_fit_cannot_be_written(name: str, arguments: dict):
    unquoted = arguments["city"] == 3 or arguments.get("days") == "1"
    text_anyway = name == "glm45" and unquoted  # between tags a text has no quotes
    assert WRITER.accepts(FAMILIES[name], TOOLS, written(STYLES[name], arguments)) == text_anyway


@pytest.mark.parametrize("name", STYLES)
def test_names_are_those_on_offer(name: str):
    style, family = STYLES[name], FAMILIES[name]
    assert WRITER.accepts(family, TOOLS, written(style, {}, "planner"))
    assert not WRITER.accepts(family, TOOLS, written(style, {}, "plane"))
    assert not WRITER.accepts(family, [PLAN], written(style, {}, "planner"))


@pytest.mark.parametrize("name", STYLES)
def test_an_answer_stays_free(name: str):
    family = FAMILIES[name]
    assert WRITER.accepts(family, TOOLS, "\n你好! A plan\n{1: <b>}<|user|>")
    assert WRITER.accepts(family, TOOLS, "\n")
    assert not WRITER.accepts(family, TOOLS, "\nthat is no call<|observation|>")


@pytest.mark.parametrize("name", ["glm4", "glm4-0414", "chatglm3"])
def test_answers_and_calls_may_follow_each_other(name: str):
    family, call = FAMILIES[name], written(STYLES[name], {}, "planner")
    assert WRITER.accepts(family, TOOLS, f"\nI look.<|assistant|>{call}<|observation|>")
    assert WRITER.accepts(family, TOOLS, f"{call}<|assistant|>{call}")
    assert not WRITER.accepts(family, TOOLS, f"{call}<|assistant|>\nwell<|observation|>")
    assert not WRITER.accepts(family, TOOLS, f"{call} and more")


def test_glm45_thinks_and_calls_several_times():
    family, call = FAMILIES["glm45"], written("glm45", {}, "planner")
    text = f"\n<think>hm\n</think>\nI look.\n{call}\n{call}<|observation|>"
    assert WRITER.accepts(family, TOOLS, text)
    assert WRITER.accepts(family, TOOLS, f"\n<think>I will {call}<|observation|>")
    assert WRITER.accepts(family, TOOLS, "<tool_call>planner</tool_call>")  # as GLM-4.7 writes


@pytest.mark.parametrize("name", ["glm4", "glm4-0414", "chatglm3"])
def test_the_code_of_a_cell_is_free(name: str):
    header = "interpreter" if name == "chatglm3" else "python"
    family, tools = FAMILIES[name], list(CODE.tools)
    assert WRITER.accepts(family, tools, f"{header}\nprint('<x>')\n你好 {{\\<|observation|>")
    assert not WRITER.accepts(family, tools, "pyton\nprint(1)")


def test_a_tool_that_is_known_by_its_type_is_sent_any_text():
    family, tools = FAMILIES["glm4"], [{"type": "simple_browser"}, PLANNER]
    assert WRITER.accepts(family, tools, 'simple_browser\nsearch("北京", 1)<|observation|>')
    assert WRITER.accepts(family, tools, "planner\n{}")


def test_a_tool_in_chatglm3s_own_form_is_held_to_its_types():
    days = {"name": "days", "type": "int", "description": "", "required": True}
    tools = [{"name": "forecast", "description": "", "params": [days]}]
    assert WRITER.accepts(FAMILIES["glm4"], tools, 'forecast\n{"days": 3}')
    assert not WRITER.accepts(FAMILIES["glm4"], tools, 'forecast\n{"days": "3"}')
    assert not WRITER.accepts(FAMILIES["glm4"], tools, "forecast\n{}")


def test_the_tools_of_the_app_can_be_called_as_they_were_trained():
    for text in (
        'convert_unit\n{"value": 3, "source": "mi", "target": "km"}',
        'random_number_generator\n{"seed": 42, "range": [1, 6]}',
        'get_weather\n{"city_name": "上海"}',
    ):
        assert WRITER.accepts(FAMILIES["glm4-compact"], list(TOOL.tools), text)


X = {"a": "x"}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
STRANGE = {
    "contains itself": (
        {"properties": {"a": NODE}, "$defs": {"node": NODE}},
        {"a": {"next": {"next": {}}}},
    ),
    "refers to nothing": (
        {"properties": {"a": {"$ref": "#/x"}, "b": {"$ref": "http://x/"}}},
        X,
    ),
    "in a circle": ({"properties": {"a": {"$ref": "#/properties/a"}}}, X),
    "unknown words": (
        {"properties": {"a": {"type": "string", "if": {}, "pattern": "(?=x)"}}},
        X,
    ),
    "wrong kinds": (
        {"properties": {"a": {"type": "y", "enum": "x"}, "b": 3}, "required": "a"},
        X,
    ),
    "not even a mapping": (["a"], {}),
    "no properties": ({"type": "object", "properties": None}, {}),
    "all of": ({"properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 1}]}}}, X),
    "never": ({"properties": {"a": False}}, X),
    "values without a spelling": ({"properties": {"a": {"enum": [float("nan"), b"x"]}}}, {"a": 1}),
    "deep": ({"properties": {"a": json.loads('{"items":' * 300 + "{}" + "}" * 300)}}, {"a": [[]]}),
    "keys that Python cannot write": ({"properties": {"a": {}, "a-b": {}, "from": {}}}, X),
}


@pytest.mark.parametrize("name", ["glm4", "glm4-compact", "chatglm3", "glm45"])
@pytest.mark.parametrize(("parameters", "arguments"), STRANGE.values(), ids=STRANGE)
def test_a_strange_schema_guides_less_and_fails_nothing(name: str, parameters, arguments: dict):
    tools = [{"name": "odd", "parameters": parameters}, PLAN]
    family, style = FAMILIES[name], STYLES[name]
    assert WRITER.accepts(family, tools, written(style, arguments, "odd"))
    assert WRITER.accepts(family, tools, written(style, {"city": "a", "单位": "度"}))


HUGE = {
    "wide": {"properties": {f"p{i}": {"type": "integer"} for i in range(3_000)}},
    "choices": {"properties": {"a": {"enum": [f"choice {i}" for i in range(20_000)]}}},
    "many alternatives": {
        "properties": {"a": {"anyOf": [{"$ref": "#/$defs/b"}] * 40}},
        "$defs": {"b": {"properties": {c: {"items": {"type": "null"}} for c in "abcdefgh"}}},
    },
}


@pytest.mark.parametrize("parameters", HUGE.values(), ids=HUGE)
def test_a_huge_schema_costs_little(parameters):
    started = time.process_time()
    tools = [{"name": "odd", "parameters": parameters}, PLAN]
    for name in ("glm4", "glm4-compact", "chatglm3", "glm45"):
        assert WRITER.accepts(FAMILIES[name], tools, written(STYLES[name], {}, "odd"))
        assert not WRITER.accepts(FAMILIES[name], tools, written(STYLES[name], {"x": 1}))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", ["chatglm", "chatglm2"])
def test_formats_without_tools_have_no_grammar(name: str):
    assert FAMILIES[name].call_grammar(TOOLS) is None


def test_nothing_on_offer_is_no_grammar():
    assert FAMILIES["glm4"].call_grammar([]) is None
    assert FAMILIES["glm4"].call_grammar([{"name": "no name"}]) is None
