"""One iteration of PPO, ours beside a plain padded loop: rollouts, judging, updates. Each cell is a process.

`python -m tests.bench.ppo ENGINE MODELS RESULT` measures one. Leaves out the plain loop itself (`plain_ppo`).
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.bench.meter import Meter
from tests.bench.models import save_start, save_tokenizer
from tests.bench.plain_ppo import Batch, Plain
from tests.bench.report import loss_difference, middle, ratio
from tests.bench.rollouts import NEW_TOKENS, PROMPTS, STOP_EVERY, TEMPERATURE, prompts
from tests.bench.rounds import QUIET, ROOT, noisy
from workbench.jobs.folder import Reporter
from workbench.training.actors import load_actors
from workbench.training.data import Line, Stops
from workbench.training.experience import Norm
from workbench.training.hparams import JudgeAt, Place, make
from workbench.training.knobs import PPO
from workbench.training.ppo import Trainer
from workbench.training.rollout import Asked, Episode

Raw = dict[str, Any]
KNOBS = {"tuning": "full", "learning_rate": 1e-5, "schedule": "constant", "warmup": 0.0, "weight_decay": 0.0}
KNOBS |= {"rollout_batch": PROMPTS, "ppo_epochs": 2, "num_mini_batches": 2, "score_norm": "none", "rollouts": 9}
KNOBS |= {"max_new_tokens": NEW_TOKENS, "temperature": TEMPERATURE}
EXAMPLES = 16  # fixed episodes whose losses must agree


def measured(models: Path, repeats: int, threads: int) -> tuple[Raw, dict[str, list[Raw]]]:
    """The record, and every repeat. Engines take turns."""
    found: dict[str, list[Raw]] = {"ours": [], "plain": []}
    save_reward(models)
    for _ in range(repeats):
        for engine, raws in found.items():
            raws.append(in_process(engine, models, threads))
    return record(found, repeats), found


def record(found: dict[str, list[Raw]], repeats: int) -> Raw:
    time, growth = ({who: middle(raws, key) for who, raws in found.items()} for key in ("seconds", "growth_mb"))
    apart = loss_difference(found)
    made = {"method": "ppo", "shape": "hh", "size": "tiny", "mode": "full", "batches": "random", "k": 1}
    made |= {"speed_vs_best": ratio(time["plain"], time["ours"]), "speed_vs_patched": None}
    made |= {"memory_vs_best": ratio(growth["ours"], growth["plain"]), "memory_vs_patched": None}
    made |= {"max_rel_loss_diff": apart if math.isfinite(apart) else None, "valid": apart <= 1e-4}
    made |= {"noisy": any(noisy(raws, repeats) for raws in found.values())}
    return made | {"cpu_s": round(time["ours"], 4), "growth_mb": round(growth["ours"], 1)}


def save_reward(models: Path) -> None:
    start, folder = save_start(models / "tiny", "tiny"), models / "tiny-reward"
    if not (folder / "tokenizer.json").exists():
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1)
        torch.nn.init.normal_(model.score.weight, std=0.06)
        model.save_pretrained(folder)
        save_tokenizer(folder, model.config.vocab_size)


def in_process(engine: str, models: Path, threads: int) -> Raw:
    count = str(threads)
    env = os.environ | QUIET | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OMP_WAIT_POLICY": "PASSIVE"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        subprocess.run([sys.executable, "-m", "tests.bench.ppo", engine, models, result], cwd=ROOT, env=env, check=True)
        return json.loads(result.read_text())


def ours(models: Path, out: Path) -> Raw:
    actors = load_actors(
        Place(name="tiny", path=str(models / "tiny")),
        [JudgeAt(name="reward", path=str(models / "tiny-reward"), weight=1.0)],
        make(PPO, KNOBS),
    )
    asked = prompts(actors.policy.plain().config)
    trainer = Trainer(actors, asked, [], stop_of(actors.policy.plain()), make(PPO, KNOBS), Reporter(out))
    trainer.norm = Norm([0.0], [1.0])
    meter, learn, losses = Meter(), trainer.learn, []

    def told(batch: Any) -> dict[str, float]:
        figures = learn(batch)
        losses.append(figures["loss/policy_avg"] + trainer.hparams.vf_coef * figures["loss/value_avg"])
        return figures

    trainer.learn = told
    trainer.update(trainer.judged(fixed(asked, trainer.stop)))
    kept = list(losses)
    meter.begin()
    shares = trainer.advance()
    meter.mark()
    parts = {name: share for name, share in shares.items() if name.startswith("time/")}
    return {"seconds": meter.seconds(), "growth_mb": meter.growth_mb([]), "losses": kept, "parts": parts}


def plain(models: Path, out: Path) -> Raw:
    policy, reference = (AutoModelForCausalLM.from_pretrained(models / "tiny") for _ in range(2))
    reward, value = (AutoModelForSequenceClassification.from_pretrained(models / "tiny-reward") for _ in range(2))
    torch.nn.init.zeros_(value.score.weight)
    stop, hparams = stop_of(policy), make(PPO, KNOBS)
    loop, meter = Plain(policy, reference, reward, value, hparams, sorted(stop.ids)), Meter()
    asked = prompts(policy.config)
    pairs = [(e.line.prompt.tolist(), e.line.answer.tolist()) for e in fixed(asked, stop)]
    kept, clock = iterated(loop, pairs, 0), Meter()
    meter.begin()
    clock.marks = [clock.now()]
    pairs = loop.drawn([one.ids.tolist() for one in asked])
    clock.mark()
    iterated(loop, pairs, 0)
    meter.mark()
    parts = {"time/rollout": clock.seconds()[0] / meter.seconds()[0]}
    return {"seconds": meter.seconds(), "growth_mb": meter.growth_mb([]), "losses": kept, "parts": parts}


def iterated(loop: Plain, pairs: list[Any], step: int) -> list[float]:
    """What is learnt from episodes, in the mini-batches of our loop."""
    batch, losses, hp = Batch.of(pairs), [], loop.hparams
    facts = loop.judged(batch)
    for passing in range(hp.ppo_epochs):
        order = np.random.default_rng([hp.seed, step, passing]).permutation(len(pairs))
        for part in np.array_split(order, hp.num_mini_batches):
            losses.append(loop.learn(batch[part], {name: x[part] for name, x in facts.items()}))
    return losses


def stop_of(model: Any) -> Stops:
    return Stops(frozenset(range(STOP_EVERY, model.config.vocab_size, STOP_EVERY)), STOP_EVERY)


def fixed(asked: list[Asked], stop: Stops) -> list[Episode]:
    """Episodes of random words, every other one cut."""
    drawn, made = np.random.default_rng(1), []
    for i, one in enumerate(asked[:EXAMPLES]):
        said = drawn.integers(1, STOP_EVERY, 5 + 3 * i, dtype=np.int32)
        said[-1] = stop.append if i % 2 else 1
        made.append(Episode(one, Line.of(one.ids, said), bool(i % 2), (0.0,)))
    return made


def main(engine: str, models: str, result: str) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with tempfile.TemporaryDirectory() as out:
        Path(result).write_text(json.dumps({"ours": ours, "plain": plain}[engine](Path(models), Path(out))))


if __name__ == "__main__":
    main(*sys.argv[1:])
