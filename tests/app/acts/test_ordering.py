"""A reward model orders the queue: scored by a child, noted once, stopped, taken up after a restart, refused."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.app.acts.conftest import do
from tests.judge import reward_model
from workbench.app.acts import ordering
from workbench.app.house import House
from workbench.errors import Conflict, ModelError, UsageError
from workbench.jobs.folder import read_json, write_json
from workbench.schema import Candidate, Message, make_item, split_of
from workbench.settings import DEMO
from workbench.store import items, projects, scores
from workbench.store.projects import Project

SCORED = 30


@pytest.fixture
def project(house: House) -> Project:
    reward_model(house.home / "models" / "judge")
    made = projects.create(house.store, "ada", "herbs")
    texts = (f"How do I keep herb {i} alive?" for i in range(99))
    new = [
        make_item(
            made.id,
            (Message("user", text),),
            tuple(Candidate((Message("assistant", f"{word} it"),)) for word in ("Water", "Burn")),
        )
        for text in texts
    ]
    items.add(house.store, "ada", [item for item in new if split_of(item.group_id) == "train"][:SCORED])
    return made


def ended(house: House, project: Project) -> dict[str, Any]:
    """The state once no child is at work any more."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        state = do(house, "queue_scores_state", project=project.id)
        if state["job"] is None or state["job"]["state"] in ("failed", "interrupted"):
            return state
        time.sleep(0.1)
    raise AssertionError(state)


def test_a_model_scores_in_a_child_and_orders_the_queue_until_it_is_told_to_stop(
    house: House, project: Project
) -> None:
    before = do(house, "queue_scores_state", project="herbs")
    nothing = {"ordered": False, "model": None, "items": None, "lost": False, "job": None, "models": ["judge"]}
    assert before == nothing
    started = do(house, "queue_scores", project="herbs", model="judge")
    assert (started["job"]["model"], started["ordered"]) == ("judge", False)
    with pytest.raises(Conflict, match="already"):
        do(house, "queue_scores", project="herbs", model="judge")
    done = ended(house, project)
    assert done == nothing | {"ordered": True, "model": "judge", "items": SCORED}
    assert projects.get(house.store, "herbs").ordered
    found = scores.latest(house.store, project.id)
    assert found.item.tolist() == [row.id for row in items.iter_ids(house.store, project.id)]
    assert (found.gap > 0).all()
    assert [path.name for path in (house.home / "scores").iterdir()] == ["000001.parquet"]
    assert do(house, "queue_scores_off", project="herbs") == done | {"ordered": False}
    (house.home / "scores" / "000001.parquet").unlink()
    assert do(house, "queue_scores_state", project="herbs")["lost"]


def test_a_scoring_that_fails_says_why_and_can_be_stopped(house: House, project: Project) -> None:
    plain = shutil.copytree(DEMO / "model", house.home / "models" / "plain")
    write_json(plain / "workbench.json", {"method": "rm"})  # it says so, but has no head
    do(house, "queue_scores", project="herbs", model="plain")
    state = ended(house, project)
    assert state["job"]["state"] == "failed"
    assert "cannot score answers" in state["job"]["message"]
    assert not state["ordered"]
    assert do(house, "queue_scores_off", project="herbs")["job"] is None
    assert list((house.home / "scores").iterdir()) == []


def left_behind(house: House, project: Project, state: str) -> Path:
    """What is left of a scoring whose server and child are gone."""
    job = ordering.SCORING.folder(house)
    write_json(job / "config.json", {"project": project.id, "actor": "ada", "model": {"name": "judge"}})
    write_json(job / "child.json", (1, "long gone"))
    write_json(job / "status.json", {"state": state, "step": 3, "steps": 9, "message": None, "scored": 3})
    return job


def test_what_a_child_left_while_the_server_was_gone_is_taken_up(house: House, project: Project) -> None:
    job = left_behind(house, project, "done")
    job.with_suffix(".parquet").write_bytes(b"scores")
    state = do(house, "queue_scores_state", project="herbs")
    assert (state["ordered"], state["model"], state["items"], state["job"]) == (True, "judge", 3, None)
    assert not job.exists()
    assert do(house, "queue_scores_state", project="herbs") == state


def test_a_dead_child_is_told_and_makes_room_for_another(house: House, project: Project) -> None:
    job = left_behind(house, project, "running")
    state = do(house, "queue_scores_state", project="herbs")["job"]
    assert state == {"state": "interrupted", "step": 3, "steps": 9, "message": None, "model": "judge"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering.Work, "attend", lambda *_: None)
        started = do(house, "queue_scores", project="herbs", model="judge")["job"]
    assert started["state"] not in ("interrupted", "failed")
    assert (job / "items.parquet").exists()
    do(house, "queue_scores_off", project="herbs")


def test_labels_that_a_model_has_learnt_are_judged_on_what_it_came_from(house: House, project: Project) -> None:
    taught = {"method": "rm", "base": "demo-tiny", "snapshot": "0123456789ab"}
    write_json(house.home / "models" / "judge" / "workbench.json", taught)
    do(house, "queue_scores", project="herbs", model="judge")
    config = read_json(house.home / "scores" / "000001" / "config.json")
    assert config["base"] == {"name": "demo-tiny", "path": str(DEMO / "model"), "base_path": None, "kind": "causal"}
    do(house, "queue_scores_off", project="herbs")


def test_what_cannot_be_is_refused_and_leaves_nothing(house: House, project: Project) -> None:
    with pytest.raises(ModelError, match="no reward model"):
        do(house, "queue_scores", project="herbs", model="demo-tiny")
    projects.create(house.store, "ada", "empty")
    with pytest.raises(UsageError, match="no pairs or rankings"):
        do(house, "queue_scores", project="empty", model="judge")
    assert list((house.home / "scores").iterdir()) == []
