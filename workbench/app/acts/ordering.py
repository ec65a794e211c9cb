"""Acts by which a reward model orders the queue of a project: score in a child, look how far it is, stop.

Leaves out the child's life (`work`) and what the queue does.
"""

import shutil
from pathlib import Path
from typing import Any

from workbench.app.acts.act import act
from workbench.app.acts.work import Work, ended, place
from workbench.app.house import House
from workbench.errors import ModelError
from workbench.jobs import models as folders
from workbench.store import projects, scores


@act("lead")
def queue_scores(house: House, actor: str, *, project: int | str, model: str) -> dict[str, Any]:
    """Let a reward model score the project's comparisons; when it is done, its scores order part of the queue."""
    found, judge = house.project(project), folders.get(house.home, model)
    if judge.kind != "reward":
        raise ModelError(f"{model} is no reward model: it does not score answers")
    base = folders.untaught(house.home, judge)
    config = {"actor": actor, "items": "items.parquet", "base": base and place(base)}
    SCORING.start(
        house, found.id, judge, config, lambda job: scores.write_items(house.store, found, judge, job / "items.parquet")
    )
    return queue_scores_state(house, actor, project=found.id)


@act("lead")
def queue_scores_state(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """Whether a model orders the queue and which, whether its scores are lost, and how far a new scoring is."""
    number = house.project(project).id
    job = SCORING.state(house, number)
    told = scores.noted(house.store, number)
    return {
        "ordered": house.project(number).ordered,
        "model": told and told["model"],
        "items": told and told["items"],
        "lost": bool(told) and not (house.home / told["file"]).exists(),
        "job": job,
        "models": [m.name for m in folders.all(house.home) if m.kind == "reward" and not m.reason],
    }


@act("lead")
def queue_scores_off(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """The queue goes back to its own order; a scoring that is under way ends."""
    number = house.project(project).id
    SCORING.stop(house, number)
    if house.project(number).ordered:
        projects.change(house.store, actor, number, ordered=False)
        house.queue.refresh(number)
    return queue_scores_state(house, actor, project=number)


def _settle(house: House, job: Path) -> None:
    """Scores of a child that is done hold from now on; the texts that it has read go."""
    with house.store.lock:
        if (found := ended(job)) is None:
            return
        config, status = found
        number, file = config["project"], job.with_suffix(".parquet")
        scores.note(house.store, config["actor"], number, config["model"]["name"], file, status["scored"])
        projects.change(house.store, config["actor"], number, ordered=True)
        shutil.rmtree(job)
    house.queue.refresh(number)


SCORING = Work("scores", "workbench.training.scoring", _settle)
