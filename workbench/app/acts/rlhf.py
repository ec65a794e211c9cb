"""The three stages of RLHF as one path: what each has learnt from, what came of it, what to do next; and its rounds.

Nothing of it is stored: a stage is the newest run of its method, a round is a run of PPO with its reward models.
Source: Ouyang et al. 2022, arXiv:2203.02155, section 3.1. Leaves out what a run is (`training`).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from workbench.app.acts.act import act
from workbench.app.acts.compare import generate
from workbench.app.acts.training import counted, preset_of, readiness, train
from workbench.app.house import House
from workbench.errors import NotFound, UsageError
from workbench.generation.request import Sampling
from workbench.jobs import models
from workbench.jobs.folder import END_STATES, read_json
from workbench.jobs.models import Model
from workbench.store import runs as rows
from workbench.store import snapshots as frozen
from workbench.store.projects import Project
from workbench.store.snapshots import Snapshot
from workbench.training.hparams import make
from workbench.training.methods import METHODS

Stage = Literal["sft", "rm", "ppo"]
STAGES: tuple[Stage, ...] = ("sft", "rm", "ppo")
TITLE = "RLHF"  # of runs that were started here: other runs of PPO are trials, no rounds
SCORE, KL = "eval_objective/scores", "objective/kl"
Run = dict[str, Any]
Made = dict[str, list[Run]]  # the runs of each stage, oldest first


@act("lead")
def rlhf(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """The state of every stage, the one that is due, and the rounds so far, oldest first.

    A stage tells `units` and `missing` (what it learns from), `start` and `rewards` (what it would start from), `run`
    (its newest run with state and result) and `next`: what to do about it.
    """
    found, usable = house.project(project), _usable(house)
    made = _made(house, found, usable)
    stages = {stage: _stage(house, found, stage, made, usable) for stage in STAGES}
    return {"stages": stages, "due": due(stages), "rounds": [_round(house, run, made["rm"]) for run in made["ppo"]]}


@act("lead")
def rlhf_running(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """The stage that runs or waits its turn, and how far it is; nothing when none does."""
    found = house.project(project)
    for stage in STAGES:
        for number in _numbers(house, found, stage)[-1:]:
            status = house.runs.status(number)
            if status["state"] not in END_STATES:
                return {"stage": stage, **{name: status.get(name) for name in ("state", "step", "steps", "eta_s")}}
    return {"stage": None}


@act("lead")
def rlhf_start(
    house: House,
    actor: str,
    *,
    project: int | str,
    stage: Stage,
    model: str | None = None,
    rewards: list[str] | None = None,
    hparams: dict[str, Any] = {},
) -> dict[str, Any]:
    """Start a stage from what the stages before it have made, or from another model.

    PPO stays near the model that its first round started from, the SFT model as a rule.
    """
    found, usable = house.project(project), _usable(house)
    made = _made(house, found, usable)
    start = model or _start(stage, made, usable)
    if start is None:
        raise UsageError("there is no model to start from: add one (workbench models add), or name it (--model)")
    asked: dict[str, Any] = {"method": stage, "model": start, "hparams": hparams}
    if stage == "ppo":
        root = _root(start, made["ppo"])
        asked |= {"rewards": _rewards(made) if rewards is None else rewards}
        asked |= {"reference": root if root != start else None}
    return train(house, actor, project=found.id, **asked, title=TITLE)


@act("lead")
def rlhf_answers(
    house: House, actor: str, *, project: int | str, prompts: int | None = None, per_prompt: int = 2, seed: int = 0
) -> dict[str, Any]:
    """Let the newest policy answer the project's prompts: new pairs for annotators, for the next reward model."""
    found = house.project(project)
    newest = _last_done(_made(house, found, _usable(house))["ppo"])
    if newest is None:
        raise UsageError("there is no policy trained by PPO yet: finish stage 3 first")
    sampling = Sampling(temperature=1.0, seed=seed + newest["run"])
    asked = {"models": [newest["model"]], "prompts": prompts, "per_prompt": per_prompt, "sampling": sampling}
    return generate(house, actor, project=found.id, **asked) | {"model": newest["model"]}


def due(stages: dict[str, dict[str, Any]]) -> Stage | None:
    """The first stage that should run now; None while one runs, or while the labels have nothing new to say.

    Demonstrations may be left out; new comparisons ask for a new reward model, and a new reward model for PPO.
    """
    if any(stage["next"] == "wait" for stage in stages.values()):
        return None
    return next((name for name in STAGES if stages[name]["next"] in ("start", "again")), None)


def _stage(house: House, project: Project, stage: Stage, made: Made, usable: dict[str, Model]) -> dict[str, Any]:
    start, entry = _start(stage, made, usable), METHODS[stage]
    told = {"start": start, "rewards": _rewards(made) if stage == "ppo" else []}
    told |= {"run": made[stage][-1] if made[stage] else None}
    told["model"] = done["model"] if (done := _last_done(made[stage])) else None
    if start is None:
        return told | {"units": 0, "missing": 0, "next": "model"}
    counts = counted(frozen.tally(house.store, project.id), entry)
    checked = make(entry.hparams, preset_of(entry, usable[start], counts["train"], {}))
    ready = readiness(entry, checked, counts, project, judged=bool(told["rewards"]))
    return told | {"units": ready["units"], "missing": ready["missing"], "next": _next(stage, ready, made)}


def _next(stage: Stage, ready: dict[str, Any], made: Made) -> str:
    """What to do about a stage: `wait`, label or write `more`, get `rewards`, `start`, `again`, or nothing: `done`."""
    newest, last = made[stage][-1] if made[stage] else None, _last_done(made[stage])
    if newest and newest["state"] not in END_STATES:
        return "wait"
    if ready["needs"]:
        return "done" if last else ready["needs"]
    if last is None:
        return "start"
    if stage == "rm" and ready["units"] > last["units"]:
        return "again"
    if stage == "ppo" and (judge := _last_done(made["rm"])) and judge["run"] > last["run"]:
        return "again"
    return "done"


def _usable(house: House) -> dict[str, Model]:
    return {model.name: model for model in models.all(house.home) if not model.reason}


def _made(house: House, project: Project, usable: dict[str, Model]) -> Made:
    return {stage: [_run(house, n, usable) for n in _numbers(house, project, stage)] for stage in STAGES}


def _numbers(house: House, project: Project, stage: Stage) -> list[int]:
    known = set(house.runs.numbers())
    listed = [row for row in rows.all(house.store, project.id) if row["method"] == stage and row["id"] in known]
    return [row["id"] for row in listed if stage != "ppo" or row["title"] == TITLE]


def _run(house: House, number: int, usable: dict[str, Model]) -> Run:
    """A run with its state, its model if that can be used, what it learnt from and what came of it."""
    config, status, folder = house.runs.config(number), house.runs.status(number), house.runs.folder(number)
    name = f"run-{number}"
    return {
        "run": number,
        **{key: status.get(key) for key in ("state", "step", "steps", "message")},
        "start": config.model,
        "model": name if status["state"] == "done" and name in usable else None,
        "rewards": [judge.name for judge in config.judges],
        "units": _units(house.home / "snapshots" / config.snapshot, config.method),
        "result": read_json(folder / "out" / "workbench.json", {}).get("metrics", {}),
    }


def _units(snapshot: Path, stage: Stage) -> int:
    """How many rows a snapshot has for a stage."""
    manifest = snapshot / "manifest.json"
    return _counted(snapshot, stage) if manifest.exists() else 0


@lru_cache(256)
def _counted(snapshot: Path, stage: Stage) -> int:
    """A snapshot never changes."""
    manifest = read_json(snapshot / "manifest.json")
    read = Snapshot(manifest["hash"], snapshot, manifest["rows"], manifest)
    tally = counted(frozen.read_tally(read), METHODS[stage])
    return tally["train"] + tally["test"]


def _round(house: House, run: Run, judges: list[Run]) -> dict[str, Any]:
    """One round: which reward model, how good it was, what PPO won by it and how far it went."""
    judge = next((made for made in judges if f"run-{made['run']}" in run["rewards"]), None)
    return {
        **{key: run[key] for key in ("run", "state", "step", "steps", "message", "start", "rewards")},
        "accuracy": judge["result"].get("eval_accuracy") if judge else None,
        "comparisons": judge["units"] if judge else None,
        "before": _first_score(house, run["run"]),
        "after": run["result"].get(SCORE),
        "kl": run["result"].get(KL),
    }


def _first_score(house: House, number: int) -> float | None:
    try:
        return next((line[SCORE] for line in house.runs.metrics(number) if SCORE in line), None)
    except NotFound:
        return None


def _last_done(made: list[Run]) -> Run | None:
    return next((run for run in reversed(made) if run["model"]), None)


def _root(start: str, rounds: list[Run]) -> str:
    """The model that the first of these rounds started from."""
    came = {run["model"]: run["start"] for run in rounds if run["model"]}
    while start in came:
        start = came[start]
    return start


def _start(stage: Stage, made: Made, usable: dict[str, Model]) -> str | None:
    """SFT starts from a base; the reward model and PPO from the newest SFT model, later rounds from the last policy."""
    before = {"sft": (), "rm": ("sft",), "ppo": ("sft", "ppo")}[stage]
    found = [last for name in before if (last := _last_done(made[name]))]
    if found:
        return max(found, key=lambda run: run["run"])["model"]
    bases = (name for name, model in usable.items() if model.kind == "causal" and model.method is None)
    return next(bases, None)


def _rewards(made: Made) -> list[str]:
    last = _last_done(made["rm"])
    return [last["model"]] if last else []
