"""What a start is refused for is what the worker would refuse, and what `allow` names is let through by both."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.errors import UsageError
from workbench.settings import DEMO, Settings

pytestmark = pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path / "home"))
    opened._closing.set()  # no run is started here
    opened._watch.join()
    yield opened
    opened.close()


def do(house: House, act: str, **values: Any) -> dict[str, Any]:
    return ACTIONS[act](house, "local", **values)


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
