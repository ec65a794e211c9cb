"""Whole runs: states, samples, the final model, errors said clearly, and resuming as if nothing had happened."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from tests.training.conftest import OFFLINE
from workbench.errors import UsageError
from workbench.evaluation import reward_report
from workbench.jobs import models
from workbench.jobs.folder import read_json, sha256
from workbench.training.hparams import make
from workbench.training.loop import Diverged
from workbench.training.methods import METHODS
from workbench.training.model import load_plain
from workbench.training.worker import attempt, ended

LONG = {"epochs": 12, "learning_rate": 1e-3}


@pytest.fixture(autouse=True)
def own_signals():
    """A run listens for SIGTERM; give the handler back."""
    old = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, old)


def child(folder, *flags):
    log = (folder / "log.txt").open("ab")
    command = [sys.executable, "-m", "workbench.training.worker", str(folder), *flags]
    env = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)


def told(folder, lines_of):
    """Every metric line without what depends on the clock, and the hash of the final weights."""
    lines = lines_of(folder / "metrics.jsonl", timeless=True)
    name = "adapter_model" if (folder / "out" / "adapter_config.json").exists() else "model"
    return lines, sha256(folder / "out" / f"{name}.safetensors")


def test_dpo_in_a_child(make_run, lines_of):
    folder = make_run("dpo", learning_rate=3e-3, epochs=2, nll_coef=0.0)
    assert child(folder).wait(timeout=200) == 0
    status = read_json(folder / "status.json")
    assert (status["state"], status["message"]) == ("done", None), (folder / "log.txt").read_text()
    lines = lines_of(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(status["steps"] + 1))
    samples = lines_of(folder / "samples.jsonl")
    assert {s["step"] for s in samples} == {0, status["steps"]}
    assert all(set(s) == {"step", "prompt", "text"} and "<|im_end|>" not in s["text"] for s in samples)
    assert samples[0]["prompt"].startswith("tell me about topic")
    made = read_json(folder / "out" / "workbench.json")
    assert (made["method"], made["base"], made["tuning"], made["run"]) == ("dpo", "tiny", "full", 1)
    assert made["metrics"] == {k: v for k, v in lines[-1].items() if k != "eta_s"}
    assert "/" not in json.dumps(made["hparams"])
    AutoModelForCausalLM.from_pretrained(folder / "out")
    assert AutoTokenizer.from_pretrained(folder / "out").chat_template
    assert models.scan(folder / "out").kind == "causal"


@pytest.mark.parametrize("method", ["rm", "kto"])
def test_adapters_of_a_run_load_again(method, make_run, tiny):
    folder = make_run(method, tuning="lora", max_steps=2)
    attempt(folder, resume=False)
    assert read_json(folder / "status.json")["state"] == "done"
    out = folder / "out"
    assert not (out / "README.md").exists()
    assert models.scan(out).kind == ("reward" if method == "rm" else "adapter")
    auto = AutoModelForSequenceClassification if method == "rm" else AutoModelForCausalLM
    from peft import PeftModel

    extra = {"num_labels": 1} if method == "rm" else {}
    PeftModel.from_pretrained(auto.from_pretrained(tiny, **extra), out)
    weights = load_file(out / "adapter_model.safetensors")
    assert any("score" in name for name in weights) == (method == "rm")
    assert (folder / "samples.jsonl").read_text().count("\n") == (0 if method == "rm" else 8)


def test_the_report_of_a_reward_model_counts_as_its_run_did(make_run, snapshot_of, rankings, tmp_path):
    rows = snapshot_of(tmp_path / "ranked", rankings(24))
    folder = make_run("rm", rows=rows, max_steps=12, learning_rate=3e-3, early_stopping=1)
    attempt(folder, resume=False)
    logged, report = read_json(folder / "out" / "workbench.json")["metrics"], reward_report.of_run(folder)
    bins, n = report["calibration"], report["accuracy"]["n"]
    assert report["step"] == logged["step"]
    assert report["accuracy"]["value"] == pytest.approx(logged["eval_accuracy"], abs=1e-5)
    gaps = sum(b["n"] * abs(b["confidence"] - b["right"]) for b in bins)
    assert gaps / n == pytest.approx(logged["eval_ece"], abs=1e-5)
    assert {row["level"] for row in report["strength"]} == {2, None}


def test_a_run_may_start_from_an_adapter(make_run):
    first = make_run("dpo", name="000001", tuning="lora", max_steps=2)
    attempt(first, resume=False)
    second = make_run("cpo", name="000002", tuning="lora", max_steps=2, model=first / "out")
    attempt(second, resume=False)
    assert read_json(second / "status.json")["state"] == "done"
    assert models.scan(second / "out").kind == "causal"


def killed_and_resumed(make_run, lines_of, method, **hparams):
    whole = make_run(method, name="000001", **hparams)
    attempt(whole, resume=False)
    broken = make_run(method, name="000002", **hparams)
    process = child(broken)
    while not any((broken / "checkpoints").glob("step-??????")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    torn = read_json(broken / "status.json")
    assert torn["state"] == "running", "the run was over before it could be killed"
    attempt(broken, resume=True)
    status = read_json(broken / "status.json")
    assert (status["state"], status["attempt"]) == ("done", 2)
    assert told(broken, lines_of) == told(whole, lines_of)
    assert len(lines_of(broken / "samples.jsonl")) == len(lines_of(whole / "samples.jsonl"))


@pytest.mark.rule("F05")
def test_dpo_killed_and_resumed_is_bit_identical(make_run, lines_of):
    killed_and_resumed(make_run, lines_of, "dpo", nll_coef=0.0, **LONG)


PPO = {"rollouts": 6, "rollout_batch": 16, "max_new_tokens": 12, "missing_eos": "none", "guards": False}


def test_ppo_trains_a_policy_that_others_can_load(make_run, lines_of, tiny):
    folder = make_run("ppo", **PPO | {"rollouts": 3, "learning_rate": 1e-3})
    attempt(folder, resume=False)
    status = read_json(folder / "status.json")
    assert (status["state"], status["step"], status["left_out"]) == ("done", 3, 0), status["message"]
    lines = lines_of(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert {"objective/kl", "policy/entropy_avg", "val/ratio", "time/rollout"} <= lines[1].keys()
    assert lines[1]["objective/kl"] == pytest.approx(0.0, abs=1e-3)
    assert lines[0].keys() >= {"eval_objective/scores", "eval_objective/scores_raw/judge", "eval_objective/length"}
    samples = lines_of(folder / "samples.jsonl")
    assert {line["step"] for line in samples} == {0, 1, 2, 3}
    assert all(isinstance(line["score"], float) for line in samples)
    made = read_json(folder / "out" / "workbench.json")
    assert (made["rewards"], made["reference"]) == ({"judge": 1.0}, "tiny")
    model, start = (load_plain(path, "causal", torch.float32) for path in (folder / "out", tiny))
    assert not torch.equal(model.lm_head.weight, start.lm_head.weight)


def test_adapters_of_the_policy_alone_leave_a_ppo_run(make_run):
    folder = make_run("ppo", tuning="lora", **PPO | {"rollouts": 1})
    attempt(folder, resume=False)
    assert read_json(folder / "status.json")["state"] == "done", read_json(folder / "status.json")["message"]
    assert {path.name for path in (folder / "out").iterdir() if path.is_dir()} == set()
    assert "value" not in "".join(load_file(folder / "out" / "adapter_model.safetensors"))


def test_a_guard_ends_a_run_with_the_model_from_before(make_run, lines_of):
    """A start model that has not learnt to end its answers."""
    folder = make_run("ppo", **PPO | {"max_new_tokens": 2, "guards": True})
    attempt(folder, resume=False)
    status = read_json(folder / "status.json")
    assert status["state"] == "done"
    assert status["message"].startswith("ended after rollout 3: only ")
    assert status["message"].endswith("the model is the one of rollout 2")
    assert lines_of(folder / "metrics.jsonl")[-1]["step"] == 3
    assert read_json(folder / "out" / "workbench.json")["metrics"]["step"] == 2


def test_ppo_killed_and_resumed_is_bit_identical(make_run, lines_of):
    killed_and_resumed(make_run, lines_of, "ppo", **PPO)


@pytest.mark.slow
def test_adapters_of_ppo_killed_and_resumed_are_bit_identical(make_run, lines_of):
    killed_and_resumed(make_run, lines_of, "ppo", tuning="lora", **PPO)


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("method", OFFLINE)
def test_every_method_killed_and_resumed_is_bit_identical(make_run, lines_of, method, tuning):
    killed_and_resumed(make_run, lines_of, method, tuning=tuning, **LONG)


def test_resuming_without_a_checkpoint_starts_over(make_run, lines_of):
    folder = make_run("sft", max_steps=2)
    (folder / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n{"step": 2')
    (folder / "samples.jsonl").write_text('{"step": 0}\n')
    attempt(folder, resume=True)
    assert [line["step"] for line in lines_of(folder / "metrics.jsonl")] == [0, 1, 2]
    assert len(lines_of(folder / "samples.jsonl")) == 8


def test_rows_left_out_are_counted(make_run, rows, snapshot_of, tmp_path):
    tables = rows(40)
    for row in tables["pairs"][:3]:
        row["rejected"] = row["chosen"]
    folder = make_run("dpo", rows=snapshot_of(tmp_path / "some", tables), max_steps=1)
    attempt(folder, resume=False)
    status = read_json(folder / "status.json")
    assert (status["state"], status["left_out"], status["cut"]) == ("done", 3, 0)


def test_unusable_rows_end_the_run_with_their_reasons(make_run, rows, snapshot_of, tmp_path):
    tables = rows(40)
    for row in tables["pairs"][:12]:
        row["rejected"] = row["chosen"]
    folder = make_run("dpo", rows=snapshot_of(tmp_path / "bad", tables))
    attempt(folder, resume=False)
    status = read_json(folder / "status.json")
    assert status["state"] == "failed"
    assert "10 of 35 training rows cannot be used (10 identical_pair)" in status["message"]
    assert len((folder / "dropped.jsonl").read_text().splitlines()) == 12


def test_plain_pairs_without_a_prompt_are_trained_on_and_not_sampled(
    make_run, rows, snapshot_of, lines_of, words, tiny, tmp_path
):
    """A tokenizer that puts a token before every text makes such rows usable."""
    begun, start = words(), ("<|im_start|>", 2)
    begun.backend_tokenizer.post_processor = TemplateProcessing(single="<|im_start|> $A", special_tokens=[start])
    begun.bos_token = start[0]
    model = shutil.copytree(tiny, tmp_path / "begun")
    begun.save_pretrained(model)
    tables = rows(60, form="text")
    for row in tables["pairs"]:
        for side in ("chosen", "rejected"):
            row[side] = [{"role": "assistant", "content": row["prompt"][0]["content"] + row[side][0]["content"]}]
        row["prompt"] = []
    folder = make_run("dpo", model=model, rows=snapshot_of(tmp_path / "implicit", tables), max_steps=2)
    attempt(folder, resume=False)
    assert read_json(folder / "status.json")["state"] == "done", read_json(folder / "status.json")["message"]
    assert lines_of(folder / "samples.jsonl") == []


def test_a_reward_model_learns_from_pairs_and_rankings_together(
    make_run, rankings, snapshot_of, lines_of, tmp_path, tiny
):
    folder = make_run("rm", rows=snapshot_of(tmp_path / "ranked", rankings(60)), learning_rate=3e-3, epochs=2)
    attempt(folder, resume=False)
    assert read_json(folder / "status.json")["state"] == "done", read_json(folder / "status.json")["message"]
    last = lines_of(folder / "metrics.jsonl")[-1]
    assert last["eval_accuracy"] > 0.7
    assert last["eval_ece"] is not None
    [*_, path] = sorted((folder / "eval_rows").iterdir())
    answers = pq.read_table(path).to_pandas()
    kinds = answers.id.str[0].map({"p": "pair", "r": "ranking"})
    assert set(kinds) == {"pair", "ranking"}
    assert answers.answer_0.notna().all()
    assert answers.answer_3[kinds == "pair"].isna().all()


def test_another_run_on_the_same_labels_measures_nothing_again(make_run, capsys):
    for name, hparams in (("000001", {}), ("000002", {"seed": 5, "beta": 0.3})):
        folder = make_run("dpo", name=name, max_steps=1, **hparams)
        attempt(folder, resume=False)
        assert read_json(folder / "status.json")["state"] == "done"
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("reference")]
    assert told == ["reference: 120 answers to compute of 120", "reference: 0 answers to compute of 120"]
    cache = folder.parents[1] / "cache"
    assert len(list(cache.glob("tokens/*/rows.arrow"))) == len(list(cache.glob("reference/*/part-*.parquet"))) == 1


def test_a_tokenizer_of_another_model_is_named(make_run, tiny, llama, words, tmp_path):
    model = shutil.copytree(tiny, tmp_path / "foreign")
    llama(len(words()) - 4).save_pretrained(model)
    folder = make_run("dpo", model=model)
    attempt(folder, resume=False)
    status = read_json(folder / "status.json")
    assert status["state"] == "failed"
    assert f"the model knows {len(words()) - 4} tokens" in status["message"]
    assert not (folder / "metrics.jsonl").exists()


def test_a_last_step_of_one_answer_has_a_reference_point(make_run, lines_of):
    folder = make_run("kto", units_per_step=7, epochs=1)
    attempt(folder, resume=False)
    lines = lines_of(folder / "metrics.jsonl")
    assert read_json(folder / "status.json")["state"] == "done"
    assert all(line["loss"] is not None for line in lines[1:])
    with pytest.raises(UsageError, match="units_per_step = 1: must be 2"):
        make(METHODS["kto"].hparams, {"units_per_step": 1})


def test_a_tokenizer_without_padding_and_template_trains(make_run, words, llama, tmp_path):
    model, tokenizer = tmp_path / "bare", words(None)
    tokenizer.pad_token = None
    llama(len(tokenizer)).save_pretrained(model)
    tokenizer.save_pretrained(model)
    folder = make_run("dpo", model=model, max_steps=1)
    attempt(folder, resume=False)
    assert read_json(folder / "status.json")["state"] == "done", read_json(folder / "status.json")["message"]


@pytest.mark.parametrize("method", ["rm", "dpo"])
def test_a_start_model_with_broken_weights_is_refused(make_run, tiny, tmp_path, method):
    broken = tmp_path / "broken"
    model = load_plain(tiny, "causal", torch.float32)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    model.save_pretrained(broken)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(broken)
    folder = make_run(method, model=broken)
    attempt(folder, resume=False)
    status = read_json(folder / "status.json")
    assert status["state"] == "failed"
    assert "numbers that are not finite: take another copy" in status["message"]
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Diverged("step 1: loss nan"), "diverged"),
        (torch.OutOfMemoryError("x"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (OSError(28, "No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(5, "Input/output error"), "failed"),
        (KeyError("x"), "failed"),
    ],
)
def test_errors_have_a_state_and_a_sentence(error, state):
    assert ended(error)[0] == state
    assert ended(error)[1]


def test_a_run_folder_has_one_owner(make_run):
    folder = make_run("dpo")
    with FileLock(folder / "run.lock"):
        process = child(folder)
        assert process.wait(timeout=200) == 1
    assert "in use by another process" in (folder / "log.txt").read_text()
    assert not (folder / "status.json").exists()


def test_samples_of_a_step_stand_there_once(make_run, lines_of):
    folder = make_run("dpo", max_steps=2)
    attempt(folder, resume=False)
    before = lines_of(folder / "samples.jsonl")
    attempt(folder, resume=True)
    assert lines_of(folder / "samples.jsonl") == before
    assert {line["step"] for line in before} == {0, 2}


def test_an_early_stop_tells_the_figures_of_the_model_it_kept(make_run, lines_of):
    folder = make_run("sft", epochs=40, learning_rate=3e-2, early_stopping=2)
    attempt(folder, resume=False)
    lines = lines_of(folder / "metrics.jsonl")
    best = min((line for line in lines[1:] if "eval_loss" in line), key=lambda line: line["eval_loss"])
    assert read_json(folder / "out" / "workbench.json")["metrics"]["step"] == best["step"] < lines[-1]["step"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    process = child(tmp_path)
    assert process.wait(timeout=200) == 2
    assert "is not the folder of a run: it has no config.json" in (tmp_path / "log.txt").read_text()


def test_a_run_that_has_something_is_not_started_over_by_mistake(make_run):
    folder = make_run("dpo", max_steps=1)
    attempt(folder, resume=False)
    before = sha256(folder / "out" / "model.safetensors")
    assert child(folder).wait(timeout=200) == 2
    assert "add --resume to go on from there" in (folder / "log.txt").read_text()
    assert sha256(folder / "out" / "model.safetensors") == before


def test_a_failed_run_ends_with_1_and_one_line(make_run):
    folder = make_run("dpo", max_length=100_000)
    assert child(folder).wait(timeout=200) == 1
    log = (folder / "log.txt").read_text()
    assert "this model reads at most 128 tokens" in log
    assert "Traceback" not in log


def test_a_chat_without_a_template_gets_one_that_stays(make_run, words, llama, tmp_path):
    model, tokenizer = tmp_path / "plain", words(None)
    llama(len(tokenizer)).save_pretrained(model)
    tokenizer.save_pretrained(model)
    folder = make_run("sft", model=model, max_steps=1)
    attempt(folder, resume=False)
    assert read_json(folder / "status.json")["state"] == "done"
    assert "role" in AutoTokenizer.from_pretrained(folder / "out").chat_template
