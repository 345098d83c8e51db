"""The lean network is transformers' GlmForCausalLM, and a training run can be resumed."""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from transformers import GlmConfig, GlmForCausalLM

from training.checkpoints import load_weights
from training.export import export
from training.network import PRESETS, LeanGlm, NetworkConfig, generate
from training.packing import Packing
from training.schedule import DECAY_START, rate, stage
from training.tokenizer import build, save
from training.train import Trainer, read_options

CONFIG = NetworkConfig(vocabulary=300, **PRESETS["tiny"])


def test_logits_equal_glm() -> None:
    torch.manual_seed(0)
    lean = LeanGlm(CONFIG).eval()
    native = GlmForCausalLM(GlmConfig(**CONFIG.glm_config(), pad_token_id=0)).eval()
    missing, unexpected = native.load_state_dict(lean.state_dict(), strict=False)
    assert missing == ["lm_head.weight"]
    assert not unexpected
    native.tie_weights()
    ids = torch.randint(10, 300, (2, 33))
    with torch.inference_mode():
        torch.testing.assert_close(lean(ids), native(ids).logits, atol=1e-5, rtol=1e-4)


def test_cached_decoding_equals_one_pass() -> None:
    torch.manual_seed(1)
    network = LeanGlm(CONFIG).eval()
    prompt = [11, 12, 13, 14]
    written, stop = generate(network, prompt, set(), 6)
    assert stop == -1
    with torch.inference_mode():
        logits = network(torch.tensor([prompt + written]))[0]
    assert logits.argmax(-1).tolist()[3:-1] == written


def test_a_conversation_and_a_branch_see_only_themselves() -> None:
    """Also in bfloat16, where a CPU takes another way through attention."""
    torch.manual_seed(2)
    network = LeanGlm(CONFIG).eval()
    first, shared, one, other = (torch.randint(10, 300, (1, n)) for n in (9, 5, 4, 7))
    packing = Packing(
        rows=torch.tensor([[0] * 9 + [1] * 16]),
        branches=torch.tensor([[0] * 14 + [1] * 4 + [2] * 7]),
        positions=torch.tensor([[*range(9), *range(5), *range(5, 9), *range(5, 12)]]),
    )
    for kind, accuracy in ((torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, kind != torch.float32):
            packed = network.hidden(torch.cat((first, shared, one, other), 1), packing=packing)
            for branch, where in ((one, slice(14, 18)), (other, slice(18, 25))):
                alone = network.hidden(torch.cat((shared, branch), 1))
                both = torch.cat((packed[:, 9:14], packed[:, where]), 1)
                torch.testing.assert_close(both, alone, atol=accuracy, rtol=accuracy)


@pytest.mark.parametrize(
    "grown", [{"layers": 5}, {"hidden": 48, "inner": 80}, {"heads": 8, "kv_heads": 4}]
)
def test_a_larger_network_starts_as_what_the_smaller_computes(
    tmp_path: Path, grown: dict[str, int]
) -> None:
    torch.manual_seed(3)
    small = LeanGlm(CONFIG)
    for layer in small.model.layers:
        torch.nn.init.normal_(layer.self_attn.q_proj.bias)
    save_file(small.state_dict(), tmp_path / "model.safetensors")
    large = LeanGlm(replace(CONFIG, **grown))
    load_weights(large, tmp_path)
    ids = torch.randint(10, 300, (1, 12))
    with torch.inference_mode():
        torch.testing.assert_close(large(ids), small(ids), atol=2e-4, rtol=1e-2)


def test_schedule_warms_up_and_decays() -> None:
    assert rate(0.3, 0) < 0.1
    assert rate(0.3, 1000) == 1
    assert rate(DECAY_START + 0.01, 1000) < 1
    assert rate(1.0, 1000) == pytest.approx(0.02)
    assert stage(0.0, 1536).copy_share == 1
    assert stage(0.9, 1536).copy_share < 0.1
    assert stage(0.9, 1536).level == 1
    assert stage(0.9, 1536, hardest=0.4).level == 0.4


def _options(folder: Path, *more: str) -> argparse.Namespace:
    sizes = ["--preset", "tiny", "--minutes", "1", "--tokens-per-step", "512"]
    places = ["--tokenizer", str(folder), "--out", str(folder / "run")]
    return read_options([*sizes, *places, *more])


def test_a_run_resumes_and_exports(tmp_path: Path) -> None:
    save(build(400, 60), tmp_path)
    first = Trainer(_options(tmp_path))
    for _ in range(3):
        first.step()
    first.checkpoint()
    second = Trainer(_options(tmp_path))
    second.resume()
    assert second.progress.step == 3
    assert second.step() == pytest.approx(first.step(), rel=1e-3)

    export(tmp_path / "run", tmp_path, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["glmdemo_family"] == "glm4-brief"
    model = GlmForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    ids = torch.randint(10, 400, (1, 20))
    restored = LeanGlm(first.config)
    restored.load_state_dict(
        torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=False)["network"]
    )
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, restored(ids), atol=2e-2, rtol=1e-1)
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "| 0.0 million | 0.0 million | 3 | 0 |" in card


def test_a_run_pauses_and_goes_on_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # one second each time it is asked
    monkeypatch.setattr("training.train.time", SimpleNamespace(monotonic=clock.__next__))
    save(build(400, 60), tmp_path)
    more = ("--groundwork", "0.2", "--minutes", "0.2")
    Trainer(_options(tmp_path, *more, "--pause-after", "0.2")).run()
    second = Trainer(_options(tmp_path, *more))
    second.resume()
    assert 0 < second.fraction < 1
    assert second.feed.state().taken == second.progress.step > 0
    second.run()
    assert second.progress.step == 12
    lines = (tmp_path / "run" / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["start", "checkpoint", "end"] * 2
