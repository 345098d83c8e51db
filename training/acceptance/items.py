"""The items of the acceptance set, read strictly from `items/{mode}.{language}.yaml`.

The form of the files is described in README.md beside this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from glmdemo.clients.base import ToolSchema
from glmdemo.modes import TOOL

FOLDER = Path(__file__).parent / "items"
MODES = ("tool", "code", "chat")
LANGUAGES = ("en", "zh")


class ItemError(ValueError):
    """An item is not well formed; the message names it and what is wrong."""


@dataclass(frozen=True)
class Call:
    """One call of `name` with exactly `arguments`; the tool then returns `observation`."""

    name: str
    arguments: Mapping[str, Any]
    observation: str


@dataclass(frozen=True)
class Code:
    """One cell that prints all `texts`, all `numbers` and one of `any_number`, or draws.

    Numbers count as printed within `tolerance`. `reference` is a cell that does it. A chart
    must show just the `charted` labels and numbers, in any order.
    """

    reference: str
    any_number: tuple[float, ...] = ()
    numbers: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()
    figure: bool = False
    tolerance: float = 0.0
    charted: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Answer:
    """Text, no call: with all of `all_of`, one of `any_of` and none of `none_of`.

    `all_of` must stand there exactly, the others in any case of letters.
    """

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Printed:
    """Text that quotes what the cell before it was asked to print."""


@dataclass(frozen=True)
class NoCall:
    """Text of any kind, no call."""


Expected = Call | Code | Answer | Printed | NoCall


@dataclass(frozen=True)
class Step:
    """One reply that is asked for, after the user's `user` (None: after an observation)."""

    user: str | None
    expected: Expected


@dataclass(frozen=True)
class Item:
    """One conversation. `history` is what came before: user text, then cells that are run."""

    mode: str
    language: str
    id: str
    kind: str
    steps: tuple[Step, ...]
    tools: tuple[ToolSchema, ...] = ()
    system: str = ""
    files: Mapping[str, str] | None = None
    history: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Unique among all items."""
        return f"{self.mode}.{self.language}.{self.id}"


@cache
def load_items() -> tuple[Item, ...]:
    """All items. Raises ItemError."""
    return tuple(
        item
        for mode in MODES
        for language in LANGUAGES
        for item in read_items(
            (FOLDER / f"{mode}.{language}.yaml").read_text(encoding="utf-8"), mode, language
        )
    )


def read_items(text: str, mode: str, language: str) -> list[Item]:
    """The items in the text of one file. Raises ItemError."""
    data = yaml.safe_load(text)
    where = f"{mode}.{language}"
    _only(data, {"tools", "items"}, where)
    schemas = {name: _schema(name, tool) for name, tool in data.get("tools", {}).items()}
    items = [_item(entry, mode, language, schemas) for entry in data["items"]]
    ids = [item.id for item in items]
    if twice := {i for i in ids if ids.count(i) > 1}:
        raise ItemError(f"{where}: ids used twice: {', '.join(sorted(twice))}")
    return items


def _schema(name: str, tool: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAI-style function schema in which every parameter is required."""
    _only(tool, {"about", "parameters"}, name)
    parameters = {
        "type": "object",
        "properties": tool["parameters"],
        "required": list(tool["parameters"]),
    }
    function = {"name": name, "description": tool["about"], "parameters": parameters}
    return {"type": "function", "function": function}


def _item(entry: Any, mode: str, language: str, schemas: Mapping[str, dict[str, Any]]) -> Item:
    where = f"{mode}.{language}.{entry.get('id')}"
    _only(entry, {"id", "kind", "tools", "system", "files", "history", "steps"}, where)
    try:
        tools = _offered(entry.get("tools", ()), schemas)
        steps = tuple(_step(step, where) for step in entry["steps"])
        item = Item(
            mode=mode,
            language=language,
            id=entry["id"],
            kind=entry["kind"],
            steps=steps,
            tools=tools,
            system=entry.get("system", ""),
            files=entry.get("files"),
            history=tuple(_turn(turn, where) for turn in entry.get("history", ())),
        )
    except KeyError as error:
        raise ItemError(f"{where}: {error} is missing or unknown") from None
    _check_order(item)
    return item


def _offered(
    names: Sequence[str] | str, schemas: Mapping[str, dict[str, Any]]
) -> tuple[ToolSchema, ...]:
    if names == "app":
        return tuple(TOOL.tools)
    return tuple(schemas[name] for name in names)


def _turn(turn: Mapping[str, str], where: str) -> tuple[str, str]:
    _only(turn, {"user", "code"}, where)
    ((role, text),) = turn.items()
    return role, text


def _step(step: Mapping[str, Any], where: str) -> Step:
    kinds = {"call", "code", "answer", "no_call"} & step.keys()
    if len(kinds) != 1:
        raise ItemError(f"{where}: a step expects exactly one thing, not {sorted(kinds)}")
    kind = kinds.pop()
    more = {"call": {"arguments", "observation"}, "code": {"reference"}}.get(kind, set())
    _only(step, {"user", kind} | more, where)
    return Step(step.get("user"), _expected(kind, step, where))


def _expected(kind: str, step: Mapping[str, Any], where: str) -> Expected:
    value = step[kind]
    if kind == "call":
        _json_values(step["arguments"], where)
        return Call(value, step["arguments"], step["observation"])
    if kind == "no_call":
        return NoCall()
    if kind == "code":
        return _code(value, step["reference"], where)
    if value == "printed":
        return Printed()
    _only(value, {"all", "any", "none"}, where)
    texts = [tuple(value.get(key, ())) for key in ("all", "any", "none")]
    if not all(isinstance(text, str) for group in texts for text in group):
        raise ItemError(f"{where}: an answer is checked for texts; quote numbers")
    return Answer(*texts)


def _code(wanted: Mapping[str, Any], reference: str, where: str) -> Code:
    _only(wanted, {"number", "numbers", "output_contains_all", "figure", "tol"}, where)
    number = wanted.get("number", [])
    either = tuple(number) if isinstance(number, list) else (number,)
    numbers = tuple(wanted.get("numbers", ()))
    whole = all(isinstance(value, int) for value in (*either, *numbers))
    return Code(
        reference=reference,
        any_number=either,
        numbers=numbers,
        texts=tuple(wanted.get("output_contains_all", ())),
        figure=wanted.get("figure", False),
        tolerance=wanted.get("tol", 0.0 if whole else 0.01),
    )


def _check_order(item: Item) -> None:
    """Every reply follows a user's text or an observation."""
    observed = bool(item.history) and item.history[-1][0] == "code"
    for step in item.steps:
        if (step.user is None) != observed:
            raise ItemError(f"{item.name}: the user must speak where no observation came before")
        observed = isinstance(step.expected, Call | Code)
    if observed:
        raise ItemError(f"{item.name}: ends without an answer")


def _only(data: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if unknown := data.keys() - allowed:
        raise ItemError(f"{where}: unknown keys {', '.join(map(str, sorted(unknown)))}")


def _json_values(arguments: Mapping[str, Any], where: str) -> None:
    """YAML reads a bare 2027-01-05 as a date; that must be quoted."""
    values: Sequence[Any] = list(arguments.values())
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise ItemError(f"{where}: arguments must be texts, numbers or booleans")
