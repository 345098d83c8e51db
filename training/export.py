"""Writes a trained checkpoint as the model that glmdemo ships, and measures it.

    python -m training.export --checkpoint DIR --tokenizer DIR --out glmdemo/models/builtin

The folder is a normal GlmForCausalLM checkpoint: safetensors in fp16 (files of at most 16 MB),
config, generation defaults, tokenizer, the runs that made it, and the model card with its figures.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor
from transformers import GlmConfig

from training.acceptance.report import markdown
from training.card import measure_and_write, write_card
from training.checkpoints import load_checkpoint, read_lineage, write_json, write_lineage
from training.network import NetworkConfig
from training.tokenizer import BuiltinTokenizer

FAMILY = "glm4-brief"
LARGEST_FILE = 16_000_000
"""Bytes; the limit on single files of the repository."""

LONGEST_REPLY = 512
"""Default length of a reply in tokens: well above the longest of the training, so a loop ends."""

_STOP_TOKENS = ("<|endoftext|>", "<|user|>", "<|observation|>")


def export(checkpoint: Path, tokenizer: Path, out: Path, started_from: Path | None = None) -> None:
    """Write the model of `checkpoint` (a training folder) to `out`, with a card without figures.

    `started_from` is the exported model that the run started from, where its checkpoint does not
    tell; it may be `out`.
    """
    state = load_checkpoint(checkpoint)
    earlier = state.get("lineage") or read_lineage(started_from)
    entry = {
        "ended": date.today().isoformat(),
        "preset": state.get("preset", "mini"),
        "parameters": sum(tensor.numel() for tensor in state["network"].values()),
        **state["progress"],
    }
    out.mkdir(parents=True, exist_ok=True)
    _write_weights(state["network"], out)
    _write_configs(NetworkConfig(**state["config"]), BuiltinTokenizer.load(tokenizer), out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if tokenizer.resolve() != out.resolve():
            shutil.copyfile(tokenizer / name, out / name)
    write_lineage([*earlier, entry], out)
    write_card(out, None)


def _write_weights(network: dict[str, Tensor], out: Path) -> None:
    """One file, or numbered shards with an index where one would be too large."""
    for old in out.glob("model*.safetensors*"):
        old.unlink()
    shards = list(_shards({name: tensor.half() for name, tensor in network.items()}))
    if len(shards) == 1:
        save_file(shards[0], out / "model.safetensors", metadata={"format": "pt"})
        return
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, out / name, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, name)
    total = sum(_bytes(tensor) for shard in shards for tensor in shard.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    write_json(out / "model.safetensors.index.json", index)


def _shards(tensors: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        used = sum(_bytes(t) for t in shard.values())
        if shard and used + _bytes(tensor) > LARGEST_FILE - 100_000:  # room for the header
            yield shard
            shard = {}
        shard[name] = tensor.contiguous()
    yield shard


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _write_configs(config: NetworkConfig, tokenizer: BuiltinTokenizer, out: Path) -> None:
    stops = [tokenizer.control_id(token) for token in _STOP_TOKENS]
    fields = GlmConfig(**config.glm_config(), pad_token_id=stops[0], eos_token_id=stops).to_dict()
    fields |= {
        "architectures": ["GlmForCausalLM"],
        "dtype": "float16",
        "glmdemo_family": FAMILY,
    }
    write_json(out / "config.json", fields)
    generation = {
        "eos_token_id": stops,
        "pad_token_id": stops[0],
        "do_sample": False,
        "max_new_tokens": LONGEST_REPLY,
    }
    write_json(out / "generation_config.json", generation)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--started-from", type=Path, help="the exported model that the run started from"
    )
    parser.add_argument("--unmeasured", action="store_true", help="leave the figures out")
    parser.add_argument("--write-passing", type=Path, help="as of training.evaluate")
    options = parser.parse_args()
    export(options.checkpoint, options.tokenizer, options.out, options.started_from)
    if not options.unmeasured:
        print(markdown(measure_and_write(options.out, options.write_passing)))


if __name__ == "__main__":
    main()
