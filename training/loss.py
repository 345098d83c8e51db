"""The loss that training minimises."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 - the customary name

from training.batches import Batch
from training.network import LeanGlm

SUMMARY_WEIGHT = 0.2
"""Of the mean cross-entropy of `training.summaries`, beside that of the next tokens."""


def batch_loss(
    network: LeanGlm, batch: Batch, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss to be minimised, and the mean cross-entropy of all tokens to be learnt.

    Logits are made only where the weight is not zero.
    """
    wanted = batch.weights > 0
    targets, weights = batch.targets[wanted].to(device), batch.weights[wanted].to(device)
    with torch.autocast(device.type, torch.bfloat16):
        packing = batch.packing.to(device)
        hidden, middle = network.states(batch.inputs.to(device), packing=packing)
        logits = network.project(hidden[wanted.to(device)]).float()
        summed = _summary_loss(network, middle, batch.summaries.to(device))
    losses = F.cross_entropy(logits, targets, reduction="none")
    loss = (losses * weights).sum() / weights.sum().clamp(min=1)
    return loss + SUMMARY_WEIGHT * summed, losses.detach()[weights >= 1].mean()


def _summary_loss(network: LeanGlm, middle: torch.Tensor, summaries: torch.Tensor) -> torch.Tensor:
    """Mean over the places of (line, place, word) of how unlikely their words are, on average."""
    places, which, counts = torch.unique_consecutive(
        summaries[:, :2], dim=0, return_inverse=True, return_counts=True
    )
    if not len(places):
        return middle.sum() * 0
    logits = network.project(middle[places[:, 0], places[:, 1]]).float()
    words = logits.log_softmax(-1)[which, summaries[:, 2]]
    return torch.as_tensor(-(words / counts[which]).sum() / len(places))
