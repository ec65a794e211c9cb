"""What more labels would bring: measured by a child, told with hours, refused, failed, written as files."""

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.app.acts.conftest import do
from tests.judge import reward_model
from workbench.app.house import House
from workbench.errors import ModelError, NotFound, UsageError
from workbench.jobs.folder import write_json
from workbench.schema import Candidate, Judgement, Message, make_item
from workbench.store import items, projects, worth
from workbench.store.db import uid

PAIRS = 300
LAW = {"a": 0.1, "b": 0.9, "c": 0.5}
FOUND = {"model": "demo-tiny", "labels": 900, "law": LAW, "missed": 0.01, "predictable": True}
FOUND["now"] = {"value": 0.2, "low": 0.15, "high": 0.26, "n": 200}
FOUND["points"] = [{"n": n, "errors": [0.2, 0.2, 0.2], "error": 0.2} for n in (90, 162, 288, 504, 900)]


@pytest.fixture
def project(house: House) -> int:
    """Of 300 pairs the answer with a smile was chosen, in 36 s each."""
    number = projects.create(house.store, "ada", "herbs").id
    texts = [(f"Sure! Water it, friend {n}", f"It is advised to water plant {n}") for n in range(PAIRS)]
    made = [
        make_item(number, (Message("user", f"Herb {n}?"),), tuple(Candidate((Message("assistant", t),)) for t in pair))
        for n, pair in enumerate(texts)
    ]
    ids = items.add(house.store, "ada", made)
    said = {
        id: int("Sure" not in item.candidates[0].messages[0].content)
        for id, item in items.many(house.store, ids).items()
    }
    house.store.append(
        *(
            Judgement(uid(), id, "ann", "pair", {"choice": choice, "strength": 2}, shown_order=(0, 1), ms_active=36_000)
            for id, choice in said.items()
        )
    )
    return number


def ended(house: House, project: int) -> dict[str, Any]:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        state = do(house, "review_worth_state", project=project)
        if state["job"] is None or state["job"]["state"] in ("failed", "interrupted"):
            return state
        time.sleep(0.1)
    raise AssertionError(state)


def test_a_child_measures_and_what_it_found_holds(house: House, project: int) -> None:
    reward_model(house.home / "models" / "judge")
    before = do(house, "review_worth_state", project=project)
    assert before == {"found": None, "job": None, "models": ["demo-tiny"]}
    assert do(house, "review_worth", project=project, model="demo-tiny")["job"]["model"] == "demo-tiny"
    done = ended(house, project)
    found = done["found"]
    assert done["job"] is None
    assert (found["model"], len(found["points"])) == ("demo-tiny", 5)
    assert found["labels"] + found["now"]["n"] == PAIRS
    assert found["points"][-1]["error"] < 0.1  # a smile is easily told
    assert found["predictable"]
    assert [row["hours"] for row in found["after"]] == [0.0, 1.0, 5.0, 20.0]
    assert list((house.home / "worth").iterdir()) == []
    assert (house.home / "cache" / "states" / f"{project}.safetensors").exists()
    assert do(house, "review_worth_off", project=project) == done


def test_the_figures_leave_as_files(house: House, project: int) -> None:
    worth.note(house.store, "ada", project, "overall", FOUND)
    made = do(house, "review_export", project=project)
    folder = Path(made["folder"])
    told = json.loads((folder / "report.json").read_text())["worth"]
    assert told["law"] == LAW
    # 0.1 + 0.9 / 30, and 0.1 + 0.9 / sqrt(1400) after 500 more at 36 s
    assert [(row["more"], round(row["error"], 3), row["hours"]) for row in told["after"][0::2]] == [
        (0, 0.13, 0.0),
        (500, 0.124, 5.0),
    ]
    assert told["eps"]["value"] is None
    with (folder / "learning.csv").open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file)) == {"n": "90", "errors": "0.2 0.2 0.2", "error": "0.2"}
    with (folder / "worth.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["more"] for row in csv.DictReader(file)] == ["0", "100", "500", "2000"]


def test_without_a_prediction_nothing_is_projected(house: House, project: int) -> None:
    worth.note(house.store, "ada", project, "overall", FOUND | {"predictable": False, "missed": 0.04})
    assert do(house, "review_worth_state", project=project)["found"]["after"] == []


def test_what_cannot_be_is_refused_and_leaves_nothing(house: House, project: int) -> None:
    with pytest.raises(NotFound):
        do(house, "review_worth", project=project, model="absent")
    reward_model(house.home / "models" / "judge")
    with pytest.raises(ModelError, match="choose a base model"):
        do(house, "review_worth", project=project, model="judge")
    projects.create(house.store, "ada", "empty")
    with pytest.raises(UsageError, match="too few labelled pairs"):
        do(house, "review_worth", project="empty", model="demo-tiny")
    assert list((house.home / "worth").iterdir()) == []


def test_a_dead_child_is_told_until_it_is_stopped(house: House, project: int) -> None:
    job = house.home / "worth" / "000003"
    job.mkdir(parents=True)
    write_json(job / "config.json", {"project": project, "actor": "ada", "axis": "overall", "model": {"name": "small"}})
    write_json(job / "child.json", (1, "long gone"))
    state = do(house, "review_worth_state", project=project)
    assert (state["job"]["state"], state["job"]["model"]) == ("interrupted", "small")
    assert do(house, "review_worth_off", project=project)["job"] is None
