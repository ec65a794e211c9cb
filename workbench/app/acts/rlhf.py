"""The three stages of RLHF as one path: what each has learnt from, what came of it, what to do next; and its rounds.

Nothing of it is stored: a stage is the newest run of its method, a round is a run of PPO with its reward models.
Source: Ouyang et al. 2022, arXiv:2203.02155, section 3.1. Leaves out what a run is (`training`).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from workbench.app.acts.act import act
from workbench.app.acts.compare import generate
from workbench.app.acts.training import counted, plan, train
from workbench.app.house import House
from workbench.errors import NotFound, UsageError
from workbench.generation.request import Sampling
from workbench.jobs import models
from workbench.jobs.folder import END_STATES, read_json
from workbench.store import runs as rows
from workbench.store.snapshots import Snapshot, read_tally
from workbench.training.methods import METHODS

Stage = Literal["sft", "rm", "ppo"]
STAGES: tuple[Stage, ...] = ("sft", "rm", "ppo")
SUCCESS = "done"


@act("lead")
def rlhf(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """The state of every stage, the one that is due, and the rounds so far, oldest first.

    A stage tells `units` and `missing` (what it learns from), `start` and `rewards` (what it would start from), `run`
    (its newest run with state and result) and `next`: what to do about it.
    """
    found = house.project(project)
    made = {stage: _runs(house, found.id, stage) for stage in STAGES}
    stages = {stage: _stage(house, actor, found.id, stage, made) for stage in STAGES}
    return {"stages": stages, "due": due(stages), "rounds": [_round(house, run) for run in made["ppo"]]}


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
    """Start a stage from what the stages before it have made, or from another model; PPO stays near the SFT model."""
    found = house.project(project)
    made = {name: _runs(house, found.id, name) for name in STAGES}
    start = model or _start(house, stage, made)
    if start is None:
        raise UsageError("there is no model to start from: add one (workbench models add), or name it (--model)")
    asked: dict[str, Any] = {"method": stage, "model": start, "hparams": hparams}
    if stage == "ppo":
        ours = start in {run["model"] for run in (*made["sft"], *made["ppo"])}
        held = _first_policy(made) if ours else start
        asked |= {"rewards": _rewards(made) if rewards is None else rewards}
        asked |= {"reference": held if held != start else None}
    return train(house, actor, project=found.id, **asked, title="RLHF")


@act("lead")
def rlhf_answers(
    house: House, actor: str, *, project: int | str, prompts: int | None = None, per_prompt: int = 2, seed: int = 0
) -> dict[str, Any]:
    """Let the newest policy answer the project's prompts: new pairs for annotators, for the next reward model."""
    found = house.project(project)
    newest = _last_done(_runs(house, found.id, "ppo"))
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


def _stage(
    house: House, actor: str, project: int, stage: Stage, made: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    start, newest = _start(house, stage, made), made[stage][-1] if made[stage] else None
    told = {"start": start, "rewards": _rewards(made) if stage == "ppo" else [], "run": newest}
    told["model"] = done["model"] if (done := _last_done(made[stage])) else None
    if start is None:
        return told | {"units": 0, "missing": 0, "next": "model"}
    ready = plan(house, actor, project=project, method=stage, model=start, rewards=told["rewards"])
    told |= {name: ready[name] for name in ("units", "missing", "cost")}
    return told | {"next": _next(stage, ready, made)}


def _next(stage: Stage, ready: dict[str, Any], made: dict[str, list[dict[str, Any]]]) -> str:
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


def _runs(house: House, project: int, stage: Stage) -> list[dict[str, Any]]:
    """The runs of a stage, oldest first: state, model, what it learnt from, what came of it."""
    known = set(house.runs.numbers())
    listed = [row["id"] for row in rows.all(house.store, project) if row["method"] == stage and row["id"] in known]
    return [_run(house, number) for number in listed]


def _run(house: House, number: int) -> dict[str, Any]:
    config, status, folder = house.runs.config(number), house.runs.status(number), house.runs.folder(number)
    result = read_json(folder / "out" / "workbench.json", {}).get("metrics", {})
    return {
        "run": number,
        "state": status["state"],
        "step": status["step"],
        "steps": status["steps"],
        "message": status["message"],
        "start": config.model,
        "model": f"run-{number}" if status["state"] == SUCCESS else None,
        "rewards": [judge.name for judge in config.judges],
        "snapshot": config.snapshot,
        "units": _units(Path(config.snapshot_path), config.method),
        "result": result,
    }


@lru_cache(256)
def _units(snapshot: Path, stage: Stage) -> int:
    """How many rows a snapshot has for a stage; it never changes."""
    manifest = read_json(snapshot / "manifest.json", {})
    if not manifest:
        return 0
    tally = counted(read_tally(Snapshot(manifest["hash"], snapshot, manifest["rows"], manifest)), METHODS[stage])
    return tally["train"] + tally["test"]


def _round(house: House, run: dict[str, Any]) -> dict[str, Any]:
    """One round: which reward model, how good it was, what PPO won by it and how far it went."""
    first = next((line for line in house.runs.metrics(run["run"]) if "eval_objective/scores" in line), {})
    judges = [_judge(house, name) for name in run["rewards"]]
    return {
        "run": run["run"],
        "state": run["state"],
        "step": run["step"],
        "steps": run["steps"],
        "start": run["start"],
        "rewards": run["rewards"],
        "accuracy": judges[0]["accuracy"] if judges else None,
        "comparisons": judges[0]["units"] if judges else None,
        "before": first.get("eval_objective/scores"),
        "after": run["result"].get("eval_objective/scores"),
        "kl": run["result"].get("objective/kl"),
        "message": run["message"],
    }


def _judge(house: House, name: str) -> dict[str, Any]:
    number = models.RUN.fullmatch(name)
    try:
        made = _run(house, int(number[1])) if number else None
    except NotFound:
        made = None
    if made is None:
        return {"accuracy": None, "units": None}
    return {"accuracy": made["result"].get("eval_accuracy"), "units": made["units"]}


def _last_done(made: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((run for run in reversed(made) if run["model"]), None)


def _first_policy(made: dict[str, list[dict[str, Any]]]) -> str | None:
    """What PPO is held near: the SFT model, else what its first round started from."""
    if sft := _last_done(made["sft"]):
        return sft["model"]
    return made["ppo"][0]["start"] if made["ppo"] else None


def _start(house: House, stage: Stage, made: dict[str, list[dict[str, Any]]]) -> str | None:
    """SFT starts from a base; the reward model and PPO from the SFT model, PPO of later rounds from its last policy."""
    before = {"sft": (), "rm": ("sft",), "ppo": ("ppo", "sft")}[stage]
    for name in before:
        if last := _last_done(made[name]):
            return last["model"]
    usable = [m for m in models.all(house.home) if not m.reason and m.kind == "causal" and m.method is None]
    return usable[0].name if usable else None


def _rewards(made: dict[str, list[dict[str, Any]]]) -> list[str]:
    last = _last_done(made["rm"])
    return [last["model"]] if last else []
