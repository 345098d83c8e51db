"""Tokenizer and rendering: one string has one spelling, and rows come back whole."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from glmdemo.families.base import build_chat_input
from glmdemo.families.glm4_brief import GLM4_BRIEF
from glmdemo.messages import PYTHON_TOOL, Role
from training.generator import chat, code, tools
from training.generator.copying import copy_row
from training.generator.draw import Draw
from training.generator.mix import MODES
from training.generator.row import Row, call, is_mistaken, observation, random_draw, user
from training.generator.values import KINDS, value
from training.rendering import encode_branches, encode_row, pieces_of
from training.tokenizer import CONTROL_TOKENS, BuiltinTokenizer


def test_control_tokens_come_first_and_text_never_becomes_one(tokenizer: BuiltinTokenizer) -> None:
    assert [tokenizer.control_id(token) for token in CONTROL_TOKENS] == list(range(10))
    assert min(tokenizer.encode_text("<|user|> [gMASK]<sop>")) >= 10


@pytest.mark.parametrize("text", ["你好，魑魅", "naïve José", "a\n    b\t\u200b🙂", '{"k": "v"}'])
def test_text_survives(tokenizer: BuiltinTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode_text(text)) == text


def test_a_value_has_the_same_tokens_everywhere(tokenizer: BuiltinTokenizer) -> None:
    frames = (
        "Find {} now",
        '{{"name": "{}"}}',
        'print("{}"[::-1])',
        "查一下{}的天气",
        "{}",
        "({})",
    )
    draws = [Draw(random.Random(i), lang) for i in range(60) for lang in ("en", "zh")]
    for draw in draws:
        text = str(value(draw, draw.pick(tuple(KINDS))))
        if not (text[0].isalnum() and text[-1].isalnum()):
            continue
        own = tokenizer.encode_text(text)
        for frame in frames:
            ids = tokenizer.encode_text(frame.format(text))
            assert any(ids[i : i + len(own)] == own for i in range(len(ids))), (text, frame)


def test_rows_round_trip(tokenizer: BuiltinTokenizer) -> None:
    """The marked tokens of a row are exactly what the product's parser reads back."""
    draw = Draw(random.Random(3))
    for row in _conversations(draw, 80):
        ids, learnt = encode_row(tokenizer, row)
        assert len(ids) == len(learnt)
        spoken = [m for m in row.messages if m.role == Role.ASSISTANT]
        for message, text, stop in zip(spoken, *_replies(tokenizer, ids, learnt), strict=True):
            if any(map(is_mistaken, message.tool_calls)):
                assert text.strip() == PYTHON_TOOL
                continue
            parser = GLM4_BRIEF.reply_parser(row.tools)
            parser.feed(text)
            _, read = parser.finish(stop)
            assert read.content == message.content
            assert [(c.name, c.arguments) for c in read.tool_calls] == [
                (c.name, c.arguments) for c in message.tool_calls
            ]


def _conversations(draw: Draw, count: int) -> Iterator[Row]:
    """Rows without branches."""
    modes = itertools.cycle(MODES.values())
    for make in itertools.islice(modes, count):
        yield make(draw.with_lang(draw.pick(("en", "zh"))))


@pytest.mark.parametrize("branched_row", [tools.branched_row, code.branched_row, chat.branched_row])
def test_a_branch_is_the_rest_of_its_conversation(
    tokenizer: BuiltinTokenizer, branched_row: Callable[[Draw], Row]
) -> None:
    """The token before it may end another branch, so its own first one is not learnt."""
    for seed in range(20):
        row = branched_row(random_draw(seed, "zh" if seed % 2 else "en"))
        shared = encode_row(tokenizer, row)
        parts = encode_branches(tokenizer, row)
        for branch, messages in zip(parts, row.conversations(), strict=True):
            whole = replace(row, messages=messages, branches=())
            ids, learnt = encode_row(tokenizer, whole)
            if messages[-1].tool_calls:
                assert branch.ids[-1] == tokenizer.control_id("<|observation|>")
                ids[-1] = branch.ids[-1]
            assert shared.ids + branch.ids == ids
            learnt[len(shared.ids)] = False
            assert shared.learnt + branch.learnt == learnt


def test_a_mistaken_cell_is_shown_but_never_learnt(tokenizer: BuiltinTokenizer) -> None:
    asked = call(PYTHON_TOOL, {"code": "prin(1)"}, mistaken=True)
    mended = call(PYTHON_TOOL, {"code": "print(1)"})
    messages = (user("1?"), asked, observation("NameError"), mended, observation("1"))
    ids, learnt = encode_row(tokenizer, Row("code/repair", "en", messages))
    assert "prin(1)" in tokenizer.decode(ids)
    taught = tokenizer.decode([i for i, own in zip(ids, learnt, strict=True) if own])
    assert "prin(" not in taught
    assert "print(1)" in taught


def _replies(
    tokenizer: BuiltinTokenizer, ids: list[int], learnt: list[bool]
) -> tuple[list[str], list[str]]:
    """Text and stop token of each run of ids that are to be learnt."""
    texts, stops, run = [], [], list[int]()
    for token, own in zip(ids, learnt, strict=True):
        if not own:
            continue
        if token < len(CONTROL_TOKENS):
            texts.append(tokenizer.decode(run))
            stops.append(CONTROL_TOKENS[token])
            run = []
        else:
            run.append(token)
    assert not run
    return texts, stops


def test_training_prompt_is_the_products_prompt(tokenizer: BuiltinTokenizer) -> None:
    draw = Draw(random.Random(4))
    for row in _conversations(draw, 30):
        ids, _ = encode_row(tokenizer, row)
        first = next(i for i, m in enumerate(row.messages) if m.role == Role.ASSISTANT)
        prompt = build_chat_input(GLM4_BRIEF, tokenizer, row.messages[:first], row.tools)
        assert ids[: len(prompt)] == prompt
    assert pieces_of(row)[-1].text == "<|user|>"


def test_copy_rows_repeat_themselves(tokenizer: BuiltinTokenizer) -> None:
    draw = Draw(random.Random(5))
    ids, second = copy_row(draw, tokenizer, tokenizer.size, 300)
    assert len(ids) == len(second) == 300
    assert 0.1 < sum(second) / 300 < 0.6
    assert max(ids) < tokenizer.size
