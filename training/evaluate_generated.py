"""Measures a checkpoint on the generator's own split, greedily, with exact checks.

    python -m training.evaluate_generated --checkpoint DIR --tokenizer DIR [--rows 60] [--show 5]

"seen" rows use training wordings with fresh values; "held-out" rows use wordings, services and
parameter names that training never uses. Every reply is asked for with the true history.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from glmdemo.families.base import build_chat_input
from glmdemo.families.glm4_brief import GLM4_BRIEF
from glmdemo.messages import Message, Role
from training.checking import right_reply
from training.checkpoints import load_checkpoint
from training.generator.lexicon import Lang
from training.generator.mix import MODES
from training.generator.row import Row, random_draw
from training.network import LeanGlm, NetworkConfig, generate
from training.probes import probe
from training.tokenizer import BuiltinTokenizer

Report = dict[str, tuple[int, int]]
"""Right replies and all replies, by category."""

_REPLY_LIMIT = 256


class Replier(Protocol):
    """Anything that answers a conversation: the lean network here, a real client elsewhere."""

    def reply(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Message: ...


class LeanReplier:
    """Greedy replies of a training checkpoint."""

    def __init__(self, checkpoint: Path, tokenizer: Path) -> None:
        state = load_checkpoint(checkpoint)
        self.network = LeanGlm(NetworkConfig(**state["config"])).eval()
        self.network.load_state_dict(state["network"])
        self.tokenizer = BuiltinTokenizer.load(tokenizer)
        self._stops = {self.tokenizer.control_id(t): t for t in GLM4_BRIEF.stop_tokens}

    def reply(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Message:
        ids = build_chat_input(GLM4_BRIEF, self.tokenizer, messages, tools)
        written, stop = generate(self.network, ids, set(self._stops), _REPLY_LIMIT)
        parser = GLM4_BRIEF.reply_parser(tools)
        parser.feed(self.tokenizer.decode(written))
        return parser.finish(self._stops.get(stop))[1]


def evaluate(replier: Replier, rows: int, show: int = 0) -> Report:
    """Replies to `rows` rows of each mode, language and split, judged; prints `show` mistakes."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    langs: tuple[Lang, ...] = ("en", "zh")
    for held_out in (False, True):
        for mode, make in MODES.items():
            left = show
            for index in range(rows):
                lang = langs[index % 2]
                row = make(random_draw(f"eval {mode} {index}", lang, held_out=held_out))
                for name, right, text in judged(replier, row):
                    split = "held-out" if held_out else "seen"
                    for key in (f"{split} {name}", f"{split} {mode} {lang}"):
                        counts[key][0] += right
                        counts[key][1] += 1
                    if not right and left > 0:
                        left -= 1
                        print(f"{split} {row.category}: {text}")
    return {name: (right, total) for name, (right, total) in sorted(counts.items())}


def judged(replier: Replier, row: Row) -> list[tuple[str, bool, str]]:
    """(category, right, what happened) for each assistant message of a row."""
    results = []
    mode = row.category.split("/")[0]
    for index, wanted in enumerate(row.messages):
        if wanted.role != Role.ASSISTANT:
            continue
        before = row.messages[index - 1]
        reply = replier.reply(row.messages[:index], row.tools)
        kind = "call" if wanted.tool_calls else "reply"
        if before.role == Role.OBSERVATION:
            kind = "repair" if wanted.tool_calls else "answer from observation"
        right = right_reply(reply, wanted, before, row.files)
        told = f"{before.content!r} -> {_short(reply)} instead of {_short(wanted)}"
        results.append((f"{mode} {kind}", right, told))
        if row.category.startswith("code/") and kind == "call":
            results.append((f"{row.category}", right, told))
    return results


def _short(message: Message) -> str:
    calls = [f"{call.name} {dict(call.arguments) or call.raw}" for call in message.tool_calls]
    return "; ".join(calls) or repr(message.content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=60, help="rows of each mode and split")
    parser.add_argument("--show", type=int, default=0, help="mistakes to print of each mode")
    parser.add_argument("--report", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    replier = LeanReplier(options.checkpoint, options.tokenizer)
    report = evaluate(replier, options.rows, options.show)
    for name, (right, total) in report.items():
        print(f"{name:40} {right:5}/{total:<5} {right / total:4.0%}")
    probes = probe(replier.network, replier.tokenizer, torch.device("cpu"))
    for name, share in probes.items():
        print(f"{name:40} {share:.3f}")
    if options.report:
        options.report.write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
