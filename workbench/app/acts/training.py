"""Acts on training runs: what a run would need, start, look, stop, resume."""

import math
import shutil
from collections import Counter
from typing import Any, Literal

from workbench.app.acts.act import act
from workbench.app.acts.cost import cost, shape_of
from workbench.app.acts.data import snapshot
from workbench.app.house import House
from workbench.errors import HomeUnusable, ModelError, UsageError
from workbench.evaluation import reward_report
from workbench.jobs import models
from workbench.jobs.folder import END_STATES, read_json, read_lines
from workbench.jobs.models import Model
from workbench.store import items
from workbench.store import runs as rows
from workbench.store import snapshots as frozen
from workbench.store.projects import Project
from workbench.training.hparams import JudgeAt, Place, RunConfig, make
from workbench.training.knobs import Common, Preference
from workbench.training.methods import METHODS, Method, preset

FREE_BYTES = 1 << 30
CHECKPOINTS = 5
LOG_BYTES = 20_000
Tuning = Literal["full", "lora", "qlora"]


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
    rewards: list[str] = [],
) -> dict[str, Any]:
    """What the Train form shows before a start: how many units there are, what is missing, the preset, the cost.

    The cost is that of the preset with `hparams` over it; None while there is nothing to train on.
    """
    found, entry, base = house.project(project), _method(method), models.get(house.home, model)
    counts = counted(frozen.tally(house.store, found.id), entry)
    values = preset_of(entry, base, counts["train"], {"tuning": tuning} if tuning else hparams)
    checked, judges = make(entry.hparams, values | hparams), _judges(house, entry, rewards)
    texts = [row.id for row in items.iter_ids(house.store, found.id) if row.n_candidates or entry.draws]
    return {
        "method": method,
        **readiness(entry, checked, counts, found, judged=any(judge.weight for judge in judges)),
        "preset": values,
        "sureness": frozen.sureness(house.store, found.id) if isinstance(checked, Preference) else None,
        "cost": cost(house, entry, base, vars(checked), texts, counts["train"]) if counts["train"] else None,
    }


def readiness(
    entry: Method, checked: Common, counts: Counter[str], project: Project, *, judged: bool
) -> dict[str, Any]:
    """How many units there are, how many labels are missing, and what a start still needs, if anything."""
    missing = _missing(entry, checked, counts, project)
    needs = "more" if missing else "thumbs_both" if _one_sided(entry, checked, counts) else None
    if needs is None and entry.draws and not judged:
        needs = "rewards"
    return {"units": counts["train"] + counts["test"], "missing": missing, "needs": needs}


@act("lead")
def train(
    house: House,
    actor: str,
    *,
    project: int | str,
    method: str,
    model: str,
    hparams: dict[str, Any] = {},
    rewards: list[str] = [],
    reference: str | None = None,
    title: str | None = None,
    snapshot_hash: str | None = None,
) -> dict[str, Any]:
    """Freeze a snapshot, write the run's folder, queue its child. Returns the run's number.

    rewards     of a method that draws its answers: reward models by name, `NAME=WEIGHT` for other weights than 1;
                one of weight 0 only watches
    reference   what the policy is held near, where that is not the start model
    """
    found, entry, base = house.project(project), _method(method), _startable(models.get(house.home, model))
    judges = _judges(house, entry, rewards)
    held = _startable(models.get(house.home, reference)) if reference else None
    if entry.draws and not any(judge.weight for judge in judges):
        why = "all of those named have weight 0 and only watch" if judges else "train one, and name it (--reward MODEL)"
        raise UsageError(f"{entry.title} needs a reward model: {why}")
    if held and not entry.draws:
        raise UsageError(f"{entry.title} has its start model as reference, no other can be named")
    made = frozen.get(house.store, found.id, snapshot_hash or snapshot(house, actor, project=found.id)["hash"])
    counts = counted(frozen.read_tally(made), entry)
    checked = make(entry.hparams, preset_of(entry, base, counts["train"], hparams) | hparams)
    _check_space(house, entry, base, checked)
    if missing := _missing(entry, checked, counts, found):
        there = f"{counts['train']} to train on and {counts['test']} held out"
        add = "import" if entry.draws else "label"
        raise UsageError(f"{entry.title} needs {entry.data}: there are {there}, {add} at least {missing} more")
    if _one_sided(entry, checked, counts):
        raise UsageError(
            f"{entry.title} needs good and bad answers, all labels so far are of one kind: "
            "label some of the other, or set allow = D08"
        )
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
            base_path=base.base_path,
            snapshot=made.hash,
            snapshot_path=str(made.folder),
            judges=judges,
            reference=Place(**_place(held)) if held else None,
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
    """One run whole: configuration, state, at most about 300 metric lines, samples, the end of its log.

    `report` says how far to trust a reward model that is done; None for any other run.
    """
    folder, config, status = house.runs.folder(number), house.runs.config(number), house.runs.status(number)
    log, scored = folder / "log.txt", config.method == "rm" and status["state"] == "done"
    return {
        "run": number,
        "config": config.model_dump(mode="json"),
        "status": status,
        "metrics": house.runs.metrics(number),
        "samples": read_lines(folder / "samples.jsonl")[0],
        "result": read_json(folder / "out" / "workbench.json"),
        "report": reward_report.of_run(folder) if scored else None,
        "log": log.read_bytes()[-LOG_BYTES:].decode(errors="replace") if log.exists() else "",
    }


@act("lead")
def run_stop(house: House, actor: str, *, number: int, save: bool = True) -> dict[str, Any]:
    if (state := house.runs.status(number)["state"]) in END_STATES:
        raise UsageError(f"run {number} is {state}: there is nothing to stop")
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


def _judges(house: House, entry: Method, rewards: list[str]) -> list[JudgeAt]:
    """Reward models from `NAME` or `NAME=WEIGHT`."""
    if rewards and not entry.draws:
        raise UsageError(f"{entry.title} learns from {entry.data}: it takes no reward models")
    found = []
    for text in rewards:
        name, weighed, weight = text.partition("=")
        model = models.get(house.home, name)
        if model.kind != "reward":
            raise ModelError(f"{name} is no reward model: it does not score answers")
        try:
            found.append(JudgeAt(**_place(model), weight=float(weight if weighed else 1)))
        except ValueError:
            raise UsageError(f"reward model {text!r}: the weight must be a number from 0 on") from None
    if len({judge.name for judge in found}) < len(found):
        raise UsageError("each reward model can be named once")
    return found


def _place(model: Model) -> dict[str, Any]:
    return {"name": model.name, "path": model.path, "base_path": model.base_path}


def counted(tally: dict[str, Counter[str]], entry: Method) -> Counter[str]:
    return tally.get("comparisons" if entry.name == "rm" else entry.data, Counter())


def preset_of(entry: Method, base: Model, units: int, hparams: dict[str, Any]) -> dict[str, Any]:
    tuning = hparams.get("tuning")
    if tuning is not None:
        make(entry.hparams, {"tuning": tuning})
    return preset(entry.name, tuning=tuning, parameters=base.parameters, units=units)


def _one_sided(entry: Method, checked: Common, counts: Counter[str]) -> bool:
    return entry.data == "thumbs" and "D08" not in checked.allow and not (counts["true"] and counts["false"])


def _missing(entry: Method, checked: Common, counts: Counter[str], project: Project) -> int:
    """Labels until the training side holds one step, or anything under D06; those to come go to both sides alike."""
    each = getattr(checked, "samples_per_prompt", 1)
    least = 1 if "D06" in checked.allow else math.ceil(getattr(checked, entry.batch) / each)
    return math.ceil(max(0, least - counts["train"]) / (1 - project.eval_share))


def _check_space(house: House, entry: Method, model: Model, checked: Common) -> None:
    """Room for the kept checkpoints and two spare ones (12 bytes for each trained weight), the result, and 1 GB."""
    trained = model.parameters
    if checked.tuning != "full":
        trained = checked.lora_r * shape_of(model).adapted
    trained *= 2 if entry.draws else 1  # the value model learns too
    needed = CHECKPOINTS * 12 * trained + 4 * trained + FREE_BYTES
    free = shutil.disk_usage(house.home).free
    if free < needed:
        raise HomeUnusable(f"{house.home} has {free >> 20} MB free; this run needs {needed >> 20} MB: free some space")
