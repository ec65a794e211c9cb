"""How fast answers are drawn: our rollouts beside `generate()`, one prompt at a time and all prompts in one batch.

Tokens per CPU second, stop tokens counted. Leaves out what is learnt from the answers (`plain_ppo`).
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.bench.models import save_start
from tests.bench.shapes import SHAPES, draw
from workbench.generation.request import Sampling
from workbench.settings import DEMO
from workbench.training.data import Row, Stops
from workbench.training.hparams import make
from workbench.training.knobs import PPO
from workbench.training.model import load
from workbench.training.policy import Policy
from workbench.training.rollout import Asked, roll_out

PROMPTS, NEW_TOKENS, TEMPERATURE = 64, 128, 0.7
STOP_EVERY = 60  # ids, so that near-uniform chances make answers of about so many tokens, and some that are cut
Raw = dict[str, Any]
Engine = Callable[[Policy, Sequence[Asked], Stops, int], int]


def measured(models: Path, repeats: int, mode: str) -> list[tuple[Raw, dict[str, list[Raw]]]]:
    """A record for each model; speed is our tokens per second over those of `generate()`, batched and one by one."""
    tiny = save_start(models / "tiny", "tiny")
    return [compared(name, folder, repeats, mode) for name, folder in (("tiny", tiny), ("demo", DEMO / "model"))]


def compared(name: str, folder: Path, repeats: int, mode: str) -> tuple[Raw, dict[str, list[Raw]]]:
    """Engines in turn, other random numbers each time."""
    policy = load(folder, "causal", make(PPO, {"tuning": mode}))
    stop = Stops(frozenset(range(STOP_EVERY, policy.plain().config.vocab_size, STOP_EVERY)), STOP_EVERY)
    asked = prompts(policy.plain().config)
    found: dict[str, list[Raw]] = {engine: [] for engine in ENGINES}
    for say in ENGINES.values():
        say(policy, asked[:2], stop, 0)  # what happens only once is not timed
    for seed in range(repeats):
        for engine, say in ENGINES.items():
            began = time.process_time()
            tokens = say(policy, asked, stop, seed)
            found[engine].append({"tokens": tokens, "seconds": time.process_time() - began})
    return record(name, mode, found), found


def record(name: str, mode: str, found: dict[str, list[Raw]]) -> Raw:
    rate = {engine: statistics.median(raw["tokens"] / raw["seconds"] for raw in raws) for engine, raws in found.items()}
    made = dict.fromkeys(("speed_vs_patched", "memory_vs_best", "memory_vs_patched", "max_rel_loss_diff", "growth_mb"))
    made |= {"method": "rollouts", "shape": "hh", "size": name, "mode": mode, "batches": "random", "k": 1}
    made |= {"speed_vs_best": round(rate["ours"] / rate["batched"], 3), "valid": True, "noisy": False}
    made |= {"speed_vs_one_by_one": round(rate["ours"] / rate["one_by_one"], 3)}
    made |= {"cpu_s": round(statistics.median(raw["seconds"] for raw in found["ours"]), 4)}
    return made | {f"tokens_per_second_{engine}": round(value) for engine, value in rate.items()}


def prompts(config: Any) -> list[Asked]:
    """Random tokens in the lengths of chat prompts, as far as the model reads."""
    rng = np.random.default_rng(0)
    most = config.max_position_embeddings - NEW_TOKENS
    lengths = [min(group.prompt, most) for group in draw(SHAPES["hh"], PROMPTS, 1, seed=0)]
    return [
        Asked(Row(str(i), "text", [], ()), rng.integers(3, config.vocab_size, n, dtype=np.int32))
        for i, n in enumerate(lengths)
    ]


def ours(policy: Policy, asked: Sequence[Asked], stop: Stops, seed: int) -> int:
    sampling = Sampling(temperature=TEMPERATURE, max_new_tokens=NEW_TOKENS)
    return sum(len(e.line.answer) for e in roll_out(policy, asked, stop, sampling, str(seed)))


def one_by_one(policy: Policy, asked: Sequence[Asked], stop: Stops, seed: int) -> int:
    return sum(batched(policy, [one], stop, seed + i) for i, one in enumerate(asked))


def batched(policy: Policy, asked: Sequence[Asked], stop: Stops, seed: int) -> int:
    """`generate()` over one left-padded batch; counts tokens up to the first stop token."""
    width = max(len(one.ids) for one in asked)
    ids, mask = (torch.zeros(len(asked), width, dtype=torch.long, device=policy.device) for _ in range(2))
    for i, one in enumerate(asked):
        ids[i, width - len(one.ids) :] = torch.from_numpy(one.ids)
        mask[i, width - len(one.ids) :] = 1
    torch.manual_seed(seed)
    with policy.stock(), torch.inference_mode():
        made = policy.model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            top_p=1.0,
            max_new_tokens=NEW_TOKENS,
            eos_token_id=sorted(stop.ids),
            pad_token_id=0,
        )
    ended = torch.isin(made[:, width:].cpu(), torch.tensor(sorted(stop.ids)))
    before = ended.cumsum(1) - ended.long() == 0
    return int(before.sum())


ENGINES: dict[str, Engine] = {"ours": ours, "one_by_one": one_by_one, "batched": batched}
