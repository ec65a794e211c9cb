"""The child that measures what labels teach: errors fall as labels grow, states are asked for once, stops and fails."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.training.test_probe import pairs
from workbench.jobs.folder import Reporter, read_json, write_json
from workbench.training import worth
from workbench.training.worth import learnt, main, measure


@pytest.fixture
def job(tmp_path, tiny):
    """A folder with 240 pairs, every fifth group of them for the test, and one label in ten turned round."""

    def make(**changes: Any) -> Path:
        folder = tmp_path / "000001"
        folder.mkdir()
        rows, first = pairs(240)
        for i, row in enumerate(rows):
            group = i % 40
            label = float(first[i]) if i % 10 else 1 - float(first[i])
            row |= {"said": label, "group": f"g{group}", "test": group % 5 == 0} | changes
        pq.write_table(pa.Table.from_pylist(rows), folder / "items.parquet")
        place = {"name": "base", "path": str(tiny), "base_path": None, "kind": "causal"}
        states = str(tmp_path / "cache" / "1.safetensors")
        write_json(folder / "config.json", {"model": place, "items": "items.parquet", "states": states})
        return folder

    return make


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["worth", "--job", str(folder)])
    main()
    return read_json(folder / "status.json")


def test_errors_are_measured_over_growing_subsets(job, monkeypatch):
    folder = job()
    status = run(folder, monkeypatch)
    assert [status[name] for name in ("state", "step", "steps")] == ["done", 240, 240]
    found = read_json(folder / "result.json")
    # 8 of 40 groups test, of 6 pairs each; every fourth of those labels was turned round and cannot be met
    assert [found[name] for name in ("model", "labels")] == ["base", 192]
    assert found["now"]["n"] == 48
    assert found["now"]["low"] < found["points"][-1]["error"] < found["now"]["high"]
    assert [point["n"] for point in found["points"]] == [24.0, 36.0, 66.0, 108.0, 192.0]
    assert all(len(point["errors"]) == 3 for point in found["points"])
    assert found["points"][-1]["error"] <= found["points"][0]["error"]
    assert set(found) == {"model", "labels", "now", "points", "law", "missed", "predictable"}


def test_errors_by_hand():
    # one number a pair, whose sign says all: every probe is right, but for the label that was turned round
    x = torch.tensor([[1.0], [-1.0]] * 10)
    said = (x[:, 0] > 0).float()
    tested, first = torch.tensor([[1.0], [-2.0], [3.0], [-1.0]]), torch.tensor([True, False, True, True])
    points = learnt(x, said, torch.arange(20).numpy(), tested, first)
    assert [point["n"] for point in points] == [2, 4, 7, 12, 20]
    assert {error for point in points for error in point["errors"]} == {0.25}


def test_states_are_asked_for_once(job, tiny, monkeypatch):
    folder = job()
    assert measure(folder, Reporter(folder))
    first = read_json(folder / "result.json")
    with monkeypatch.context() as patch:
        patch.setattr(worth, "frozen", lambda *_: pytest.fail("the states were kept"))
        assert measure(folder, Reporter(folder))
        assert read_json(folder / "result.json") == first
    monkeypatch.setattr(worth, "RULES", 0)  # texts are read otherwise now
    asked = []
    monkeypatch.setattr(worth, "differences", lambda model, rows: asked.extend(rows) or [])
    with pytest.raises(worth.EngineError, match="too few"):
        measure(folder, Reporter(folder))
    assert len(asked) == 240


def test_it_stops_when_asked(job, monkeypatch):
    folder = job()
    write_json(folder / "control.json", {"action": "stop"})
    assert run(folder, monkeypatch)["state"] == "stopped"
    assert not (folder / "result.json").exists()


def test_texts_that_are_too_long_are_told(job, monkeypatch):
    long = json.dumps([{"role": "user", "content": " ".join(["tell"] * 500)}])
    status = run(job(prompt=long), monkeypatch)
    assert status["state"] == "failed"
    assert "too few of these pairs" in status["message"]
