"""Rows that teach to choose: each request has one right call, and says all that it needs."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter

from training.generator.copying import FIRST_TEXT_ID
from training.generator.draw import Draw
from training.generator.matching import SWITCHES, Matching
from training.tokenizer import BuiltinTokenizer


def test_a_request_says_all_that_its_call_needs(tokenizer: BuiltinTokenizer) -> None:
    matching = Matching(tokenizer, tokenizer.size, FIRST_TEXT_ID + 256)
    draw = Draw(random.Random(1))
    calls = 0
    kinds: Counter[str] = Counter()
    for _ in range(120):
        shared, branches = matching.row(draw)
        assert not any(shared.learnt)
        prompt = tokenizer.decode(shared.ids)
        sections = {name: text for text, name in re.findall(r"(.+)\n## (.+)", prompt)}
        for branch in itertools.islice(branches, 4):
            asked = [i for i, own in zip(branch.ids, branch.learnt, strict=True) if not own]
            written = [i for i, own in zip(branch.ids, branch.learnt, strict=True) if own]
            assert written[-1] == tokenizer.control_id("<|observation|>")
            name, arguments = tokenizer.decode(written[:-1]).split("\n")
            for key, value in json.loads(arguments).items():
                about = re.search(rf'{{([^{{}}]*), "name": "{key}"}}', sections[name])
                assert about
                schema = json.loads("{" + about[1] + "}")
                kinds[schema["type"]] += 1
                request = tokenizer.decode(asked)
                if value is True or value is False:
                    assert schema["type"] == "boolean"
                    label = schema["description"]  # sometimes with fillers in it
                    unwanted = [form for switch in SWITCHES for form in switch[False]]
                    if label in request:
                        negated = any(f"{a}{label}{b}" in request for a, b in unwanted)
                        assert negated == (not value)
                        kinds[str(value)] += 1
                else:
                    assert schema["type"] == ("integer" if isinstance(value, int) else "string")
                    assert str(value) in request
                    assert value in schema.get("enum", [value])
                    kinds["enum"] += "enum" in schema
            calls += 1
    assert calls == 480
    expected = ("string", "enum", "integer", "boolean", "True", "False")
    assert min(kinds[kind] for kind in expected) > 20
