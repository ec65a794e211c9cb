"""Acts by which a reward model orders the queue of a project: score in a child, look how far it is, stop.

The child outlives a restart of the server; whoever asks next takes up what it left. Leaves out what the queue does.
"""

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import Conflict, ModelError, StorageUnavailable
from workbench.jobs import models as folders
from workbench.jobs import process
from workbench.jobs.folder import END_STATES, read_json, write_json
from workbench.store import projects, scores

WORKER = "workbench.training.scoring"
LOOK_SECONDS = 0.2
GRACE = 10.0


@act("lead")
def queue_scores(house: House, actor: str, *, project: int | str, model: str) -> dict[str, Any]:
    """Let a reward model score the project's comparisons; when it is done, its scores order part of the queue."""
    found, judge = house.project(project), folders.get(house.home, model)
    if judge.kind != "reward":
        raise ModelError(f"{model} is no reward model: it does not score answers")
    with house.store.lock:
        if any(_described(job)["state"] not in END_STATES for job in _jobs(house, found.id)):
            raise Conflict(f"a model is scoring the items of {found.name} already: wait for it, or stop it first")
        for job in _jobs(house, found.id):
            shutil.rmtree(job)
        _, job = scores.next_folder(house.store)
        place = {"name": judge.name, "path": judge.path, "base_path": judge.base_path}
        config = {"project": found.id, "actor": actor, "model": place, "items": "items.parquet"}
        write_json(job / "starter.json", (os.getpid(), process.identity(os.getpid())))
        write_json(job / "config.json", config | {"out": str(job.with_suffix(".parquet"))})
    try:
        scores.write_items(house.store, found, judge, job / "items.parquet")
        write_json(job / "child.json", process.start(WORKER, ["--job", str(job)], job))
    except BaseException:
        shutil.rmtree(job)
        raise
    threading.Thread(target=_attend, args=[house, job], daemon=True).start()
    return queue_scores_state(house, actor, project=found.id)


@act("lead")
def queue_scores_state(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """Whether a model orders the queue and which, whether its scores are lost, and how far a new scoring is."""
    number = house.project(project).id
    for job in _jobs(house, number):
        _settle(house, job)
    told = scores.noted(house.store, number)
    return {
        "ordered": house.project(number).ordered,
        "model": told and told["model"],
        "items": told and told["items"],
        "lost": bool(told) and not (house.home / told["file"]).exists(),
        "job": next(map(_described, _jobs(house, number)), None),
        "models": [m.name for m in folders.all(house.home) if m.kind == "reward" and not m.reason],
    }


@act("lead")
def queue_scores_off(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """The queue goes back to its own order; a scoring that is under way ends."""
    number = house.project(project).id
    for job in _jobs(house, number):
        if child := read_json(job / "child.json"):
            process.stop(*child, grace=GRACE)
        _settle(house, job)
        shutil.rmtree(job, ignore_errors=True)
    if house.project(number).ordered:
        projects.change(house.store, actor, number, ordered=False)
        house.queue.refresh(number)
    return queue_scores_state(house, actor, project=number)


def _jobs(house: House, project: int) -> list[Path]:
    """Folders of scorings that have not become scores, or not yet."""
    found = sorted(path.parent for path in (house.home / "scores").glob("[0-9]*/config.json"))
    return [job for job in found if (read_json(job / "config.json") or {}).get("project") == project]


def _alive(job: Path) -> bool:
    """The child, or before there is one whoever is about to start it."""
    known = read_json(job / "child.json") or read_json(job / "starter.json")
    return bool(known) and process.alive(*known)


def _described(job: Path) -> dict[str, Any]:
    """State and progress of a scoring; `interrupted` when its process is gone before the end."""
    alive = _alive(job)  # asked first: it may end between the two looks
    status = read_json(job / "status.json") or {"state": "starting"}
    if not alive and status["state"] not in END_STATES:
        status["state"] = "interrupted"
    told = {name: status.get(name) for name in ("state", "step", "steps", "message")}
    return told | {"model": read_json(job / "config.json")["model"]["name"]}


def _attend(house: House, job: Path) -> None:
    """Wait for the child, and let the queue know at once."""
    while _alive(job):
        time.sleep(LOOK_SECONDS)
    with suppress(StorageUnavailable):  # closed, or full: whoever asks next takes it up
        _settle(house, job)


def _settle(house: House, job: Path) -> None:
    """Scores of a child that is done hold from now on; the texts that it has read go."""
    with house.store.lock:
        config, status = (read_json(job / f"{name}.json") for name in ("config", "status"))
        if not (config and status and status["state"] == "done"):
            return
        number, model = config["project"], config["model"]["name"]
        file = job.with_suffix(".parquet")
        scores.note(house.store, config["actor"], number, model, file, status["scored"])
        projects.change(house.store, config["actor"], number, ordered=True)
        shutil.rmtree(job)
    house.queue.refresh(number)
