"""Processes that compute gradients for a training run on a CPU's other cores.

The run never waits for them, so they may be slowed down at will (`nice`): a process copies the
run's parameters, computes the gradient of a batch of its own, and leaves it in shared memory,
where the run's next step finds it. Such a gradient is at most a few steps old.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass

import torch
import torch.multiprocessing as mp
from torch import Tensor

from training.batches import BatchMaker
from training.generator.draw import Draw
from training.loss import batch_loss
from training.network import LeanGlm, NetworkConfig
from training.schedule import stage
from training.tokenizer import BuiltinTokenizer

_NICE = 15
_POLL_SECONDS = 0.002


@dataclass
class Shared:
    """What the run and one process share. `state`: progress of the data, tokens of the gradient
    that waits (0: none)."""

    parameters: list[Tensor]
    gradients: list[Tensor]
    state: Tensor  # (2,) float64


class GradientProcesses:
    """`count` processes beside the run that trains `network`; they end with it."""

    def __init__(self, network: LeanGlm, options: argparse.Namespace, count: int) -> None:
        self._own = list(network.parameters())
        copies = [_shared(p.detach().clone()) for p in self._own]
        self._copies = copies
        self._shared = []
        for number in range(1, count + 1):
            gradients = [_shared(torch.zeros_like(p)) for p in copies]
            shared = Shared(copies, gradients, _shared(torch.zeros(2, dtype=torch.float64)))
            self._shared.append(shared)
            seed = f"{options.seed} {number} {time.time_ns()}"
            arguments = (shared, network.config, options, seed, os.getpid())
            mp.get_context("spawn").Process(target=_work, args=arguments, daemon=True).start()

    def add(self, tokens: int, taught: float) -> int:
        """Mix the waiting gradients into `network`'s own of `tokens`; returns all tokens."""
        total = tokens
        for shared in self._shared:
            shared.state[0] = taught
            theirs = int(shared.state[1])
            if not theirs:
                continue
            total += theirs
            for parameter, gradient in zip(self._own, shared.gradients, strict=True):
                assert parameter.grad is not None
                parameter.grad.lerp_(gradient, theirs / total)
            shared.state[1] = 0
        return total

    @torch.no_grad()
    def publish(self) -> None:
        """Show the processes the parameters after a step."""
        for copy, parameter in zip(self._copies, self._own, strict=True):
            copy.copy_(parameter)


def _shared(tensor: Tensor) -> Tensor:
    return torch.as_tensor(tensor.share_memory_())  # type: ignore[no-untyped-call]


def _work(
    shared: Shared, config: NetworkConfig, options: argparse.Namespace, seed: str, parent: int
) -> None:
    """One process: gradient after gradient, until the run is gone."""
    os.nice(_NICE)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tokenizer = BuiltinTokenizer.load(options.tokenizer)
    batches = BatchMaker(tokenizer, config.vocabulary, Draw(random.Random(seed)))
    network = LeanGlm(config)
    if options.compile:
        network.compile_states()
    device = torch.device("cpu")
    while os.getppid() == parent:
        if shared.state[1] > 0:
            time.sleep(_POLL_SECONDS)
            continue
        with torch.no_grad():
            for parameter, current in zip(network.parameters(), shared.parameters, strict=True):
                parameter.copy_(current)
        taught = float(shared.state[0])
        batch = batches.batch(stage(taught, options.tokens_per_step, options.hardest))
        network.zero_grad(set_to_none=True)
        batch_loss(network, batch, device)[0].backward()  # type: ignore[no-untyped-call]
        for parameter, left in zip(network.parameters(), shared.gradients, strict=True):
            assert parameter.grad is not None
            left.copy_(parameter.grad)
        shared.state[1] = batch.inputs.numel()
