"""The probes of a training run: what they say of a network that knows nothing."""

from __future__ import annotations

from pathlib import Path

import torch

import glmdemo
from training.network import PRESETS, LeanGlm, NetworkConfig
from training.probes import choice_probe, copy_probe
from training.tokenizer import BuiltinTokenizer

MODEL = Path(glmdemo.__file__).parent / "models" / "builtin"


def test_an_untrained_network_neither_copies_nor_chooses() -> None:
    torch.manual_seed(1)
    tokenizer = BuiltinTokenizer.load(MODEL)
    network = LeanGlm(NetworkConfig(vocabulary=tokenizer.size, **PRESETS["tiny"])).eval()
    device = torch.device("cpu")
    assert copy_probe(network, tokenizer, device) < 0.1
    assert 0.3 < choice_probe(network, tokenizer, device) < 0.7
