"""Published preference files through the whole house: import, snapshot, some training steps, export, read back."""

import time
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.jobs.folder import END_STATES
from workbench.settings import Settings

STEPS = 3


@pytest.fixture
def house(tmp_path: Path) -> Any:
    opened = House.open(Settings(home=tmp_path / "home"))
    yield opened
    opened.close()


def do(house: House, act: str, **values: Any) -> dict[str, Any]:
    return ACTIONS[act](house, "local", **values)


@pytest.mark.parametrize(
    ("file", "lines", "rejected", "method", "config"),
    [
        ("hh-rlhf/harmless-base.test.jsonl", 500, 1, "dpo", "preference"),
        ("llama-factory/dpo_en_demo.json", 100, 0, "simpo", "preference"),
        ("llama-factory/dpo_zh_demo.json", 100, 0, "rm", "preference"),
        ("llama-factory/kto_en_demo.json", 100, 0, "kto", "unpaired"),
    ],
)
def test_a_real_file_goes_all_the_way(
    house: House, realdata: Path, tmp_path: Path, file: str, lines: int, rejected: int, method: str, config: str
) -> None:
    project = do(house, "project_create", name="real")["id"]
    parsed = do(house, "import_file", project=project, path=realdata / file)
    assert parsed["report"]["lines"] == lines
    assert parsed["report"]["rejected"] == rejected
    assert parsed["report"]["accepted"] + rejected == lines
    do(house, "import_confirm", project=project, number=parsed["import"])

    # Long dialogues do not fit the demo model: they are dropped with a reason, which D06 allows.
    knobs = {"max_steps": STEPS, "units_per_step": 4, "epochs": 1, "max_length": 512, "allow": "D06"}
    number = do(house, "train", project=project, method=method, model="demo-tiny", hparams=knobs)["run"]
    run = ended(house, number)
    assert run["status"]["state"] == "done", run["log"]
    assert run["metrics"][-1]["step"] == STEPS
    assert run["metrics"][-1]["loss"] > 0

    exported = do(house, "export_dataset", project=project, license="other", out=tmp_path / "hub")
    read = load_dataset(exported["folder"], config, cache_dir=str(tmp_path / "cache"))
    assert sum(len(split) for split in read.values()) == exported["rows"][config]


def ended(house: House, number: int) -> dict[str, Any]:
    end = time.monotonic() + 200
    while (run := do(house, "run", number=number))["status"]["state"] not in END_STATES:
        assert time.monotonic() < end, run["log"]
        time.sleep(0.2)
    return run
