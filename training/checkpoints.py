"""What a training run leaves on disk, and what it starts from."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from training.network import LeanGlm, NetworkConfig

CHECKPOINT = "checkpoint.pt"
LINEAGE = "training.json"
"""Beside exported weights: one entry for each run that made them, the first run first."""

_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
_RESIDUAL = ("self_attn.o_proj.weight", "mlp.down_proj.weight")
"""What adds a layer's results to the residual stream."""

_GATE_AND_UP = "mlp.gate_up_proj.weight"

Lineage = list[dict[str, Any]]


@dataclass
class Progress:
    """Where a run stands. `seconds` counts training time over all its resumptions."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def save_checkpoint(state: dict[str, Any], folder: Path) -> None:
    """Write `state`; a run that is killed meanwhile keeps the checkpoint before it."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "checkpoint.tmp"
    torch.save(state, temporary)
    os.replace(temporary, folder / CHECKPOINT)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint of a run (it holds Python objects: load only your own)."""
    state: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=False, map_location="cpu")
    return state


def load_network(folder: Path) -> LeanGlm:
    """The network of an exported model."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network = LeanGlm(NetworkConfig.of_glm_config(config))
    load_weights(network, folder)
    return network


def load_weights(network: LeanGlm, folder: Path) -> None:
    """The weights of an exported model with the same tokenizer, no optimiser state.

    A network with more layers than the model, wider ones or more heads computes what the model
    does: the model's layers are spread over the network, and a layer between is a copy of the one
    before it that adds nothing yet; a new place in the residual stream holds 0 (arXiv 1511.05641).
    Heads must have the same size, and as many of them the same keys.
    """
    stored: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        stored |= load_file(file)
    weights = {name: tensor.float() for name, tensor in stored.items()}
    count, layers = _count_layers(weights), network.config.layers
    spread = [at * count // layers for at in range(layers)]
    for name, parameter in network.state_dict().items():
        match = _LAYER.match(name)
        if match is None:
            parameter.copy_(_widened(name, weights[name], parameter.shape))
            continue
        at, rest = int(match[1]), match[2]
        source = weights[f"model.layers.{spread[at]}.{rest}"]
        parameter.copy_(_widened(name, source, parameter.shape))
        if at and spread[at] == spread[at - 1] and rest in _RESIDUAL:
            parameter.zero_()


def _widened(name: str, old: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A parameter in a wider network. What is read from new places is random, what is written
    to them is 0; a norm makes up for the zeros it averages over."""
    if old.shape == shape:
        return old
    if name.endswith("norm.weight"):
        size = old.numel()
        wide = old.mean().repeat(*shape)
        wide[:size] = old
        return wide * math.sqrt(size / shape[0])
    if name.endswith(_GATE_AND_UP):
        half = torch.Size((shape[0] // 2, shape[1]))
        return torch.cat([_widened("", part, half) for part in old.chunk(2)])
    if name.endswith("bias"):
        return torch.cat([old, old.new_zeros(shape[0] - old.numel())])
    writes = name.endswith((*_RESIDUAL, "embed_tokens.weight"))
    wide = torch.zeros(shape) if writes else torch.randn(shape) * old.std()
    wide[: old.shape[0], : old.shape[1]] = old
    return wide


def _count_layers(weights: Iterable[str]) -> int:
    return 1 + max(int(match[1]) for match in map(_LAYER.match, weights) if match)


def read_lineage(folder: Path | None) -> Lineage:
    """The runs that made the exported model in `folder`; none where that is not known."""
    if folder is None or not (folder / LINEAGE).is_file():
        return []
    lineage: Lineage = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
    return lineage


def write_lineage(lineage: Lineage, folder: Path) -> None:
    write_json(folder / LINEAGE, lineage)


def write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
