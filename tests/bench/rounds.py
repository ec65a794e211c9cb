"""The order of measurement: engines in turn, each cell its own process, again while the figures are too far apart.

Leaves out what a cell does (`cell`) and what the figures say (`report`).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.cell import Case, asked
from tests.bench.shapes import SHAPES
from workbench.training.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
FUSED_HEAD = {"dpo", "kto", "sft"}  # the TRL trainers whose head can leave out prompts and padding
SPREAD, MORE = 0.15, 3
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

Raw = dict[str, Any]


def engines(method: str, *, gpu: bool) -> list[str]:
    """Who runs this method. On CUDA the fused head leaves prompts out anyway."""
    return ["ours", "trl", "trl_patched"] if method in FUSED_HEAD and not gpu else ["ours", "trl"]


def cases(methods: Sequence[str], shapes: Sequence[str], batches: Sequence[str], base: Case) -> list[Case]:
    """Every combination that means something: only the reward model has K-way groups."""
    return [
        replace(base, method=method, shape=shape, batches=cut, k=k)
        for method in methods
        for shape in shapes
        for cut in batches
        for k in (SHAPES[shape].ks if method == "rm" else (2,) if METHODS[method].data == "pairs" else (1,))
    ]


def measured(run: Callable[[str], Raw], names: Sequence[str], repeats: int) -> dict[str, list[Raw]]:
    """A B C A B C ..., then up to three rounds more while an engine's seconds spread too far."""
    found: dict[str, list[Raw]] = {name: [] for name in names}
    for turn in range(repeats + MORE):
        if turn >= repeats and not any(noisy(raws, repeats) for raws in found.values()):
            break
        for name in names:
            found[name].append(run(name))
    return found


def per_step(raw: Raw) -> float:
    return statistics.fmean(raw["seconds"])


def noisy(raws: Sequence[Raw], repeats: int) -> bool:
    return spread([per_step(raw) for raw in raws], repeats) > SPREAD


def spread(values: Sequence[float], repeats: int) -> float:
    """Range over median of the `repeats` values that lie closest together, so that more rounds can settle a cell."""
    line = sorted(values)
    windows = [line[i : i + repeats] for i in range(len(line) - repeats + 1)]
    return min((w[-1] - w[0]) / statistics.median(w) for w in windows)


def in_process(case: Case, engine: str, models: Path, threads: int) -> Raw:
    """One cell. What it prints is shown only when it fails."""
    count = str(threads)
    env = os.environ | QUIET | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OMP_WAIT_POLICY": "PASSIVE"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "tests.bench.cell", asked(case, engine, models, threads), str(result)]
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{engine} on {case} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return json.loads(result.read_text())
