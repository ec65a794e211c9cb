"""Two processes give what one gives: losses, evaluations, weights; copied (DDP) and sharded (FSDP2), over gloo."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import tiny_llama, word_tokenizer, write_snapshot, written_rows
from workbench.jobs.folder import read_json, write_json
from workbench.training.hparams import RunConfig
from workbench.training.methods import preset

PATIENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SAME = ("loss", "grad_norm", "rewards/margins", "kl", "eval_loss", "num_tokens")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A start model whose vocabulary and layers are not multiples of the processes."""
    folder, tokenizer = tmp_path_factory.mktemp("start"), word_tokenizer()
    tiny_llama(len(tokenizer), layers=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_team_trains_the_run_of_a_folder(start, tmp_path):
    """From a run folder to a whole model, and the same weights as one process gives."""
    made = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes) / "runs" / "000001"
        folder.mkdir(parents=True)
        rows = write_snapshot(tmp_path / f"rows{processes}", written_rows())
        paths = {"model": "tiny", "model_path": str(start), "snapshot": "0" * 64, "snapshot_path": str(rows)}
        values = preset("dpo", tuning="full", parameters=1, units=60) | {"max_steps": 6}
        config = RunConfig(run=1, project=1, method="dpo", hparams=values, **paths)
        write_json(folder / "config.json", config.model_dump(mode="json"))
        torchrun(processes, "workbench.training.worker", str(folder))
        assert read_json(folder / "status.json")["state"] == "done"
        made[processes] = load_file(folder / "out" / "model.safetensors")
    for name, value in made[2].items():
        torch.testing.assert_close(value, made[1][name], atol=1e-5, rtol=1e-5)


def torchrun(processes, module, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    done = subprocess.run(
        [*command, "-m", module, *arguments], capture_output=True, text=True, timeout=240, env=PATIENT
    )
    assert done.returncode == 0, done.stderr[-3000:]


def run(start, out, processes, method, tuning, how):
    for rank in range(processes):
        (out / str(rank)).mkdir(parents=True)
    torchrun(processes, "tests.parity.together", method, tuning, how, str(start), str(out))
    return json.loads((out / "lines.json").read_text()), load_file(out / "weights.safetensors")


@pytest.fixture(scope="module")
def alone(start, tmp_path_factory):
    """What one process gives, once for each method and tuning."""
    return cache(lambda method, tuning: run(start, tmp_path_factory.mktemp("alone"), 1, method, tuning, "copied"))


@pytest.mark.parametrize(
    ("method", "tuning", "how"),
    [
        ("dpo", "full", "copied"),
        ("dpo", "lora", "copied"),
        ("dpo", "full", "sharded"),
        pytest.param("kto", "full", "copied", marks=pytest.mark.slow),
        pytest.param("kto", "full", "sharded", marks=pytest.mark.slow),
        pytest.param("rm", "lora", "copied", marks=pytest.mark.slow),
        pytest.param("sft", "full", "sharded", marks=pytest.mark.slow),
    ],
)
def test_two_processes_equal_one(start, alone, tmp_path, method, tuning, how):
    alone, wanted = alone(method, tuning)
    lines, weights = run(start, tmp_path / "both", 2, method, tuning, how)
    assert len(lines) == len(alone) == 7
    for line, other in zip(lines, alone, strict=True):
        for name in SAME:
            if other.get(name) is not None:
                assert line[name] == pytest.approx(other[name], rel=2e-5, abs=1e-5), name
    for name, value in weights.items():
        torch.testing.assert_close(value, wanted[name], atol=1e-5, rtol=1e-5)
