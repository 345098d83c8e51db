"""What a user says to get a tool called: written lines, or a wish and values put together.

A composed request joins what is wanted with the values, each named by its label or by a
preposition, in any order, in one of many frames.
"""

from __future__ import annotations

from collections.abc import Sequence

from training.generator.draw import Draw
from training.generator.lexicon import phrases
from training.generator.toolspec import Param, ToolSpec, Value
from training.generator.values import alike, person, pet
from training.generator.wording import phrase, plain

_COMPOSED = 0.14
"""Share of composed requests where a tool has lines of its own."""

_IN_CONTEXT = 0.14

_BARE = {
    "en": {
        "city": "[in|at|for|near] <v>",
        "street": "[at|on] <v>",
        "person": "[for|with|by|to] <v>",
        "date": "[on|for|] <v>",
        "time": "[at|for|] <v>",
        "email": "[to|at|] <v>",
        "phone": "[on|under|] <v>",
        "room": "in the <v>",
        "language": "in <v>",
        "color": "in <v>",
        "file": "[to|as|from|] <v>",
        "title": '["<v>"|called <v>|<v>]',
        "phrase": '["<v>"|saying <v>|: <v>|<v>]',
    },
    "zh": {
        "city": "[在|去|]<v>",
        "street": "[在|]<v>",
        "person": "[给|找|和|]<v>",
        "date": "<v>[那天|]",
        "time": "<v>[的时候|]",
        "email": "[发到|]<v>",
        "room": "[在|]<v>",
        "language": "用<v>",
        "title": "[《<v>》|<v>|“<v>”]",
        "phrase": "[“<v>”|<v>|内容<v>]",
    },
}
_JOINTS = {
    "en": (", ", ", ", ", ", " and ", " and ", " ", "; ", "\n"),
    "zh": ("，", "，", "，", "、", " ", "；"),
}


def request(draw: Draw, tool: ToolSpec, values: Sequence[Value]) -> str:
    """A request for `tool` with `values`, sometimes between sentences that change nothing."""
    written = tool.ask
    if not draw.held_out and tool.wants and (not written or draw.chance(_COMPOSED)):
        written = (composed(draw, tool),)
    return in_context(draw, phrase(draw, written, tool.slots(values)))


def in_context(draw: Draw, text: str) -> str:
    """`text`, now and then with a sentence before or after it."""
    if draw.held_out or not draw.chance(_IN_CONTEXT * draw.level):
        return text
    slots = {"person": person(draw), "pet": pet(draw)}
    joint = draw.by_lang(" ", "")
    if draw.chance(0.7):
        return plain(draw, phrases("context")["before"][draw.lang], slots) + joint + text
    end = "" if text[-1] in ".!?。！？" else draw.by_lang(".", "。")
    return text + end + joint + plain(draw, phrases("context")["after"][draw.lang], slots)


def composed(draw: Draw, tool: ToolSpec) -> str:
    """One request line with the slots <0>, <1>, ... of the parameters."""
    wording = phrases("tools")
    frames = wording["frame"][draw.lang]
    rest = values_named(draw, tool.params)
    if tool.sought and draw.chance(0.5):
        frame = str(draw.pick(wording["frame_ask"][draw.lang])).replace("<obj>", tool.sought)
    else:
        frame = str(draw.pick(frames)).replace("<want>", draw.pick(tool.wants))
    return frame.replace("<rest>", rest)


def values_named(draw: Draw, params: Sequence[Param]) -> str:
    """The slots of all parameters; those that could be confused have labels and any order."""
    order = list(range(len(params)))
    confusable = alike([param.kind for param in params])
    labelled = [draw.chance(0.5)] * len(params)
    if not confusable and draw.chance(0.4):
        labelled = [draw.chance(0.5) for _ in params]
    if confusable and not all(param.mark for param in params):
        labelled = [draw.chance(0.9)] * len(params)
    marked = all(labelled) or not confusable or all(param.mark for param in params)
    if marked and draw.chance(0.4):
        draw.rng.shuffle(order)
    one_form = draw.pick(phrases("tools")["labelled"][draw.lang]) if draw.chance(0.6) else ""
    parts = [_part(draw, params[i], i, labelled[i], one_form) for i in order]
    joints = draw.by_lang(
        (", ", ", ", ", ", " and ", " ", "; ", "\n"), ("，", "，", "、", " ", "；")
    )
    return draw.pick(joints).join(parts)


def _part(draw: Draw, param: Param, index: int, labelled: bool, form: str) -> str:
    slot = f"<{index}>"
    if param.kind == "bool":
        return slot
    if labelled:
        form = form or draw.pick(phrases("tools")["labelled"][draw.lang])
        return form.replace("<l>", param.label).replace("<v>", slot)
    bare = param.mark or _BARE[draw.lang].get(param.kind, "<v>")
    return bare.replace("<v>", slot)
