"""The probes of a training run: what they say of a network that knows nothing."""

from __future__ import annotations

from pathlib import Path

import torch

import glmdemo
from training.network import PRESETS, LeanGlm, NetworkConfig
from training.probes import probe
from training.tokenizer import BuiltinTokenizer

MODEL = Path(glmdemo.__file__).parent / "models" / "builtin"


def test_an_untrained_network_neither_copies_nor_chooses() -> None:
    torch.manual_seed(1)
    tokenizer = BuiltinTokenizer.load(MODEL)
    network = LeanGlm(NetworkConfig(vocabulary=tokenizer.size, **PRESETS["tiny"])).eval()
    device = torch.device("cpu")
    probes = probe(network, tokenizer, device)
    assert probes["copy_probe"] < 0.1
    assert 0.3 < probes["choice_probe"] < 0.7
    assert probes["value_probe"] < 0.1
