"""Models in memory: which stay, which are refused."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.errors import ModelError
from workbench.generation import loading
from workbench.generation.loading import Base
from workbench.generation.request import Source


def test_the_shelf_keeps_the_models_used_last(base, other, shelf):
    shelf.room = 1
    first = shelf.base(base)
    assert shelf.base(base) is first
    shelf.base(other)
    assert shelf.base(base) is not first


def test_a_run_that_went_on_is_another_model(shelf, other, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(other, folder)
    first = shelf.base(folder)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert shelf.base(folder) is not first


def test_adapters_used_long_ago_make_room(base, adapters, monkeypatch):
    monkeypatch.setattr(loading, "ADAPTERS", 1)
    model = Base(base)
    for name in ("left", "right", "left"):
        model.voice(Source(name=name, path=adapters[name], base_path=base))
        assert [key for key in model.model.peft_config if name in key] == list(model.model.peft_config)


def test_an_adapter_that_does_not_fit_is_named(base, adapters, tmp_path):
    wide = tmp_path / "wide"
    wide.mkdir()
    tensors = load_file(adapters["left"] / "adapter_model.safetensors")
    grown = {name: torch.zeros(len(tensor) + 1, tensor.shape[1]) for name, tensor in tensors.items()}
    save_file(grown, wide / "adapter_model.safetensors")
    shutil.copy(adapters["left"] / "adapter_config.json", wide)
    with pytest.raises(ModelError, match="wide does not fit"):
        Base(base).voice(Source(name="m", path=wide, base_path=base))


@pytest.mark.rule("S22")
def test_a_folder_with_a_pickle_is_refused(base, tmp_path):
    shutil.copytree(base, tmp_path / "m")
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        Base(tmp_path / "m")


@pytest.mark.rule("S23")
def test_code_in_a_model_folder_never_runs(base, tmp_path, monkeypatch):
    folder, canary = tmp_path / "m", tmp_path / "canary"
    shutil.copytree(base, folder)
    code = f"open({str(canary)!r}, 'w')\nfrom transformers import LlamaForCausalLM as Tricky, LlamaConfig as Config\n"
    (folder / "tricky.py").write_text(code)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "tricky.Tricky", "AutoConfig": "tricky.Config"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"tricky\.py"):
        Base(folder)
    monkeypatch.setattr(loading, "scan", lambda _: None)
    try:
        Base(folder)
    except ModelError:
        pass
    assert not canary.exists()
