"""A model folder is looked over before anything loads it."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from workbench.errors import ModelError, NotFound
from workbench.jobs import models


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "models" / "small"
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (path / "tokenizer.json").write_text("{}")
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float32)}, path / "model.safetensors")
    return path


def test_parameters_come_from_the_header(folder):
    assert models.scan(folder).parameters == 3 * 4 + 5
    assert models.get(folder.parents[1], "small").kind == "causal"


def test_an_unknown_name_lists_what_there_is(folder):
    with pytest.raises(NotFound, match="small"):
        models.get(folder.parents[1], "large")


@pytest.mark.rule("S22")
@pytest.mark.parametrize("name", ["pytorch_model.bin", "extra.pkl", "modeling_x.py", "weights.pt", "w.ckpt"])
def test_files_that_can_run_code_are_refused(folder, name):
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelError, match=name):
        models.scan(folder)


@pytest.mark.rule("S23")
@pytest.mark.parametrize(
    "trick",
    [
        {"auto_map": {"AutoModel": "x.Y"}},
        {"vision": {"trust_remote_code": True}},
        {"parts": [{"auto_map": {"a": "b"}}]},
    ],
)
def test_remote_code_is_refused_at_any_depth(folder, trick):
    (folder / "config.json").write_text(json.dumps(trick))
    with pytest.raises(ModelError, match="code of its own"):
        models.scan(folder)


@pytest.mark.rule("R21")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        models.scan(folder)


@pytest.mark.rule("R21")
@pytest.mark.parametrize("keep", [0, 4, 20, -1])
def test_cut_weights_are_named(folder, keep):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        models.scan(folder)


@pytest.mark.rule("R21")
def test_missing_shards_are_listed(folder):
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(ModelError, match=r"model-1\.safetensors, model-2\.safetensors"):
        models.scan(folder)


def adapter(path, base):
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    save_file({"a": np.zeros(3, np.float32)}, path / "adapter_model.safetensors")
    return path


def test_an_adapter_without_its_base_says_how_to_get_it(tmp_path):
    adapter(tmp_path / "models" / "adapter", "some/base")
    with pytest.raises(ModelError, match="workbench models add some/base"):
        models.get(tmp_path, "adapter")


def test_an_adapter_finds_the_base_that_was_fetched_for_it(folder):
    adapter(folder.with_name("adapter"), "some/small")
    with pytest.raises(ModelError, match="workbench models add some/small"):
        models.get(folder.parents[1], "adapter")
    (folder / "workbench.json").write_text(json.dumps({"hub": {"id": "some/small", "commit": "abc"}}))
    assert models.get(folder.parents[1], "adapter").base_path == str(folder)


def test_an_adapter_of_a_moved_home_finds_its_base_by_name(folder):
    home = folder.parents[1]
    out = adapter(home / "runs" / "000001" / "out", "/an/older/home/models/small")
    (out / "workbench.json").write_text(json.dumps({"method": "dpo", "base": "small"}))
    found = models.get(home, "run-1")
    assert (found.base, found.base_path, found.parameters) == ("small", str(folder), 3 * 4 + 5 + 3)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("workbench.json", "[]"),
        ("workbench.json", '{"method"'),
        ("workbench.json", '{"hparams": {"beta": {}}}'),
        ("config.json", '{"architectures": 3}'),
        ("config.json", '{"architectures": "\\ud800"}'),
        ("tokenizer_config.json", "[]"),
        ("model.safetensors.index.json", '{"weight_map": ["a"]}'),
    ],
)
def test_one_odd_folder_does_not_hide_the_others(folder, file, text):
    odd = shutil.copytree(folder, folder.with_name("odd"))
    (odd / file).write_text(text)
    found = {m.name: m.reason for m in models.all(folder.parents[1])}
    assert found["small"] is None
    assert f"model odd: {file} is damaged" in found["odd"]


def test_a_header_without_offsets_is_named(folder):
    head = json.dumps({"a": {"dtype": "F32", "shape": [1]}}).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + b"1234")
    with pytest.raises(ModelError, match=r"the header of model\.safetensors is damaged"):
        models.scan(folder)


def test_an_adapter_on_itself_has_an_end(tmp_path):
    path = adapter(tmp_path / "models" / "snake", "snake")
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "snake", "task_type": "SEQ_CLS"}))
    assert {m.name: m.kind for m in models.all(tmp_path)}["snake"] == "reward"


def taught(folder, name, base=None):
    """A copy of the model that was trained from `base` on labels of this house."""
    path = shutil.copytree(folder, folder.with_name(name))
    (path / "workbench.json").write_text(json.dumps({"method": "rm", "base": base, "snapshot": "0123456789ab"}))
    return models.get(folder.parents[1], name)


def test_what_no_label_has_formed_is_found_below(folder):
    home = folder.parents[1]
    small = models.get(home, "small")
    tuned = taught(folder, "tuned", base="small")
    judge = taught(folder, "judge", base="tuned")
    assert models.untaught(home, small) == models.untaught(home, tuned) == models.untaught(home, judge) == small
    assert models.untaught(home, taught(folder, "orphan", base="elsewhere/large")) is None
    assert models.untaught(home, taught(folder, "rootless")) is None
    assert models.untaught(home, taught(folder, "circle", base="circle")) is None
    (folder / "model.safetensors").unlink()
    assert models.untaught(home, judge) is None
