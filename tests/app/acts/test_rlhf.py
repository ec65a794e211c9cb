"""The three stages: what each starts from, which one is due, and what the rounds tell; on folders of finished runs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.app.acts.conftest import do
from workbench.app.acts.rlhf import due
from workbench.app.house import House
from workbench.errors import UsageError
from workbench.jobs.folder import append_line, read_json, write_json
from workbench.settings import DEMO

pytestmark = pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout")
SCORE = "eval_objective/scores"


@pytest.fixture
def project(house: House, tmp_path: Path) -> int:
    """Forty demonstrations and forty pairs."""
    number = do(house, "project_create", name="herbs")["id"]
    shown = [{"prompt": f"Question {n}?", "completion": f"Yes, {n}."} for n in range(40)]
    add(house, number, tmp_path / "shown.jsonl", shown)
    add(house, number, tmp_path / "pairs.jsonl", pairs(40))
    return number


def pairs(n: int, word: str = "Answer") -> list[dict[str, Any]]:
    return [{"prompt": f"{word} {i}?", "chosen": f"Yes {i}", "rejected": f"No {i}"} for i in range(n)]


def add(house: House, project: int, path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parsed = do(house, "import_file", project=project, path=path)["import"]
    do(house, "import_confirm", project=project, number=parsed)


def finish(house: House, run: int, **metrics: float) -> None:
    """Let a run look as if it had been trained."""
    folder, method = house.runs.folder(run), house.runs.config(run).method
    shutil.copytree(DEMO / "model", folder / "out")
    write_json(folder / "out" / "workbench.json", {"method": method, "base": "demo-tiny", "metrics": metrics})
    write_json(folder / "status.json", read_json(folder / "status.json") | {"state": "done"})


def stages(house: House, project: int) -> dict[str, Any]:
    return do(house, "rlhf", project=project)


def next_of(told: dict[str, Any]) -> dict[str, str]:
    return {name: stage["next"] for name, stage in told["stages"].items()}


def test_two_rounds(house: House, project: int, tmp_path: Path) -> None:
    told = stages(house, project)
    assert next_of(told) == {"sft": "start", "rm": "start", "ppo": "rewards"}
    assert (told["due"], told["rounds"], told["stages"]["rm"]["start"]) == ("sft", [], "demo-tiny")
    sft = do(house, "rlhf_start", project=project, stage="sft")["run"]
    assert (next_of(stages(house, project))["sft"], stages(house, project)["due"]) == ("wait", None)
    finish(house, sft, eval_perplexity=2.0)
    told = stages(house, project)
    assert (told["due"], told["stages"]["rm"]["start"], told["stages"]["ppo"]["start"]) == ("rm", "run-1", "run-1")
    finish(house, do(house, "rlhf_start", project=project, stage="rm")["run"], eval_accuracy=0.75)
    told = stages(house, project)
    assert (told["due"], told["stages"]["ppo"]["rewards"]) == ("ppo", ["run-2"])
    first = do(house, "rlhf_start", project=project, stage="ppo")["run"]
    config = house.runs.config(first)
    assert (config.model, [j.name for j in config.judges], config.reference) == ("run-1", ["run-2"], None)
    append_line(house.runs.folder(first) / "metrics.jsonl", {"step": 0, SCORE: 0.1})
    finish(house, first, **{SCORE: 0.9, "objective/kl": 3.0})
    told = stages(house, project)
    assert (next_of(told), told["due"]) == ({"sft": "done", "rm": "done", "ppo": "done"}, None)
    [only] = told["rounds"]
    assert (only["before"], only["after"], only["kl"], only["accuracy"], only["comparisons"]) == (
        0.1,
        0.9,
        3.0,
        0.75,
        40,
    )
    add(house, project, tmp_path / "more.jsonl", pairs(10, "More"))
    assert (next_of(stages(house, project))["rm"], stages(house, project)["due"]) == ("again", "rm")
    finish(house, do(house, "rlhf_start", project=project, stage="rm")["run"], eval_accuracy=0.8)
    told = stages(house, project)
    assert (told["due"], told["stages"]["ppo"]["next"], told["stages"]["ppo"]["start"]) == ("ppo", "again", "run-3")
    second = house.runs.config(do(house, "rlhf_start", project=project, stage="ppo")["run"])
    assert (second.model, second.reference.name, [j.name for j in second.judges]) == ("run-3", "run-1", ["run-4"])
    assert [(one["rewards"], one["state"]) for one in stages(house, project)["rounds"]] == [
        (["run-2"], "done"),
        (["run-4"], "queued"),
    ]


def test_rows_are_counted_as_each_stage_takes_them(house: House, project: int) -> None:
    told = stages(house, project)["stages"]
    assert {name: stage["units"] for name, stage in told.items()} == {"sft": 80, "rm": 40, "ppo": 80}


def test_a_stage_may_start_from_a_model_trained_elsewhere(house: House, project: int) -> None:
    shutil.copytree(DEMO / "model", house.home / "models" / "elsewhere")
    finish(house, do(house, "rlhf_start", project=project, stage="sft")["run"])
    finish(house, do(house, "rlhf_start", project=project, stage="rm", model="elsewhere")["run"])
    made = do(house, "rlhf_start", project=project, stage="ppo", model="elsewhere")
    config = house.runs.config(made["run"])
    assert (config.model, config.reference) == ("elsewhere", None)


def test_the_reference_is_what_the_first_round_started_from(house: House, project: int) -> None:
    """Not an SFT model that came later; that one begins a line of its own."""
    finish(house, do(house, "rlhf_start", project=project, stage="sft")["run"])
    finish(house, do(house, "rlhf_start", project=project, stage="rm")["run"])
    finish(house, do(house, "rlhf_start", project=project, stage="ppo")["run"])
    finish(house, do(house, "rlhf_start", project=project, stage="sft")["run"])
    assert stages(house, project)["stages"]["ppo"]["start"] == "run-4"
    for model, reference in (("run-3", "run-1"), ("run-1", None), ("run-4", None)):
        made = do(house, "rlhf_start", project=project, stage="ppo", model=model, rewards=["run-2"])
        held = house.runs.config(made["run"]).reference
        assert (held and held.name) == reference


def test_a_trial_of_ppo_is_no_round(house: House, project: int) -> None:
    finish(house, do(house, "rlhf_start", project=project, stage="rm")["run"])
    trial = do(house, "train", project=project, method="ppo", model="demo-tiny", rewards=["run-1"])["run"]
    finish(house, trial)
    told = stages(house, project)
    assert (told["rounds"], told["stages"]["ppo"]["start"], told["stages"]["ppo"]["next"]) == ([], "demo-tiny", "start")


def test_a_model_that_is_gone_is_passed_over(house: House, project: int) -> None:
    finish(house, do(house, "rlhf_start", project=project, stage="sft")["run"])
    shutil.rmtree(house.runs.folder(1) / "out")
    told = stages(house, project)
    assert (told["due"], told["stages"]["rm"]["start"]) == ("sft", "demo-tiny")


def test_the_running_stage_is_told(house: House, project: int) -> None:
    assert do(house, "rlhf_running", project=project) == {"stage": None}
    do(house, "rlhf_start", project=project, stage="rm")
    assert do(house, "rlhf_running", project=project)["stage"] == "rm"


def test_new_answers_need_a_policy(house: House, project: int) -> None:
    with pytest.raises(UsageError, match="no policy trained by PPO yet: finish stage 3 first"):
        do(house, "rlhf_answers", project=project)


@pytest.mark.parametrize(
    ("sft", "rm", "ppo", "expected"),
    [
        ("start", "start", "rewards", "sft"),
        ("more", "start", "rewards", "rm"),
        ("done", "again", "done", "rm"),
        ("done", "done", "again", "ppo"),
        ("done", "done", "done", None),
        ("wait", "start", "rewards", None),
        ("more", "more", "rewards", None),
    ],
)
def test_the_first_stage_with_something_to_do_is_due(sft: str, rm: str, ppo: str, expected: str | None) -> None:
    assert due({"sft": {"next": sft}, "rm": {"next": rm}, "ppo": {"next": ppo}}) == expected
