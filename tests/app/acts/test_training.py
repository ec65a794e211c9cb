"""What a start is refused for is what the worker would refuse, and what `allow` names is let through by both."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.app.acts.conftest import do
from workbench.app.house import House
from workbench.errors import UsageError, WorkbenchError
from workbench.settings import DEMO

pytestmark = pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout")


def project_of(house: House, path: Path, rows: list[dict[str, Any]]) -> int:
    number = do(house, "project_create", name="herbs")["id"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parsed = do(house, "import_file", project=number, path=path)["import"]
    do(house, "import_confirm", project=number, number=parsed)
    return number


def test_answers_of_one_kind_are_let_through_when_allowed(house: House, tmp_path: Path) -> None:
    thumbs = [{"prompt": f"Question {n}?", "completion": f"Yes {n}", "label": True} for n in range(40)]
    asked = {"project": project_of(house, tmp_path / "thumbs.jsonl", thumbs), "method": "kto", "model": "demo-tiny"}
    assert do(house, "plan", **asked)["needs"] == "thumbs_both"
    with pytest.raises(UsageError, match="label some of the other, or set allow = D08"):
        do(house, "train", **asked)
    asked["hparams"] = {"allow": "D08"}
    assert do(house, "plan", **asked)["needs"] is None
    assert do(house, "train", **asked)["hparams"]["allow"] == "D08"


def test_less_than_a_step_is_let_through_when_allowed(house: House, tmp_path: Path) -> None:
    pairs = [{"prompt": f"Question {n}?", "chosen": f"Yes {n}", "rejected": f"No {n}"} for n in range(6)]
    asked = {"project": project_of(house, tmp_path / "pairs.jsonl", pairs), "method": "dpo", "model": "demo-tiny"}
    assert do(house, "plan", **asked)["needs"] == "more"
    with pytest.raises(UsageError, match="label at least"):
        do(house, "train", **asked)
    asked["hparams"] = {"allow": "D06"}
    assert (do(house, "plan", **asked)["needs"], do(house, "plan", **asked)["missing"]) == (None, 0)
    assert do(house, "train", **asked)["run"]


def test_nothing_at_all_is_refused_whatever_is_allowed(house: House) -> None:
    empty = do(house, "project_create", name="empty")["id"]
    with pytest.raises(UsageError, match="label at least 2 more"):
        do(house, "train", project=empty, method="dpo", model="demo-tiny", hparams={"allow": "D06"})


def test_a_run_is_told_where_the_base_of_its_adapter_lies(house: House, tmp_path: Path) -> None:
    adapter = house.home / "models" / "tuned"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/an/older/home/demo"}))
    (adapter / "workbench.json").write_text(json.dumps({"method": "dpo", "base": "demo-tiny"}))
    save_file({"a": np.zeros(3, np.float32)}, adapter / "adapter_model.safetensors")
    pairs = [{"prompt": f"Question {n}?", "chosen": f"Yes {n}", "rejected": f"No {n}"} for n in range(30)]
    project = project_of(house, tmp_path / "pairs.jsonl", pairs)

    def base_path(model: str) -> str | None:
        number = do(house, "train", project=project, method="dpo", model=model)["run"]
        return house.runs.config(number).base_path

    assert base_path("tuned") == str(DEMO / "model")
    assert base_path("demo-tiny") is None


def reward_model(house: House, name: str) -> None:
    folder = house.home / "models" / name
    folder.mkdir(parents=True)
    shutil.copy(DEMO / "model" / "tokenizer.json", folder)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForSequenceClassification"]}))
    save_file({"score.weight": np.zeros((1, 4), np.float32)}, folder / "model.safetensors")


@pytest.fixture
def asked(house: House, tmp_path: Path) -> dict[str, Any]:
    rows = [{"prompt": f"Question {n}?"} for n in range(40)]
    project = project_of(house, tmp_path / "prompts.jsonl", rows)
    return {"project": project, "method": "ppo", "model": "demo-tiny"}


def test_ppo_is_ready_once_there_are_prompts_and_a_reward_model(house: House, asked: dict[str, Any]) -> None:
    assert do(house, "plan", **asked)["needs"] == "rewards"
    with pytest.raises(UsageError, match=r"PPO needs a reward model: train one, and name it \(--reward MODEL\)"):
        do(house, "train", **asked)
    reward_model(house, "helpful")
    reward_model(house, "harmless")
    told = do(house, "plan", **asked, rewards=["helpful"])
    assert (told["needs"], told["cost"]["steps"]) == (None, 20)
    assert told["cost"]["memory"] > 0
    made = do(house, "train", **asked, rewards=["helpful=0.7", "harmless=0"], reference="demo-tiny")
    config = house.runs.config(made["run"])
    assert [(judge.name, judge.weight) for judge in config.judges] == [("helpful", 0.7), ("harmless", 0.0)]
    assert config.reference.path == config.model_path


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (["helpful=much"], "reward model 'helpful=much': the weight must be a number from 0 on"),
        (["helpful=-1"], "the weight must be a number from 0 on"),
        (["helpful=0"], "PPO needs a reward model: all of those named have weight 0 and only watch"),
        (["helpful="], "the weight must be a number from 0 on"),
        (["helpful", "helpful=2"], "each reward model can be named once"),
        (["demo-tiny"], "demo-tiny is no reward model"),
        (["nobody"], "no model 'nobody'"),
    ],
)
def test_reward_models_that_cannot_be_are_named(
    house: House, asked: dict[str, Any], rewards: list[str], message: str
) -> None:
    reward_model(house, "helpful")
    with pytest.raises(WorkbenchError, match=message):
        do(house, "train", **asked, rewards=rewards)


def test_only_methods_that_draw_take_reward_models_and_another_reference(house: House, tmp_path: Path) -> None:
    reward_model(house, "helpful")
    pairs = [{"prompt": f"Question {n}?", "chosen": f"Yes {n}", "rejected": f"No {n}"} for n in range(30)]
    asked = {"project": project_of(house, tmp_path / "pairs.jsonl", pairs), "method": "dpo", "model": "demo-tiny"}
    with pytest.raises(UsageError, match="DPO learns from pairs: it takes no reward models"):
        do(house, "train", **asked, rewards=["helpful"])
    with pytest.raises(UsageError, match="DPO has its start model as reference"):
        do(house, "train", **asked, reference="demo-tiny")
