"""Rows as token ids with loss weights, rendered by the product's own family."""

from __future__ import annotations

from glmdemo.families import Piece
from glmdemo.families.base import Tokenizer, encode_piece
from glmdemo.families.glm4 import GLM4_COMPACT, call_text
from glmdemo.messages import Role
from training.generator.row import Row, is_mistaken

END_OF_ANSWER = Piece("<|user|>", control=True, role=Role.USER)


def pieces_of(row: Row) -> list[Piece]:
    """The pieces of a whole conversation; it ends with the token that ends the last answer."""
    pieces = GLM4_COMPACT.render(row.messages, row.tools, add_generation_prompt=False)
    return [*pieces, END_OF_ANSWER]


def encode_row(tokenizer: Tokenizer, row: Row) -> tuple[list[int], list[bool]]:
    """Token ids, and for each whether it is to be learnt.

    Those are the assistant's, the stop tokens included, without its mistaken calls.
    """
    calls = [called for message in row.messages for called in message.tool_calls]
    mistaken = {call_text(called) for called in calls if is_mistaken(called)}
    ids: list[int] = []
    learnt: list[bool] = []
    previous: Role | None = None
    for piece in pieces_of(row):
        encoded = encode_piece(tokenizer, piece)
        by_assistant = (previous if piece.control else piece.role) == Role.ASSISTANT
        ids += encoded
        learnt += [by_assistant and piece.text not in mistaken] * len(encoded)
        previous = piece.role
    return ids, learnt
