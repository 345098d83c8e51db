"""Tool mode: offered schemas, a call, its observation, the answer; follow-ups and declines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from glmdemo.messages import Message
from training.generator.answers import no_tool_fits, quote_error, quote_pairs, quote_text
from training.generator.app_tools import app_branches, app_row
from training.generator.chat import refusal, small_talk, system_prompt
from training.generator.coined_tools import coined_tool
from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.requests import request
from training.generator.row import Row, answer, call, observation, user
from training.generator.services import service
from training.generator.toolspec import Param, ToolSpec, Value
from training.generator.values import KINDS, alike, to_json, value
from training.generator.wording import phrase, plain

_APP_SHARE = 0.12
"""Share of rows with the tools that the app ships."""

_SERVICE_SHARE = {False: 0.8, True: 0.87}
"""Share of everyday services among the other tools, by whether they are held out, where it stays
as it has been measured; the rest is made of random words."""

_FOLLOW_UP = 0.62
"""Chance of one more exchange: several per row let the schemas be read once for many calls."""

_BRIEF = 0.55
"""Share of rows with few tools and short results, and more requests in their own words."""

_BRANCHES = 7
"""Ways to go on that are made for a row; a line takes as many as it has room for."""

_LATER = 0.4
"""Share of rows with branches where a conversation has gone before: its words are read once, and
the branches go on from there."""

_AGAIN = 0.5
"""Chance that such a branch wants the last call again for one new value."""

_TRIES = 20

_SIMILAR = 0.35
"""Chance that an offered tool is easily taken for the one before it."""


class Asked(NamedTuple):
    """What a request was for."""

    tool: ToolSpec
    values: tuple[Value, ...]

    def as_call(self) -> Message:
        return call(self.tool.name, self.tool.arguments(self.values))


def tool_row(draw: Draw) -> Row:
    """One conversation in tool mode."""
    if not draw.held_out and draw.chance(_APP_SHARE):
        return app_row(draw)
    brief = draw.chance(_BRIEF)
    tools = _offer(draw, brief)
    messages: list[Message] = []
    if draw.chance(0.15 * draw.level):
        messages.append(system_prompt(draw))
    kind = "call"
    if draw.chance(0.05):
        kind = "talk"
        messages += small_talk(draw)
    elif draw.chance(0.07 * draw.level):
        kind = "decline"
        messages += _declined(draw, tools)
    else:
        messages += _calls(draw, tools, brief)[0]
    return Row(f"tool/{kind}", draw.lang, tuple(messages), tuple(tool.schema() for tool in tools))


def branched_row(draw: Draw) -> Row:
    """Tools and ways in which a conversation with them begins or goes on, most of them a single
    call.

    The schemas are most of a tool row's tokens: here they are read once for many calls, and
    requests meet the same tools with other right answers.
    """
    if draw.chance(_APP_SHARE):
        return app_branches(draw, _BRANCHES)
    brief = draw.chance(_BRIEF)
    tools = _offer(draw, brief)
    shared = [system_prompt(draw)] if draw.chance(0.15 * draw.level) else []
    last = None
    if draw.chance(_LATER):
        before, last = _calls(draw, tools, brief, most=draw.pick((4, 4, 6)))
        shared += before
    branches = tuple(_branch(draw, tools, last) for _ in range(_BRANCHES))
    schemas = tuple(tool.schema() for tool in tools)
    return Row("tool/branches", draw.lang, tuple(shared), schemas, branches=branches)


def _branch(draw: Draw, tools: Sequence[ToolSpec], last: Asked | None) -> tuple[Message, ...]:
    """A way to begin, or to go on after `last`."""
    if draw.chance(0.05):
        return tuple(small_talk(draw))
    if draw.chance(0.06 * draw.level):
        return tuple(_declined(draw, tools))
    if last is None and draw.chance(0.05):
        return tuple(_calls(draw, tools, brief=True, most=8)[0])
    ask, asked = _again(draw, last) if last and draw.chance(_AGAIN) else _request(draw, tools)
    return ask, asked.as_call()


def _offer(draw: Draw, brief: bool) -> list[ToolSpec]:
    """One to four tools of different topics and names, in random order; some are similar."""
    few = brief or not draw.chance(draw.level)
    count = draw.pick((1, 2, 2, 3) if few else (1, 2, 2, 2, 3, 3, 3, 4))
    tools: list[ToolSpec] = []
    while len(tools) < count:
        alike = tools[-1].similar if tools and draw.chance(_SIMILAR) else None
        tool = alike(draw) if alike else random_tool(draw)
        if all(tool.name != t.name and tool.topic != t.topic for t in tools):
            tools.append(replace(tool, result=tool.result[:1]) if brief else tool)
    draw.rng.shuffle(tools)
    return tools


def random_tool(draw: Draw) -> ToolSpec:
    return service(draw) if draw.chance(_SERVICE_SHARE[draw.held_out]) else coined_tool(draw)


def _calls(
    draw: Draw, tools: Sequence[ToolSpec], brief: bool, most: int = 12
) -> tuple[list[Message], Asked]:
    """One call, sometimes followed by more for new values or for another offered tool, until
    there are `most` messages; and what the last one was for."""
    ask, asked = _request(draw, tools)
    messages = [ask, *_exchange(draw, asked)]
    while draw.chance(0.8 if brief else _FOLLOW_UP) and len(messages) < most:
        if draw.chance(0.25 if brief else 0.45):
            ask, asked = _again(draw, asked)
        elif draw.chance(0.15):
            messages += small_talk(draw)
            continue
        else:
            ask, asked = _request(draw, tools)
        messages += [ask, *_exchange(draw, asked)]
    return messages, asked


def _request(draw: Draw, tools: Sequence[ToolSpec]) -> tuple[Message, Asked]:
    tool = draw.pick(tools)
    values = tool.draw_values(draw)
    return user(request(draw, tool, values)), Asked(tool, values)


def _again(draw: Draw, last: Asked) -> tuple[Message, Asked]:
    """The last request once more for one new value, of which little but the value is said."""
    tool = last.tool
    index, values = _one_new_value(draw, *last)
    param = tool.params[index]
    slots = {"v": param.say(values[index]), "label": param.label}
    return user(phrase(draw, again_lines(draw, tool, param), slots)), Asked(tool, values)


def again_lines(draw: Draw, tool: ToolSpec, param: Param) -> tuple[str, ...]:
    """How a new value is named; with its label where another parameter's could be meant."""
    if draw.held_out:
        held: tuple[str, ...] = phrases("tools")["again_held"][draw.lang]
        return held
    lines: tuple[str, ...] = phrases("tools")["again"][draw.lang]
    if any(other is not param and alike((other.kind, param.kind)) for other in tool.params):
        return tuple(line for line in lines if "<label>" in line and "[make" not in line)
    return lines


def _one_new_value(
    draw: Draw, tool: ToolSpec, values: tuple[Value, ...]
) -> tuple[int, tuple[Value, ...]]:
    """The place of a parameter, and the values with another one there."""
    index = draw.rng.randrange(len(values))
    changed = list(values)
    for _ in range(_TRIES):
        changed[index] = tool.params[index].draw_value(draw)
        if changed[index] != values[index]:
            break
    return index, tuple(changed)


def _exchange(draw: Draw, asked: Asked) -> list[Message]:
    """The call, what the tool returned, and the answer that quotes it."""
    form = draw.rng.random()
    wording = phrases("tools")
    if form < 0.1:
        text = plain(draw, wording["error_result"][draw.lang], _any_values(draw))
        reply = quote_error(draw, text)
    elif form < 0.25:
        text = plain(draw, wording["text_result"][draw.lang], _any_values(draw))
        reply = quote_text(draw, text)
    else:
        text, leaves = _structured(draw, asked)
        reply = quote_pairs(draw, leaves)
    return [asked.as_call(), observation(text), answer(reply)]


def _any_values(draw: Draw) -> dict[str, Value]:
    """A value of each kind."""
    return {kind: value(draw, kind) for kind in KINDS}


def _structured(draw: Draw, asked: Asked) -> tuple[str, list[tuple[str, str]]]:
    """An observation with keys, and its (key, value) leaves in order."""
    data: dict[str, Value] = {}
    if draw.chance(0.3):
        data.update(list(asked.tool.arguments(asked.values).items())[:1])
    data.update({key: value(draw, kind) for key, kind in asked.tool.result})
    if draw.chance(0.12):
        data[draw.pick(("ok", "success", "cached"))] = draw.chance(0.7)
    leaves = [(key, leaf if isinstance(leaf, str) else to_json(leaf)) for key, leaf in data.items()]
    form = draw.rng.random()
    if form < 0.25:
        return "\n".join(f"{key}: {leaf}" for key, leaf in leaves), leaves
    if form < 0.35:
        return to_json({draw.pick(("result", "data", "response")): data}), leaves
    if form < 0.4:
        return json.dumps(data, ensure_ascii=False, indent=2), leaves
    return to_json(data), leaves


def _declined(draw: Draw, tools: Sequence[ToolSpec]) -> list[Message]:
    """A request for an everyday service that is not on offer, or for what no tool does."""
    if draw.chance(0.45):
        return [user(refusal(draw).ask), answer(no_tool_fits(draw))]
    while True:
        other = service(draw)
        if all(other.topic != tool.topic for tool in tools):
            break
    ask = request(draw, other, other.draw_values(draw))
    return [user(ask), answer(no_tool_fits(draw))]
