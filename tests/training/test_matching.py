"""Rows that teach to choose: each request has one right call, and says all that it needs."""

from __future__ import annotations

import itertools
import json
import random
import re

from training.generator.copying import FIRST_TEXT_ID
from training.generator.draw import Draw
from training.generator.matching import Matching
from training.tokenizer import BuiltinTokenizer


def test_a_request_says_all_that_its_call_needs(tokenizer: BuiltinTokenizer) -> None:
    matching = Matching(tokenizer, tokenizer.size, FIRST_TEXT_ID + 256)
    draw = Draw(random.Random(1))
    calls = 0
    for _ in range(60):
        shared, branches = matching.row(draw)
        assert not any(shared.learnt)
        prompt = tokenizer.decode(shared.ids)
        names = re.findall(r"\n## (.+)", prompt)
        for branch in itertools.islice(branches, 4):
            asked = [i for i, own in zip(branch.ids, branch.learnt, strict=True) if not own]
            written = [i for i, own in zip(branch.ids, branch.learnt, strict=True) if own]
            assert written[-1] == tokenizer.control_id("<|observation|>")
            name, arguments = tokenizer.decode(written[:-1]).split("\n")
            assert name in names
            for key, value in json.loads(arguments).items():
                assert f'"name": "{key}"' in prompt
                assert value in tokenizer.decode(asked)
            calls += 1
    assert calls == 240
