"""The loss that training minimises."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 - the customary name

from training.batches import Batch
from training.network import LeanGlm


def batch_loss(
    network: LeanGlm, batch: Batch, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted cross-entropy to be minimised, and its mean over tokens of full weight.

    Logits are made only where the weight is not zero.
    """
    wanted = batch.weights > 0
    targets, weights = batch.targets[wanted].to(device), batch.weights[wanted].to(device)
    with torch.autocast(device.type, torch.bfloat16):
        packing = batch.packing.to(device)
        hidden = network.hidden(batch.inputs.to(device), packing=packing)[wanted.to(device)]
        logits = network.project(hidden).float()
    losses = F.cross_entropy(logits, targets, reduction="none")
    loss = (losses * weights).sum() / weights.sum().clamp(min=1)
    return loss, losses.detach()[weights == 1].mean()
