"""What decides in a reply weighs more than what goes without saying."""

from __future__ import annotations

import random

from glmdemo.messages import PYTHON_TOOL
from training.generator.draw import Draw
from training.generator.row import Encoded, Row, answer, call, observation, user
from training.rendering import encode_branches, encode_row
from training.tokenizer import BuiltinTokenizer
from training.weights import CELL_WEIGHT, CHOICE_WEIGHT, Weights


def heavy(
    tokenizer: BuiltinTokenizer, row: Encoded, before: Encoded | None = None
) -> list[tuple[str, float]]:
    """The tokens that weigh more than 1."""
    made = Weights(tokenizer)
    weights = made.of(Draw(random.Random(1)), row, made.heard(before) if before else None)
    assert len(weights) == len(row.ids)
    return [
        (tokenizer.decode([token]), weight)
        for token, weight in zip(row.ids, weights, strict=True)
        if weight > 1
    ]


def test_the_first_tokens_of_names_and_values_and_their_ends_weigh_most(
    tokenizer: BuiltinTokenizer,
) -> None:
    row = Row("x", "en", (), branches=((user("go"), call("f", {"a": "b", "c": 7})),))
    (branch,) = encode_branches(tokenizer, row)
    expected = [(token, CHOICE_WEIGHT) for token in ("f", "b", '", "', "7", "}")]
    assert heavy(tokenizer, branch, encode_row(tokenizer, row)) == expected
    whole = encode_row(tokenizer, Row("x", "en", row.branches[0]))
    assert heavy(tokenizer, whole) == expected


def test_all_of_a_value_weighs_as_much_as_its_end(tokenizer: BuiltinTokenizer) -> None:
    row = Row("x", "en", (user("go"), call("f", {"a": "2 3", "b": ""})))
    assert heavy(tokenizer, encode_row(tokenizer, row)) == [
        (token, CHOICE_WEIGHT) for token in ("f", "2", " ", "3", '", "', '"}')
    ]


def test_of_an_answer_only_its_beginning_weighs_more(tokenizer: BuiltinTokenizer) -> None:
    row = Row("x", "en", (), branches=((user("go"), answer('it is {"a": "b"}')),))
    (branch,) = encode_branches(tokenizer, row)
    assert heavy(tokenizer, branch, encode_row(tokenizer, row)) == [
        ("\n", CHOICE_WEIGHT),
        ("it", CHOICE_WEIGHT),
    ]


def test_a_mistaken_call_weighs_nothing(tokenizer: BuiltinTokenizer) -> None:
    mistaken = call("f", {"a": "b"}, mistaken=True)
    row = encode_row(tokenizer, Row("x", "en", (user("go"), mistaken)))
    assert heavy(tokenizer, row) == []


def test_of_a_cell_its_beginning_and_what_it_takes_from_the_request_weigh_most(
    tokenizer: BuiltinTokenizer,
) -> None:
    cell = call(PYTHON_TOOL, {"code": "print(7+34)"})
    row = Row("x", "en", (), branches=((user("34 and 7"), cell),))
    (branch,) = encode_branches(tokenizer, row)
    weights = dict(heavy(tokenizer, branch, encode_row(tokenizer, row)))
    most = {"python", "print", "7", "+", "3", "4", ")"}
    assert {token for token, weight in weights.items() if weight == CHOICE_WEIGHT} == most
    assert weights["("] == CELL_WEIGHT


def test_what_an_answer_recalls_weighs_most_and_what_stands_behind_it(
    tokenizer: BuiltinTokenizer,
) -> None:
    told = (user("my cat is 7"), answer("noted: it"))
    row = Row("x", "en", told, branches=((user("go"), answer("it: 7.")),))
    (branch,) = encode_branches(tokenizer, row)
    weights = heavy(tokenizer, branch, encode_row(tokenizer, row))
    assert [token for token, _ in weights] == ["\n", "it", "7", "."]


def test_an_answer_that_quotes_an_observation_recalls_nothing(
    tokenizer: BuiltinTokenizer,
) -> None:
    said = (user("is it 7"), call("f", {"a": 1}), observation("7"), answer("it is 7."))
    weights = heavy(tokenizer, encode_row(tokenizer, Row("x", "en", said)))
    assert [token for token, _ in weights] == ["f", "1", "}", "it"]
