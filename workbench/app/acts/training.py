"""Acts on training runs: what a run would need, start, look, stop, resume."""

import math
import shutil
from typing import Any, Literal

from workbench.app.acts.act import act
from workbench.app.acts.cost import cost
from workbench.app.acts.data import data, snapshot, units_of
from workbench.app.house import House
from workbench.errors import HomeUnusable, ModelError, UsageError
from workbench.jobs import models
from workbench.jobs.folder import read_json, read_lines
from workbench.jobs.models import Model
from workbench.schema import split_of
from workbench.store import items, judgements
from workbench.store import runs as rows
from workbench.store import snapshots as frozen
from workbench.store.projects import Project
from workbench.training.hparams import RunConfig, knobs, make
from workbench.training.methods import METHODS, Method, preset

FREE_BYTES = 1 << 30
MOST_HELD_OUT = 0.2  # of the labels may lie on the test side, and training needs one full step
LOG_BYTES = 20_000
Tuning = Literal["full", "lora"]


@act("lead")
def plan(
    house: House,
    actor: str,
    *,
    project: int | str,
    method: str,
    model: str,
    tuning: Tuning | None = None,
    hparams: dict[str, Any] = {},
) -> dict[str, Any]:
    """What the Train form shows before a start: how many units there are, what is missing, the preset, the cost.

    The cost is that of the preset with `hparams` over it; None while there is nothing to train on.
    """
    found, entry, base = house.project(project), _method(method), models.get(house.home, model)
    votes = judgements.current(house.store, found.id)
    counts = units_of(votes)
    units = counts[entry.data]
    values = preset(method, tuning=tuning or hparams.get("tuning"), parameters=base.parameters, units=units)
    checked = vars(make(entry.hparams, values | hparams))
    missing = max(0, _least(checked) - units)
    train = units_of(_trained_on(house, found, votes))[entry.data]
    voted = sorted({vote["item"] for vote in votes})
    return {
        "method": method,
        "units": units,
        "missing": missing,
        "needs": "more" if missing else "thumbs_both" if _one_sided(entry, counts) else None,
        "preset": values,
        "cost": cost(house, entry, base, checked, voted, train) if train else None,
        "knobs": [vars(k) | {"type": k.type.__name__} for k in knobs(entry.hparams)],
    }


@act("lead")
def train(
    house: House,
    actor: str,
    *,
    project: int | str,
    method: str,
    model: str,
    hparams: dict[str, Any] = {},
    title: str | None = None,
    snapshot_hash: str | None = None,
) -> dict[str, Any]:
    """Freeze a snapshot, write the run's folder, queue its child. Returns the run's number."""
    found, entry, base = house.project(project), _method(method), _startable(models.get(house.home, model))
    _check_space(house, base)
    made = frozen.get(house.store, found.id, snapshot_hash or snapshot(house, actor, project=found.id)["hash"])
    units = made.rows.get(entry.data, 0)
    tuning = hparams.get("tuning")
    values = preset(method, tuning=tuning, parameters=base.parameters, units=units) | hparams
    checked = make(entry.hparams, values)
    if missing := max(0, _least(vars(checked)) - units):
        raise UsageError(f"{entry.title} needs {entry.data}: there are {units}, label at least {missing} more")
    if _one_sided(entry, data(house, actor, project=found.id)["units"]):
        raise UsageError(f"{entry.title} needs good and bad answers: all labels so far are of one kind")
    payload = {"project": found.id, "method": method, "model": model, "snapshot": made.hash, "title": title}
    number = rows.create(house.store, actor, payload)
    house.runs.create(
        RunConfig(
            run=number,
            project=found.id,
            method=method,
            hparams=vars(checked),
            model=model,
            model_path=base.path,
            snapshot=made.hash,
            snapshot_path=str(made.folder),
            seed=checked.seed,
        )
    )
    return {"run": number, "snapshot": made.hash, "hparams": vars(checked)}


@act("lead")
def runs(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    found, known = house.project(project), set(house.runs.numbers())
    listed = [row for row in rows.all(house.store, found.id) if row["id"] in known]
    return {"runs": [row | {"status": house.runs.status(row["id"])} for row in reversed(listed)]}


@act("lead")
def run(house: House, actor: str, *, number: int) -> dict[str, Any]:
    """One run whole: configuration, state, at most about 300 metric lines, samples, the end of its log."""
    folder = house.runs.folder(number)
    log = folder / "log.txt"
    return {
        "run": number,
        "config": house.runs.config(number).model_dump(mode="json"),
        "status": house.runs.status(number),
        "metrics": house.runs.metrics(number),
        "samples": read_lines(folder / "samples.jsonl")[0],
        "result": read_json(folder / "out" / "workbench.json"),
        "log": log.read_bytes()[-LOG_BYTES:].decode(errors="replace") if log.exists() else "",
    }


@act("lead")
def run_stop(house: House, actor: str, *, number: int, save: bool = True) -> dict[str, Any]:
    house.runs.stop(number, save=save)
    return {"run": number, "status": house.runs.status(number)}


@act("lead")
def run_resume(house: House, actor: str, *, number: int) -> dict[str, Any]:
    house.runs.resume(number)
    return {"run": number, "status": house.runs.status(number)}


def _method(name: str) -> Method:
    if name not in METHODS:
        raise UsageError(f"no method {name!r}; one of {', '.join(METHODS)}")
    return METHODS[name]


def _startable(model: Model) -> Model:
    if model.kind == "reward":
        raise ModelError(f"{model.name} is a reward model: it scores answers and cannot be trained to give them")
    return model


def _one_sided(entry: Method, counts: dict[str, int]) -> bool:
    return entry.data == "thumbs" and min(counts["true"], counts["false"]) == 0


def _least(values: dict[str, Any]) -> int:
    """Labels that leave enough for one step even when as many as may be are held out."""
    return math.ceil(values["units_per_step"] / (1 - MOST_HELD_OUT))


def _trained_on(house: House, project: Project, votes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Votes on items of the training side."""
    groups = {row.id: row.group_id for row in items.iter_ids(house.store, project.id)}
    return [v for v in votes if v["item"] in groups and split_of(groups[v["item"]], project.eval_share) == "train"]


def _check_space(house: House, model: Model) -> None:
    """Room for the kept checkpoints, two spare ones (weights and optimiser, 12 bytes a parameter) and 1 GB."""
    needed = 5 * 12 * model.parameters + FREE_BYTES
    free = shutil.disk_usage(house.home).free
    if free < needed:
        raise HomeUnusable(f"{house.home} has {free >> 20} MB free; this run needs {needed >> 20} MB: free some space")
