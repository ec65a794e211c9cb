"""What a run would cost: steps to the number, memory within reach of what it took, time only from a run like it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.acts.conftest import do
from workbench.app.acts import cost as costs
from workbench.app.house import House
from workbench.jobs import machine
from workbench.jobs.folder import append_line, write_json
from workbench.settings import DEMO
from workbench.store.snapshots import get

pytestmark = pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout")
ROWS = 120


@pytest.fixture
def project(house: House, tmp_path: Path) -> int:
    number = do(house, "project_create", name="herbs")["id"]
    path = tmp_path / "pairs.jsonl"
    # 70 bytes of prompt and 35 of each answer are 20 and 10 tokens
    lines = [{"prompt": f"{n:070}", "chosen": f"{n:035}", "rejected": f"{n + 500:035}"} for n in range(ROWS)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    parsed = do(house, "import_file", project=number, path=path)["import"]
    do(house, "import_confirm", project=number, number=parsed)
    return number


def cost(house: House, project: int, method: str = "dpo", **hparams: Any) -> dict[str, Any]:
    return do(house, "plan", project=project, method=method, model="demo-tiny", hparams=hparams)["cost"]


def finished(
    house: House, project: int, rates: list[float], state: str = "done", method: str = "dpo", **hparams: Any
) -> int:
    number = do(house, "train", project=project, method=method, model="demo-tiny", hparams=hparams)["run"]
    folder = house.runs.folder(number)
    for rate in rates:
        append_line(folder / "metrics.jsonl", {"step": 1, "tokens_per_second": rate})
    write_json(folder / "status.json", {"state": state, "attempt": 1, "step": 1, "steps": 1, "message": None})
    return number


def test_nothing_to_train_on_costs_nothing(house: House) -> None:
    empty = do(house, "project_create", name="empty")["id"]
    assert cost(house, empty) is None


def test_steps_are_those_of_the_training_side(house: House, project: int) -> None:
    made = get(house.store, project, do(house, "snapshot", project=project)["hash"])
    import pyarrow.parquet as pq

    sides = pq.read_table(made.folder / "pairs.parquet")["split"].to_pylist()
    train = sides.count("train")
    assert 0 < train < ROWS
    assert cost(house, project, units_per_step=8, epochs=3)["steps"] == -(-train // 8) * 3
    assert cost(house, project, units_per_step=8, epochs=3, max_steps=7)["steps"] == 7


def test_tokens_come_from_the_bytes_of_the_texts(house: House, project: int) -> None:
    texts = costs.measured(house, list(range(1, ROWS + 1)))
    assert (texts.prompt, texts.answer, texts.longest, texts.compared) == pytest.approx((20, 10, 30, 2))
    assert costs.measured(house, []) is None


def test_a_ranking_counts_with_all_its_answers(house: House, tmp_path: Path) -> None:
    number = do(house, "project_create", name="ranked")["id"]
    path = tmp_path / "rankings.jsonl"
    lines = [
        {"prompt": f"{n:070}", "candidates": [f"{n + k:035}" for k in range(4)], "tiers": [[2], [0, 1], [3]]}
        for n in range(0, 4 * ROWS, 4)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    parsed = do(house, "import_file", project=number, path=path)["import"]
    do(house, "import_confirm", project=number, number=parsed)
    assert costs.measured(house, list(range(1, ROWS + 1))).compared == 4
    finished(house, number, [100.0], method="rm", tuning="full")
    # 5 steps of 8 rankings, four answers of 20 + 10 tokens each
    assert cost(house, number, "rm", tuning="full", units_per_step=8, max_steps=5)["seconds"] == pytest.approx(48)


def test_memory_grows_with_what_a_step_holds(house: House, project: int) -> None:
    small, large = (cost(house, project, units_per_step=n)["memory"] for n in (4, 64))
    assert costs.CHILD < small < large < 2 * costs.CHILD
    assert cost(house, project, tuning="lora")["memory"] < cost(house, project, tuning="full")["memory"]


@pytest.mark.parametrize("method", ["sft", "rm", "dpo", "simpo"])
def test_every_method_has_its_cost(house: House, project: int, method: str) -> None:
    told = cost(house, project, method)
    assert told["fits"]
    assert told["memory"] > costs.CHILD


def test_a_machine_too_small_is_told(house: House, project: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(100 << 20, on_gpu=False))
    told = cost(house, project)
    assert not told["fits"]
    assert told["memory"] > told["machine"]


def test_time_is_known_from_the_newest_finished_run_like_it(house: House, project: int) -> None:
    assert cost(house, project, tuning="full")["seconds"] is None
    finished(house, project, [50.0], tuning="full")
    finished(house, project, [90.0, 100.0, 400.0], tuning="full")
    finished(house, project, [7.0], tuning="lora")
    finished(house, project, [1.0], state="failed", tuning="full")
    house.runs.root.joinpath("000099").mkdir()
    (house.runs.root / "000099" / "config.json").write_text("{broken")
    # 5 steps of 8 pairs, two answers of 20 + 10 tokens each, at the middle of the rates
    assert cost(house, project, tuning="full", units_per_step=8, max_steps=5)["seconds"] == pytest.approx(24)
    assert cost(house, project, tuning="lora", units_per_step=8, max_steps=5)["seconds"] == pytest.approx(2400 / 7)


def test_a_model_of_another_size_tells_nothing(house: House, project: int) -> None:
    finished(house, project, [50.0], tuning="full")
    base = costs.models.get(house.home, "demo-tiny")
    assert costs.median_of(house, base, "full", costs.tokens_per_second) == 50.0
    assert (
        costs.median_of(house, costs.replace(base, parameters=5 * base.parameters), "full", costs.tokens_per_second)
        is None
    )
