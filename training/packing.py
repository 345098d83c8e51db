"""How several conversations share a line of a batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Packing(NamedTuple):
    """What stands in the lines of a batch; all of shape (B, T).

    rows: which conversation of its line an id belongs to; it sees no other. branches: 0 in what
    the branches of a conversation share, which branch elsewhere; it sees no other branch.
    positions: how many ids stand before it in its conversation.
    """

    rows: Tensor
    branches: Tensor
    positions: Tensor

    def to(self, device: torch.device) -> Packing:
        return Packing(*(tensor.to(device) for tensor in self))

    def seen(self) -> Tensor:
        """(B, 1, T, T): whether a query (third) sees a key (last)."""
        row = self.rows[:, None, :, None] == self.rows[:, None, None, :]
        key, query = self.branches[:, None, None, :], self.branches[:, None, :, None]
        return (row & ((key == 0) | (key == query))).tril()
