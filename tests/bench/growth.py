"""How the cost of a token grows with the length of its row: forward and backward of one row of many short pairs.

Leaves out the optimiser, and rows that would need more memory than `MOST_MB`.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

from tests.bench.batches import LONGEST, prepared, text_rows
from tests.bench.meter import Meter, status_kb
from tests.bench.models import SIZES, save_start, tokenizer_of
from tests.bench.rounds import SPREAD, spread
from tests.bench.shapes import Shape, draw
from workbench.training.hparams import make
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.objectives import Objective, objective
from workbench.training.units import Unit

TOKENS = (1024, 4096, 16384, 65536)
MOST_MB = 8192
PAIR = Shape((150, 0.0), (60, 0.0))  # hh without its spread: else a long row holds longer pairs than a short one
METHOD = "simpo"  # pairs as DPO has them, without a reference to measure first
Row = list[Unit]


def measured(models: Path, repeats: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record whose speed is cost per token in the shortest row / in the longest, and every row's CPU us per token."""
    bound, pool = ready(models)
    cost(bound, row_of(pool, TOKENS[0]))
    each = cost(bound, row_of(pool, TOKENS[1]))["growth_mb"] / TOKENS[1]
    room = int((MOST_MB - status_kb("VmRSS") / 1024) / each)
    rows = {n: row_of(pool, n) for n in fitting(TOKENS, room)}
    found: dict[int, list[dict[str, float]]] = {n: [] for n in rows}
    for _ in range(repeats):
        for n, row in rows.items():
            found[n].append(cost(bound, row))
    middle = {n: statistics.median(one["us"] for one in raws) for n, raws in found.items()}
    first, last = middle[min(rows)], middle[max(rows)]
    made = dict.fromkeys(("speed_vs_patched", "memory_vs_best", "memory_vs_patched", "max_rel_loss_diff"))
    made |= {"method": "growth", "shape": "150+60", "size": "tiny", "mode": "full", "batches": "packed", "k": 2}
    made |= {"speed_vs_best": round(first / last, 3), "valid": True, "cpu_s": round(last / 1e6, 7)}
    made |= {"noisy": any(spread([one["us"] for one in raws], repeats) > SPREAD for raws in found.values())}
    made |= {"growth_mb": round(max(one["growth_mb"] for one in found[max(rows)]), 1)}
    made |= {"us_per_token": {str(n): round(us, 1) for n, us in middle.items()}}
    return made, {str(n): raws for n, raws in found.items()}


def fitting(sizes: tuple[int, ...], room: int) -> list[int]:
    """The sizes within `room`; in place of those beyond it the largest that is, in whole thousands."""
    kept = [n for n in sizes if n <= room]
    return kept if len(kept) == len(sizes) else [*kept, room // 1024 * 1024]


def ready(models: Path) -> tuple[Objective, Row]:
    """The objective, and enough pairs for the longest row."""
    torch.set_num_threads(1)
    start = save_start(models / "tiny", "tiny")
    hparams = make(METHODS[METHOD].hparams, {"max_length": LONGEST, "tuning": "full", "units_per_step": 2})
    policy = load(start, "causal", hparams)
    policy.tokenizer = tokenizer_of(start)
    groups = draw(PAIR, TOKENS[-1] // 200, 2, seed=0)
    rows = text_rows(METHOD, [groups], SIZES["tiny"].vocab_size)
    with tempfile.TemporaryDirectory() as out:
        data, _ = prepared(METHOD, hparams, rows, policy.tokenizer, Path(out))
    return objective(METHOD, hparams, policy, data.train), data.train


def row_of(pool: Row, tokens: int) -> Row:
    """The first pairs whose packed row has at least so many tokens."""
    row, held = [], 0
    for unit in pool:
        if held >= tokens:
            return row
        row.append(unit)
        held += len(unit.lines[0].prompt) + sum(len(line.answer) for line in unit.lines)
    raise AssertionError(f"{held} tokens are fewer than {tokens}")


def cost(bound: Objective, row: Row) -> dict[str, float]:
    """CPU microseconds per computed token, and how far memory rose."""
    policy, meter = bound.policy, Meter()
    policy.zero_grad()
    policy.computed = 0
    meter.begin()
    bound.part(row, bound.step(row)).loss.backward()
    meter.mark()
    [seconds] = meter.seconds()
    return {"us": seconds / policy.computed * 1e6, "tokens": policy.computed, "growth_mb": meter.growth_mb(())}
