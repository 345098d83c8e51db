"""Model folders open as they should, and each kind of damage gets a sentence with a next step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_glm import edit_json

from glmdemo.clients.open import open_client
from glmdemo.errors import ModelLoadError, SettingsError
from glmdemo.messages import Message, Role
from glmdemo.models import builtin_path, load_model
from glmdemo.sampling import SamplingParams


@pytest.fixture
def folder(tiny_glm: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to change."""
    return Path(shutil.copytree(tiny_glm, tmp_path / "model"))


def sharded(folder: Path) -> Path:
    """Split the weights of `folder` into two files with an index."""
    from safetensors.torch import load_file, save_file

    single = folder / "model.safetensors"
    tensors = load_file(single)
    single.unlink()
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[:5], names[5:]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        weight_map.update(dict.fromkeys(part, file))
    edit_json(folder / "model.safetensors.index.json", metadata={}, weight_map=weight_map)
    return folder


def test_a_folder_opens_with_all_its_facts(tiny_glm: Path):
    model = load_model(tiny_glm)
    assert (model.family.name, model.context_length) == ("glm4-compact", 512)
    assert (model.device.split(":")[0] in ("cpu", "cuda"), model.name) == (True, "tiny-glm")
    assert model.parameters == sum(p.numel() for p in model.network.parameters())
    assert set(model.stop_ids.values()) == {"<|endoftext|>", "<|user|>", "<|observation|>"}
    assert model.generation.temperature == 0
    logits = model.network(input_ids=torch.tensor([[1, 2, 3]])).logits
    assert logits.shape[:2] == (1, 3)


def test_number_types_follow_the_device_and_the_wish(tiny_glm: Path):
    assert load_model(tiny_glm, device="cpu").dtype == "float32"
    asked = load_model(tiny_glm, device="cpu", dtype="bfloat16")
    assert asked.network.dtype == torch.bfloat16
    with pytest.raises(SettingsError, match="float64"):
        load_model(tiny_glm, dtype="float64")
    with pytest.raises(SettingsError, match="nonsense"):
        load_model(tiny_glm, device="nonsense")


def test_shards_hold_the_same_model(tiny_glm: Path, folder: Path):
    one, two = load_model(tiny_glm), load_model(sharded(folder))
    assert one.tensors().keys() == two.tensors().keys()
    assert all(torch.equal(two.tensors()[name], t) for name, t in one.tensors().items())
    assert two.parameters == one.parameters


def test_messages_may_be_dicts(tiny_glm: Path):
    model = load_model(tiny_glm)
    ids = model.build_chat_input([{"role": "user", "content": "你好"}])
    assert ids == model.build_chat_input([Message(Role.USER, "你好")])


def test_a_folder_without_a_tokenizer_is_a_network(folder: Path):
    (folder / "tokenizer.json").unlink()
    model = load_model(folder)
    assert model.network(input_ids=torch.tensor([[1]])).logits.shape[1] == 1
    with pytest.raises(ModelLoadError, match=r"no tokenizer\.json"):
        model.build_chat_input([Message(Role.USER, "hi")])


def test_the_family_can_be_overridden_and_must_be_known(folder: Path):
    assert load_model(folder, family="glm4").family.name == "glm4"
    with pytest.raises(SettingsError, match="MODEL_FAMILY"):
        load_model(folder, family="llama")
    edit_json(folder / "config.json", glmdemo_family="odd")
    with pytest.raises(ModelLoadError, match="MODEL_FAMILY"):
        load_model(folder)


def test_sampling_defaults_come_from_the_generation_config(folder: Path):
    file = folder / "generation_config.json"
    edit_json(file, do_sample=True, temperature=0.6, top_p=0.7)
    assert load_model(folder).generation == SamplingParams(temperature=0.6, top_p=0.7)
    stops = load_model(folder).stop_ids
    file.unlink()
    assert load_model(folder).generation == SamplingParams()
    assert load_model(folder).stop_ids == stops


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def cut(name: str, size: int):
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:size])

    return damage


def without_a_shard(folder: Path) -> None:
    (sharded(folder) / "model-00002-of-00002.safetensors").unlink()


def without_a_tensor(folder: Path) -> None:
    sharded(folder)
    index = folder / "model.safetensors.index.json"
    kept = "model-00001-of-00002.safetensors"
    weight_map = json.loads(index.read_text())["weight_map"]
    edit_json(index, weight_map={k: v for k, v in weight_map.items() if v == kept})


def without_a_control_token(folder: Path) -> None:
    file = folder / "tokenizer.json"
    added = json.loads(file.read_text())["added_tokens"]
    edit_json(file, added_tokens=[token for token in added if token["content"] != "<sop>"])


def setting(**values: object):
    return lambda folder: edit_json(folder / "config.json", **values)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove("config.json"), r"no config\.json.*MODEL_PATH"),
        (write("config.json", "{"), "not valid JSON.*download"),
        (write("config.json", "[]"), "JSON object"),
        (write("generation_config.json", "?"), "not valid JSON"),
        (write("tokenizer.json", "{}"), "tokenizer file .* is damaged"),
        (without_a_control_token, r"no <sop>, .*'glm4-compact'.*MODEL_FAMILY"),
        (remove("model.safetensors"), "no weights"),
        (cut("model.safetensors", 20_000), "cut off.*download"),
        (cut("model.safetensors", 100), "damaged.*download"),
        (cut("model.safetensors", 0), "damaged.*download"),
        (without_a_shard, "lacks 1 of its 2 weight files.*00002"),
        (without_a_tensor, "lacks .* of the weights"),
        (setting(model_type="llama"), "type 'llama'.*known types: chatglm, glm"),
        (setting(hidden_size=64), "shape.*config"),
        (setting(num_hidden_layers=3), "lacks 11 of the weights"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_damage_is_named_with_the_next_step(folder: Path, damage, sentence: str, dtype: str):
    damage(folder)
    with pytest.raises(ModelLoadError, match=sentence):
        load_model(folder, dtype=dtype)


def test_a_missing_folder_names_the_way_out(tmp_path: Path):
    with pytest.raises(ModelLoadError, match="leave it unset"):
        load_model(tmp_path / "absent")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        OSError(12, "Cannot allocate memory"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_too_little_memory_is_said(tiny_glm: Path, monkeypatch, error: Exception, dtype: str):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("glmdemo.models.stored.StoredTensor.read", fail)
    monkeypatch.setattr("transformers.GlmForCausalLM.from_pretrained", fail)
    with pytest.raises(ModelLoadError, match=r"not enough memory.*smaller model"):
        open_client(str(tiny_glm), dtype=dtype)


def test_code_in_the_folder_is_never_run(folder: Path):
    trap = folder / "trap.py"
    trap.write_text("raise SystemExit('the code of the folder ran')")
    setting(auto_map={"AutoModelForCausalLM": "trap.Model", "AutoConfig": "trap.Config"})(folder)
    assert load_model(folder, dtype="bfloat16").network is not None


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_in_a_pickle_is_never_run(folder: Path, tmp_path: Path):
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="perhaps code"):
        load_model(folder)
    assert not (tmp_path / "sprung").exists()


def test_weights_in_a_pickle_without_code_open(tiny_glm: Path, folder: Path):
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    ids = torch.tensor([[1, 2, 3]])
    same = load_model(folder).network(ids).logits - load_model(tiny_glm).network(ids).logits
    assert same.abs().max() == 0


def test_the_small_model_starts_without_importing_transformers(tiny_glm: Path):
    program = f"""
import sys
from glmdemo.clients.open import open_client
assert "torch" not in sys.modules, "torch is imported before it is needed"
open_client({str(tiny_glm)!r}).close()
assert "transformers" not in sys.modules, "transformers takes seconds to import"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_the_builtin_model_opens():
    if not (builtin_path() / "config.json").exists():
        pytest.skip("no built-in model is in this checkout")
    model = load_model(builtin_path())
    assert (model.builtin, model.family.name) == (True, "glm4-brief")
    assert model.shape is not None, "the built-in model must run on the fast step"
    assert model.generation.greedy
    assert "demo model" in model.description
    assert 1e6 < model.parameters < 2e7
