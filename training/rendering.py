"""Rows as token ids with loss weights, rendered by the product's own family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from glmdemo.families import Piece
from glmdemo.families.base import Tokenizer, encode_piece
from glmdemo.families.glm4 import call_text
from glmdemo.families.glm4_brief import GLM4_BRIEF
from glmdemo.messages import Message, Role
from training.generator.row import Encoded, Row, is_mistaken

END_OF_ANSWER = Piece("<|user|>", control=True, role=Role.USER)
END_OF_CALL = Piece("<|observation|>", control=True, role=Role.OBSERVATION)


def pieces_of(row: Row) -> list[Piece]:
    """The pieces of a whole conversation, up to the token that ends the last answer; of a row
    with branches what they share."""
    pieces = GLM4_BRIEF.render(row.messages, row.tools, add_generation_prompt=False)
    return pieces if row.branches else [*pieces, END_OF_ANSWER]


def encode_row(tokenizer: Tokenizer, row: Row) -> Encoded:
    """A whole conversation, or what its branches share."""
    return _encode(tokenizer, pieces_of(row), row.messages)


def encode_branches(tokenizer: Tokenizer, row: Row) -> list[Encoded]:
    """Each branch of a row, without what they share."""
    shared = len(pieces_of(row))
    encoded = []
    for branch in row.branches:
        messages = (*row.messages, *branch)
        pieces = GLM4_BRIEF.render(messages, row.tools, add_generation_prompt=False)[shared:]
        end = END_OF_CALL if branch[-1].tool_calls else END_OF_ANSWER
        encoded.append(_encode(tokenizer, [*pieces, end], branch))
    return encoded


def _encode(tokenizer: Tokenizer, pieces: Iterable[Piece], messages: Sequence[Message]) -> Encoded:
    calls = [called for message in messages for called in message.tool_calls]
    mistaken = {call_text(called) for called in calls if is_mistaken(called)}
    ids: list[int] = []
    learnt: list[bool] = []
    previous: Role | None = None
    for piece in pieces:
        encoded = encode_piece(tokenizer, piece)
        by_assistant = (previous if piece.control else piece.role) == Role.ASSISTANT
        ids += encoded
        learnt += [by_assistant and piece.text not in mistaken] * len(encoded)
        previous = piece.role
    return Encoded(ids, learnt)
