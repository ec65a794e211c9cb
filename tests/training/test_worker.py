"""Whole runs in a real child: states, metrics, samples, the final model, and what goes wrong said clearly."""

import subprocess
import sys

import pytest

from workbench.jobs.folder import read_json


def train(folder, *flags):
    """Run the worker as the server does; its status."""
    subprocess.run(
        [sys.executable, "-m", "workbench.training.worker", "--run", str(folder), *flags],
        stdin=subprocess.DEVNULL,
        stdout=(folder / "log.txt").open("ab"),
        stderr=subprocess.STDOUT,
        timeout=200,
        check=False,
    )
    return read_json(folder / "status.json")


def test_dpo_in_a_child(make_run, lines_of):
    folder = make_run("dpo", learning_rate=3e-3, epochs=4, nll_coef=0.0)
    status = train(folder)
    assert (status["state"], status["message"]) == ("done", None), (folder / "log.txt").read_text()
    lines = lines_of(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(status["steps"] + 1))
    assert lines[0]["eval_loss"] == pytest.approx(0.693, abs=1e-3)
