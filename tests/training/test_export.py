"""An export is loaded again before it gets its name; it carries no local path and no pickle."""

import errno
import json
import re
import subprocess
import sys

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from workbench.errors import UsageError
from workbench.jobs import folder
from workbench.jobs.folder import read_json, write_json
from workbench.training import export as exporting
from workbench.training.data import Line, Row, encode, stops
from workbench.training.export import compare, dtype_of, export, save_trained
from workbench.training.hparams import RunConfig, make
from workbench.training.methods import METHODS, preset
from workbench.training.model import load, load_plain
from workbench.training.policy import Policy
from workbench.training.worker import attempt


@pytest.fixture
def run(make_run):
    def made(method, **hparams):
        folder = make_run(method, max_steps=2, learning_rate=1e-2, **hparams)
        attempt(folder, resume=False)
        assert read_json(folder / "status.json")["state"] == "done"
        return folder

    return made


def words_of(folder):
    return "".join(p.read_text() for p in folder.iterdir() if p.suffix in (".json", ".md", ".jinja"))


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_merged(run, tmp_path, tuning):
    folder, out = run("dpo", tuning=tuning), tmp_path / "exported"
    out.mkdir()
    write_json(out / "workbench.json", {"form": "merged"})
    (out / "old").write_text("an older export is replaced")
    assert export(folder, out, "merged", "mit") == {"folder": str(out), "form": "merged"}
    names = {p.name for p in out.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md", "workbench.json"} <= names
    assert not names & {"old", "adapter_config.json", "training_args.bin"}
    assert "license: mit" in (out / "README.md").read_text()
    assert str(tmp_path) not in words_of(out)
    trained = load_plain(folder / "out", "causal", torch.float32)
    assert compare(trained, AutoModelForCausalLM.from_pretrained(out), folder / "out") <= 1e-4
    assert AutoTokenizer.from_pretrained(out).chat_template
    made = read_json(out / "workbench.json")
    assert set(made["files"]) == names - {"workbench.json"}


@pytest.mark.parametrize("writes", ["save_trained", "export"])
def test_a_model_is_on_the_disk_before_it_has_its_name(run, tmp_path, tiny, monkeypatch, writes):
    source, out, on_disk, sync = run("sft"), tmp_path / "exported", set(), folder.sync

    def noted(path):
        on_disk.update([] if out.exists() else [path.name])
        sync(path)

    monkeypatch.setattr(folder, "sync", noted)
    if writes == "export":
        export(source, out, "merged", None)
    else:
        config = RunConfig.model_validate(read_json(source / "config.json"))
        policy = load(tiny, "causal", make(METHODS["sft"].hparams, config.hparams))
        save_trained(policy, config, stops(policy.tokenizer), out, {})
    assert {path.name for path in out.iterdir()} <= on_disk


def test_a_full_disk_is_told_as_such_and_leaves_what_was_there(run, tmp_path, monkeypatch):
    def fails(*_):
        raise SafetensorError(f"I/O error: No space left on device (os error {errno.ENOSPC})")

    source, out = run("sft"), tmp_path / "exported"
    export(source, out, "merged", None)
    monkeypatch.setattr(exporting, "_merge", fails)
    with pytest.raises(OSError, match="No space left"):
        export(source, out, "merged", None)
    assert (out / "model.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_reward_model_merged(run, tmp_path):
    out = tmp_path / "exported"
    export(run("rm", tuning="lora"), out, "merged", None)
    assert read_json(out / "config.json")["architectures"] == ["LlamaForSequenceClassification"]
    assert load_plain(out, "reward", torch.float32).score.weight.shape == (1, 32)


def test_adapter_needs_a_base_on_the_hub(run, tmp_path, tiny):
    folder, out = run("dpo", tuning="lora"), tmp_path / "exported"
    with pytest.raises(UsageError, match="has no address on the Hub: export the merged form"):
        export(folder, out, "adapter", None)
    write_json(tiny / "workbench.json", {"hub": {"id": "some/base", "commit": "abc"}})
    try:
        export(folder, out, "adapter", None)
    finally:
        (tiny / "workbench.json").unlink()
    adapter = read_json(out / "adapter_config.json")
    assert (adapter["base_model_name_or_path"], adapter["revision"]) == ("some/base", "abc")
    assert "base_model: some/base" in (out / "README.md").read_text()
    assert str(tmp_path) not in words_of(out)
    assert (out / "adapter_model.safetensors").exists()


def test_adapter_of_a_full_run_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="trained all weights, there is no adapter"):
        export(run("sft"), tmp_path / "x", "adapter", None)


def test_unfinished_runs_have_nothing_to_export(make_run, tmp_path):
    with pytest.raises(UsageError, match="no finished model yet"):
        export(make_run("dpo"), tmp_path / "x", "merged", None)


@pytest.mark.parametrize("marker", [None, {"method": "dpo"}, {"form": "merged", "hub": {"id": "some/model"}}, []])
def test_folders_that_are_not_our_exports_stay(run, tmp_path, marker):
    folder, out = run("sft"), tmp_path / "models"
    out.mkdir()
    (out / "mine").write_text("precious")
    if marker is not None:
        write_json(out / "workbench.json", marker)
    with pytest.raises(UsageError, match=r"models is not empty .* choose an empty or new folder"):
        export(folder, out, "merged", None)
    assert (out / "mine").read_text() == "precious"
    with pytest.raises(UsageError, match="choose an empty or new folder"):
        export(folder, folder / "out", "merged", None)
    assert (folder / "out" / "model.safetensors").exists()


def test_a_name_with_dots_takes_no_other_folder(run, tmp_path):
    (tmp_path / "llama-3.part").mkdir()
    (tmp_path / "llama-3.part" / "mine").write_text("precious")
    folder = run("sft")
    export(folder, tmp_path / "llama-3.1", "merged", None)
    assert {p.name for p in tmp_path.iterdir() if p.name.startswith("llama")} == {"llama-3.part", "llama-3.1"}
    assert (tmp_path / "llama-3.part" / "mine").exists()


def test_adapters_on_an_adapter_are_merged_in_float32(tiny, tmp_path):
    """Weights near 1 with a change that half precision cannot hold, in a base that can."""
    hparams = make(METHODS["dpo"].hparams, preset("dpo", tuning="lora", parameters=1, units=60))
    policy = load(tiny, "causal", hparams)
    layer = policy.plain().model.layers[0].mlp.up_proj
    torch.nn.init.ones_(layer.base_layer.weight)
    layer.lora_A["default"].weight.data.fill_(1e-3)
    layer.lora_B["default"].weight.data.fill_(1e-2)
    expected = 1 + layer.get_delta_weight("default").float().mean().item()
    policy.model.to(torch.bfloat16)
    merged = exporting._merged(policy).model.layers[0].mlp.up_proj.weight
    assert merged.dtype == torch.float32
    assert merged.mean().item() != 1
    assert merged.mean().item() == pytest.approx(expected, rel=1e-5)


def test_a_model_trained_on_an_adapter_is_whole_wherever_its_base_lies_now(tiny, make_run, tmp_path):
    start = tmp_path / "adapter"
    start.mkdir()
    write_json(start / "adapter_config.json", {"base_model_name_or_path": "/an/older/home/tiny"})
    config = RunConfig.model_validate(read_json(make_run("dpo", model=start, tuning="lora") / "config.json"))
    policy = load(tiny, "causal", make(METHODS["dpo"].hparams, config.hparams))
    moved = config.model_copy(update={"base_path": str(tiny)})
    save_trained(policy, moved, stops(policy.tokenizer), tmp_path / "out", {})
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    assert dtype_of(tmp_path / "out") == torch.float32


def test_an_adapter_whose_base_has_moved_is_merged_with_it(run, tiny, tmp_path):
    folder = run("dpo", tuning="lora")
    config = read_json(folder / "out" / "adapter_config.json")
    write_json(folder / "out" / "adapter_config.json", config | {"base_model_name_or_path": "/an/older/home/tiny"})
    try:
        export(folder, tmp_path / "x", "merged", None, tiny)
    finally:
        write_json(folder / "out" / "adapter_config.json", config)
    assert (tmp_path / "x" / "model.safetensors").exists()


def test_a_merge_that_differs_is_not_offered(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "compare", lambda *_: 0.5)
    with pytest.raises(exporting.ModelError, match=r"differs from the trained one by 0\.5"):
        export(run("dpo"), tmp_path / "x", "merged", None)
    assert not (tmp_path / "x").exists()


def test_the_precision_of_the_base_is_kept(run, tiny, make_run, tmp_path):
    half = tmp_path / "half"
    load_plain(tiny, "causal", torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(half)
    folder = make_run("dpo", name="000009", model=half, max_steps=2)
    attempt(folder, resume=False)
    assert dtype_of(folder / "out") == torch.bfloat16
    assert (folder / "out" / "model.safetensors").stat().st_size < (tiny / "model.safetensors").stat().st_size * 0.6


def test_float32_where_the_precision_of_the_base_cannot_hold_the_merge(run, tiny, tmp_path, monkeypatch):
    half = tmp_path / "half"
    load_plain(tiny, "causal", torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(half)
    folder, differences = run("dpo", tuning="lora", model=half), iter([0.5, 0.0])
    monkeypatch.setattr(exporting, "compare", lambda *_: next(differences))
    export(folder, tmp_path / "exported", "merged", None)
    assert dtype_of(tmp_path / "exported") == torch.float32


def test_child_answers_with_a_result(run, tmp_path):
    folder, job = run("dpo"), tmp_path / "job"
    job.mkdir()
    config = {"run": str(folder), "out": str(tmp_path / "exported"), "form": "adapter", "license": None}
    write_json(job / "config.json", config)
    subprocess.run([sys.executable, "-m", "workbench.training.export", "--job", str(job)], check=True, timeout=200)
    assert "there is no adapter" in json.loads((job / "result.json").read_text())["error"]


def test_the_card_of_a_reward_model_says_how_to_score_as_we_do(run, tmp_path):
    export(run("rm"), tmp_path / "x", "merged", None)
    prompt, said = [{"role": "user", "content": "tell me about topic1"}], "sure topic1 fun"
    answer = {"role": "assistant", "content": said}
    known = {
        "prompt": prompt,
        "answer": answer,
        "model": AutoModelForSequenceClassification.from_pretrained(tmp_path / "x"),
        "tokenizer": AutoTokenizer.from_pretrained(tmp_path / "x"),
    }
    [code] = re.findall(r"```python\n(.*?)```", (tmp_path / "x" / "README.md").read_text(), re.DOTALL)
    exec(code, known)
    policy = Policy(known["model"], known["tokenizer"], "reward", torch.float32)
    [made] = encode(policy.tokenizer, [Row("0", "chat", prompt, ([answer],))], stops(policy.tokenizer))
    with torch.no_grad():
        assert policy([Line.of(made.prompt, made.answers[0])]).item() == pytest.approx(known["score"], abs=1e-5)
