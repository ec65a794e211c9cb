"""The child that trains one run: reads its folder, leaves metrics, states, samples, checkpoints and the model there.

`python -m workbench.training.worker FOLDER [--resume]`; `accelerate launch -m` and `torchrun -m` start several of them.
Leaves out the steps themselves (`loop`).
"""

import argparse
import errno
import gc
import shutil
import traceback
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from workbench.errors import EngineError, WorkbenchError
from workbench.jobs.folder import Reporter, read_json
from workbench.training import checkpoint
from workbench.training.actors import load_actors
from workbench.training.cache import TokenCache
from workbench.training.data import Stops, stops, with_template
from workbench.training.export import save_trained, tell_metrics
from workbench.training.hparams import Place, RunConfig, make
from workbench.training.knobs import PPO, Training
from workbench.training.loop import Diverged, Loop
from workbench.training.methods import METHODS
from workbench.training.model import length_limit, load, load_plain
from workbench.training.objectives import objective
from workbench.training.policy import Kind, Policy
from workbench.training.ppo import Trainer
from workbench.training.prompts import prompts
from workbench.training.reference import reference_cache, with_reference
from workbench.training.room import Room
from workbench.training.samples import chosen_prompts, keep, sample
from workbench.training.scale import score_scale
from workbench.training.snapshot import files, read
from workbench.training.team import Team
from workbench.training.units import Prepared, prepare

LOCK_SECONDS = 10
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the quota of the user, the limit of the process


def run(folder: Path, reporter: Reporter, team: Team, *, resume: bool) -> tuple[str, str | None]:
    """Train the run of `folder`; its end state and a sentence about it."""
    config = RunConfig.model_validate(read_json(folder / "config.json"))
    hparams: Training = make(METHODS[config.method].hparams, config.hparams)
    if METHODS[config.method].draws:
        return _drawing(config, hparams, folder, reporter, team, resume=resume)
    policy = start_model(config, hparams)
    reporter.status(engine=policy.layout_name, engine_reason=policy.why_padded)
    cache = folder.parent.parent / "cache"
    data, stop = _data(config, hparams, policy, folder, cache / "tokens")
    reporter.status(left_out=data.dropped.total(), cut=data.cut)
    loop = _loop(config, hparams, policy, data, reporter, cache / "reference", team)
    if not (resume and _continued(loop, folder)) and team.first:
        _start_over(folder)
    reporter.status("running", step=loop.step, steps=loop.plan.steps)
    alone = team.size == 1  # a model that is spread over processes does not write
    prompts = chosen_prompts(data.prompts) if policy.kind == "causal" and alone else []
    if loop.step == 0:
        _write_samples(folder, policy, prompts, stop, 0, config.seed)
    if wish := loop.run():
        return "stopped", "stopped; resume goes on from here" if wish == "save_and_stop" else "stopped"
    _write_samples(folder, policy, prompts, stop, loop.final["step"], config.seed)
    if team.first:
        result = policy if alone else _of_checkpoint(config, hparams, loop)
        save_trained(result, config, stop, folder / "out", loop.final)
        if result.kind == "reward":
            loop.optimizer.state.clear()  # makes room for the model that speaks
            tell_metrics(folder / "out", _scale(config, result, data, stop))
    return "done", None


def _drawing(
    config: RunConfig, hparams: PPO, folder: Path, reporter: Reporter, team: Team, *, resume: bool
) -> tuple[str, str | None]:
    """The same for a method that learns from answers of its own, which reward models score."""
    if team.size > 1:
        raise EngineError(f"{config.method} runs in one process: start it without accelerate launch or torchrun")
    start = Place(name=config.model, path=config.model_path, base_path=config.base_path)
    actors = load_actors(start, config.judges, hparams, config.reference)
    policy = actors.policy
    reporter.status(engine=policy.layout_name, engine_reason=policy.why_padded)
    rows = read(Path(config.snapshot_path), config.method)
    _give_template(policy, rows)
    stop = _stops(policy)
    read_alike = [actors.reference] if actors.reference else []
    read_alike += [judge.model for judge in actors.judges if not judge.as_text]
    limit = min(map(length_limit, [policy, actors.value, *read_alike]))
    vocabulary = policy.plain().get_input_embeddings().weight.shape[0]
    asked = prompts(rows, hparams, policy.tokenizer, limit=limit, vocabulary=vocabulary, out=folder)
    reporter.status(left_out=asked.dropped.total(), cut=0)
    trainer = Trainer(actors, asked.train, asked.test, stop, hparams, reporter)
    if not (resume and _continued(trainer, folder)):
        _start_over(folder)
    reporter.status("running", step=trainer.step, steps=trainer.steps)
    if wish := trainer.run():
        return "stopped", "stopped; resume goes on from here" if wish == "save_and_stop" else "stopped"
    save_trained(policy, config, stop, folder / "out", trainer.last)
    return "done", trainer.tripped


def start_model(config: RunConfig, hparams: Training) -> Policy:
    kind: Kind = "reward" if config.method == "rm" else "causal"
    return load(Path(config.model_path), kind, hparams, base_path(config))


def _scale(config: RunConfig, policy: Policy, data: Prepared, stop: Stops) -> dict[str, Any]:
    """Where the scores that a reward model gives its start model's answers lie; nothing where memory is short."""
    try:
        start = load_plain(Path(config.model_path), "causal", policy.precision, base_path(config)).to(policy.device)
        speaker = Policy(start, policy.tokenizer, "causal", policy.precision)
        return score_scale(policy, speaker, data.prompts, stop, config.seed)
    except torch.OutOfMemoryError:
        print("no room to measure where the scores lie: they are shown as they are", flush=True)
        return {}


def base_path(config: RunConfig) -> Path | None:
    return Path(config.base_path) if config.base_path else None


def _of_checkpoint(config: RunConfig, hparams: Training, loop: Loop) -> Policy:
    """The trained model in one piece, from the checkpoint that a team has written last."""
    policy = start_model(config, hparams)
    checkpoint.put(loop.result(), policy.model)
    return policy


def _data(config: RunConfig, hparams: Training, policy: Policy, folder: Path, cache: Path) -> tuple[Prepared, Stops]:
    snapshot = Path(config.snapshot_path)
    rows = read(snapshot, config.method)
    gc.freeze()  # they stay to the end: a hundred thousand objects that need not be looked at again and again
    _give_template(policy, rows)
    stop = _stops(policy)
    data = prepare(
        config.method,
        hparams,
        rows,
        policy.tokenizer,
        stop,
        limit=length_limit(policy),
        out=folder,
        vocabulary=policy.plain().get_input_embeddings().weight.shape[0],
        cache=TokenCache.of(cache, files(snapshot, config.method), policy.tokenizer, stop, hparams.empty),
    )
    print(
        f"{len(data.train)} units to train on, {len(data.test)} to test, at most {data.max_length} tokens; "
        f"dropped {dict(data.dropped)}, cut {data.cut}, shifted boundaries {data.shifted}",
        flush=True,
    )
    return data, stop


def _give_template(policy: Policy, rows: list[dict[str, Any]]) -> None:
    if any(row["form"] == "chat" for row in rows) and with_template(policy.tokenizer):
        print("the tokenizer has no chat template: turns are written as `role: text`", flush=True)


def _stops(policy: Policy) -> Stops:
    generation = getattr(policy.plain(), "generation_config", None)
    return stops(policy.tokenizer, getattr(generation, "eos_token_id", None))


def _loop(
    config: RunConfig,
    hparams: Training,
    policy: Policy,
    data: Prepared,
    reporter: Reporter,
    cache: Path,
    team: Team,
) -> Loop:
    """The loop, with rows planned and the reference measured while the policy still is the start model."""
    room = Room(policy, data, hparams, team)
    if METHODS[config.method].reference:
        known = reference_cache(cache, Path(config.model_path), policy, base_path(config))
        units = with_reference(policy, [*data.train, *data.test], known, team)
        data = replace(data, train=units[: len(data.train)], test=units[len(data.train) :])
    return Loop(objective(config.method, hparams, policy, data.train, team), data, hparams, reporter, room)


def _continued(loop: Loop | Trainer, folder: Path) -> bool:
    path = checkpoint.newest(folder / "checkpoints")
    if path:
        loop.resume(path)
    return path is not None


def _start_over(folder: Path) -> None:
    """Forget what an earlier attempt left behind."""
    for name in ("metrics.jsonl", "samples.jsonl"):
        (folder / name).write_bytes(b"")
    for name in ("checkpoints", "eval_rows", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _write_samples(folder: Path, policy: Policy, prompts: list[Any], stop: Stops, step: int, seed: int) -> None:
    if prompts:
        keep(folder, step, sample(policy, prompts, stop, seed))


def ended(error: BaseException) -> tuple[str, str]:
    """The end state an error means, and what to tell the user."""
    if isinstance(error, Diverged):
        return "diverged", str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "out_of_memory", "not enough memory: lower max_length, choose tuning = lora, or a smaller model"
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return "disk_full", "the disk is full: free some space, then resume"
    if isinstance(error, WorkbenchError):
        return "failed", error.message
    return "failed", f"{type(error).__name__}: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="FOLDER")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.run / "config.json").exists():
        parser.error(f"{arguments.run} is not the folder of a run: it has no config.json")
    if not arguments.resume and any((arguments.run / name).exists() for name in ("checkpoints", "out")):
        parser.error(f"{arguments.run} holds a model or checkpoints already: add --resume to go on from there")
    team = Team()
    try:
        with FileLock(arguments.run / "run.lock", timeout=LOCK_SECONDS) if team.first else nullcontext():
            state = attempt(arguments.run, team, resume=arguments.resume)
    except Timeout:
        raise SystemExit(f"{arguments.run} is in use by another process") from None
    finally:
        team.close()
    if state not in ("done", "stopped"):
        raise SystemExit(1)  # of a team too, so that the launcher ends the others


def attempt(folder: Path, team: Team | None = None, *, resume: bool) -> str:
    """One attempt from start to end state; whatever happens, status.json says so. Returns the state."""
    team = team or Team()
    reporter = Reporter(folder) if team.first else Silent(folder)
    reporter.status("starting", message=None)
    try:
        state, message = run(folder, reporter, team, resume=resume)
    except Exception as error:
        if not team.first:
            raise
        state, message = ended(error)
        print(message, flush=True) if isinstance(error, WorkbenchError) else traceback.print_exc()
    reporter.status(state, message=message, eta_s=None)
    return state


class Silent(Reporter):
    """For the others of a team: the first one writes."""

    def status(self, state: str | None = None, **fields: Any) -> None:
        pass

    def metric(self, line: dict[str, Any], **fields: Any) -> None:
        pass


if __name__ == "__main__":
    main()
