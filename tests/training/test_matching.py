"""Rows that teach to choose: each request has one right call, and says all that it needs."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest

from glmdemo.families.glm4_compact import GLM4_COMPACT
from training.generator.copying import FIRST_TEXT_ID
from training.generator.draw import Draw
from training.generator.matching import Matching
from training.tokenizer import BuiltinTokenizer, build, save


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BuiltinTokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    save(build(700, 150), folder)
    return BuiltinTokenizer.load(folder)


def test_a_request_says_all_that_its_call_needs(tokenizer: BuiltinTokenizer) -> None:
    matching = Matching(tokenizer, tokenizer.size, FIRST_TEXT_ID + 256)
    draw = Draw(random.Random(1))
    calls = 0
    for _ in range(60):
        shared, branches = matching.row(draw)
        assert not any(shared.learnt)
        prompt = tokenizer.decode(shared.ids)
        names = re.findall(r"\n## (.+)", prompt)
        offered = [{"type": "function", "function": {"name": name}} for name in names]
        for branch in itertools.islice(branches, 4):
            asked = [i for i, own in zip(branch.ids, branch.learnt, strict=True) if not own]
            written = [i for i, own in zip(branch.ids, branch.learnt, strict=True) if own]
            assert written[-1] == tokenizer.control_id("<|observation|>")
            parser = GLM4_COMPACT.reply_parser(offered)
            parser.feed(tokenizer.decode(written[:-1]))
            (call,) = parser.finish("<|observation|>")[1].tool_calls
            assert call.name in names
            assert all(f'"name": "{key}"' in prompt for key in call.arguments)
            assert all(str(value) in tokenizer.decode(asked) for value in call.arguments.values())
            calls += 1
    assert calls == 240
