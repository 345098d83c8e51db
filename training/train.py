"""The training run: one process, resumable, ends after a budget of minutes.

python -m training.train --preset mini --minutes 90 --tokenizer DIR --out DIR [--resume]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from training.checkpoints import (
    Progress,
    load_checkpoint,
    load_weights,
    read_lineage,
    save_checkpoint,
)
from training.feeding import Feed, FeedState, open_feed
from training.loss import batch_loss
from training.network import PRESETS, LeanGlm, NetworkConfig
from training.optimisers import make_optimisers, set_rates
from training.parallel import GradientProcesses
from training.probes import probe
from training.schedule import COPY_ONLY_UNTIL, GROUNDWORK_UNTIL, data_progress, rate, stage
from training.tokenizer import BuiltinTokenizer

LOG_EVERY = 100
BROKEN_AFTER = 3_000_000
"""Tokens after which a copy probe below 0.5 means that the recipe does not work."""


class Trainer:
    """Network, optimisers, data and their state on disk."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.tokenizer = BuiltinTokenizer.load(options.tokenizer)
        self.config = NetworkConfig(vocabulary=self.tokenizer.size, **PRESETS[options.preset])
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(options.seed)
        self.network = LeanGlm(self.config).to(self.device)
        if options.start_from:
            load_weights(self.network, options.start_from)
        self.lineage = read_lineage(options.start_from)
        self.optimisers = make_optimisers(self.network)
        self.progress = Progress()
        self._feed_state: FeedState | None = None
        self.processes: GradientProcesses | None = None

    @cached_property
    def feed(self) -> Feed:
        """Batches, from where the run stands."""
        options = self.options
        return open_feed(options.workers, options.tokenizer, options.seed, self._feed_state)

    @property
    def fraction(self) -> float:
        """Share of the time budget that is used up."""
        return self.progress.seconds / (60 * float(self.options.minutes))

    def run(self) -> None:
        """Train until the budget is spent; saves now and then and at the end."""
        if self.options.compile:
            self.network.compile_states()
        if self.options.processes:
            self.processes = GradientProcesses(self.network, self.options, self.options.processes)
        feed = self.feed  # processes start before the clock does
        self._note(event="start", parameters=self.network.size, config=asdict(self.config))
        begun = last_save = started = time.monotonic()
        loss_sum, pause = 0.0, 60 * (self.options.pause_after or math.inf)
        while self.fraction < 1 and time.monotonic() - started < pause:
            now = time.monotonic()
            loss_sum += self.step()
            self.progress.seconds += time.monotonic() - now
            if self.progress.step % LOG_EVERY == 0:
                spent, begun = time.monotonic() - begun, time.monotonic()
                self._note(event="step", loss=loss_sum / LOG_EVERY, seconds_per_100=spent)
                loss_sum = 0.0
            if time.monotonic() - last_save > 60 * self.options.save_minutes:
                self.checkpoint()
                last_save = time.monotonic()
        self.checkpoint()
        feed.close()
        self._note(event="end")

    def step(self) -> float:
        """One update; returns the mean loss of the tokens that the assistant writes."""
        options, progress = self.options, self.fraction
        begun = COPY_ONLY_UNTIL if options.start_from else 0.0
        taught = data_progress(progress, options.groundwork, begun)
        batch = self.feed.batch(stage(taught, options.tokens_per_step, options.hardest))
        set_rates(self.optimisers, options.peak_rate * rate(progress, self.progress.step))
        loss, own = batch_loss(self.network, batch, self.device)
        loss.backward()  # type: ignore[no-untyped-call]
        tokens = batch.inputs.numel()
        if self.processes:
            tokens = self.processes.add(tokens, taught)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.network.zero_grad(set_to_none=True)
        if self.processes:
            self.processes.publish()
        self.progress.step += 1
        self.progress.tokens += tokens
        return float(own)

    def checkpoint(self) -> None:
        """Save everything, probe, and check that copying is being learnt."""
        state = {
            "config": asdict(self.config),
            "network": self.network.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "progress": asdict(self.progress),
            "preset": self.options.preset,
            "lineage": self.lineage,
            "feed": self.feed.state(),
            "torch_rng": torch.get_rng_state(),
        }
        save_checkpoint(state, self.out)
        with torch.compiler.set_stance("force_eager"):  # their prompts have all lengths
            probes = probe(self.network, self.tokenizer, self.device)
        self._note(event="checkpoint", **probes, left_out=dict(self.feed.too_long))
        copied = probes["copy_probe"]
        if self.progress.tokens > BROKEN_AFTER and copied < 0.5:
            raise SystemExit(f"copy probe {copied:.2f} after {BROKEN_AFTER} tokens: stop and fix")

    def resume(self) -> None:
        """Go on from the checkpoint. An older one lacks some of the fields."""
        state = load_checkpoint(self.out)
        self.network.load_state_dict(state["network"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.progress = Progress(**state["progress"])
        self.lineage = state.get("lineage", self.lineage)
        self._feed_state = state.get("feed") or FeedState((), self.progress.step)
        torch.set_rng_state(state["torch_rng"])

    def _note(self, **fields: Any) -> None:
        """Append one line to the learning curve, and print it."""
        self.out.mkdir(parents=True, exist_ok=True)
        entry = {**asdict(self.progress), "fraction": round(self.fraction, 4), **fields}
        line = json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in entry.items()})
        print(line, flush=True)
        with (self.out / "curve.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a run, from the command line where no `arguments` are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="mini")
    parser.add_argument("--minutes", type=float, required=True, help="training time in all")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and curve")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--pause-after", type=float, help="minutes after which to save and end")
    parser.add_argument(
        "--start-from", type=Path, help="folder of an exported model whose weights are the start"
    )
    parser.add_argument("--peak-rate", type=float, default=1.0, help="factor of all learning rates")
    parser.add_argument("--tokens-per-step", type=int, default=1536)
    parser.add_argument("--hardest", type=float, default=1.0, help="top difficulty, 0 to 1")
    parser.add_argument(
        "--groundwork",
        type=float,
        help="share of the run until the data has its full difficulty; by default "
        f"{GROUNDWORK_UNTIL}, and 0 for a run from trained weights",
    )
    parser.add_argument("--save-minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that generate batches")
    parser.add_argument("--processes", type=int, default=0, help="more of them, for a CPU's cores")
    parser.add_argument("--compile", action="store_true", help="by torch.compile: wants a compiler")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.groundwork is None:
        options.groundwork = 0.0 if options.start_from else GROUNDWORK_UNTIL
    return options


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    trainer = Trainer(options)
    if options.resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
