"""Abilities under everything else, measured on fixed rows while a network is trained."""

from __future__ import annotations

import random

import torch

from glmdemo.families.base import build_chat_input
from glmdemo.families.glm4_brief import GLM4_BRIEF
from training.generator.copying import copy_row
from training.generator.draw import Draw
from training.generator.requests import request
from training.generator.row import Row, call, random_draw, user
from training.generator.tools import random_tool
from training.generator.toolspec import ToolSpec
from training.network import LeanGlm
from training.rendering import encode_row
from training.tokenizer import BuiltinTokenizer
from training.weights import Weights

_COPY_ROWS = 16
_CHOICES = 100


def probe(network: LeanGlm, tokenizer: BuiltinTokenizer, device: torch.device) -> dict[str, float]:
    """All of them, each from 0 to 1."""
    return {
        "copy_probe": copy_probe(network, tokenizer, device),
        "choice_probe": choice_probe(network, tokenizer, device),
        "value_probe": value_probe(network, tokenizer, device),
    }


@torch.inference_mode()
def copy_probe(network: LeanGlm, tokenizer: BuiltinTokenizer, device: torch.device) -> float:
    """Share of second-copy tokens predicted rightly in fixed rows of 256 tokens."""
    draw = Draw(random.Random(4), level=1.0)
    right = total = 0
    for _ in range(_COPY_ROWS):
        ids, second = copy_row(draw, tokenizer, tokenizer.size, 257)
        logits = network(torch.tensor([ids[:-1]], device=device))[0]
        known = torch.tensor(second[1:], device=device)
        hits = logits.argmax(-1) == torch.tensor(ids[1:], device=device)
        right += int(hits[known].sum())
        total += int(known.sum())
    return right / total


@torch.inference_mode()
def choice_probe(network: LeanGlm, tokenizer: BuiltinTokenizer, device: torch.device) -> float:
    """How often the right one of two offered tools is the likelier, for fixed requests; 0.5 is
    chance."""
    right = 0
    for number in range(_CHOICES):
        draw = random_draw(f"choice {number}", "zh" if number % 2 else "en")
        wanted, other = _two_tools(draw)
        offered = [wanted, other] if number % 4 < 2 else [other, wanted]
        asked = user(request(draw, wanted, wanted.draw_values(draw)))
        schemas = [tool.schema() for tool in offered]
        ids = build_chat_input(GLM4_BRIEF, tokenizer, [asked], schemas)
        names = [tokenizer.encode_text(f"{tool.name}\n") for tool in (wanted, other)]
        same = next(i for i, pair in enumerate(zip(*names, strict=False)) if pair[0] != pair[1])
        logits = network(torch.tensor([[*ids, *names[0][:same]]], device=device))[0, -1]
        right += int(logits[names[0][same]] > logits[names[1][same]])
    return right / _CHOICES


@torch.inference_mode()
def value_probe(network: LeanGlm, tokenizer: BuiltinTokenizer, device: torch.device) -> float:
    """Share of the values of fixed calls, with all before them as it should be, that begin with
    the likeliest token."""
    weights = Weights(tokenizer)
    right = total = 0
    for number in range(_CHOICES):
        draw = random_draw(f"value {number}", "zh" if number % 2 else "en")
        tools = _two_tools(draw)
        values = tools[0].draw_values(draw)
        asked = user(request(draw, tools[0], values))
        called = call(tools[0].name, tools[0].arguments(values))
        schemas = tuple(tool.schema() for tool in tools)
        row = encode_row(tokenizer, Row("tool", draw.lang, (asked, called), schemas))
        logits = network(torch.tensor([row.ids[:-1]], device=device))[0]
        for place in weights.decisions(row)[1:]:
            right += int(logits[place - 1].argmax() == row.ids[place])
            total += 1
    return right / total


def _two_tools(draw: Draw) -> tuple[ToolSpec, ToolSpec]:
    """Tools of different names and topics."""
    wanted = random_tool(draw)
    while True:
        other = random_tool(draw)
        if other.topic != wanted.topic and other.name != wanted.name:
            return wanted, other
