"""What the measurements say: one record per case, and the tables for people. Leaves out how they were made."""

import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.cell import Case
from tests.bench.rounds import ROOT, Raw, noisy, per_step

TOLERANCE = {"cpu": 1e-4, "gpu": 2e-2}  # of losses, in float32 and in bfloat16
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")
TITLES = ["shape, batches", "s/step: TRL / patched / ours", "vs TRL", "vs patched"]
TITLES += ["growth MB: TRL / patched / ours", "memory vs TRL", "vs patched", "loss difference", ""]


def record(case: Case, found: dict[str, list[Raw]], repeats: int) -> dict[str, Any]:
    """The ratios of a case. Speed is peer / ours in seconds, memory ours / peer in growth; None without a peer."""
    time, growth = ({name: middle(raws, key) for name, raws in found.items()} for key in ("seconds", "growth_mb"))
    apart = loss_difference(found)
    device = "cpu" if found["ours"][0]["device"] == "cpu" else "gpu"
    return {
        "method": case.method,
        "shape": case.shape,
        "size": case.size,
        "mode": case.mode,
        "batches": case.batches,
        "k": case.k,
        "speed_vs_best": ratio(time["trl"], time["ours"]),
        "speed_vs_patched": ratio(time.get("trl_patched"), time["ours"]),
        "memory_vs_best": ratio(growth["ours"], growth["trl"]),
        "memory_vs_patched": ratio(growth["ours"], growth.get("trl_patched")),
        "max_rel_loss_diff": apart if math.isfinite(apart) else None,
        "valid": apart <= TOLERANCE[device],
        "noisy": any(noisy(raws, repeats) for raws in found.values()),
        "cpu_s": round(time["ours"], 4),
        "growth_mb": round(growth["ours"], 1),
    }


def middle(raws: Sequence[Raw], key: str) -> float:
    """Median over repeats, of the mean step or of the growth."""
    return statistics.median(per_step(raw) if key == "seconds" else raw[key] for raw in raws)


def ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else round(above / below, 3)


def loss_difference(found: dict[str, list[Raw]]) -> float:
    """Largest |ours - peer| / max(1, |ours|) over steps, repeats and peers; infinite where a loss is missing."""
    worst = 0.0
    for raws in found.values():
        for mine, theirs in zip(found["ours"], raws, strict=True):
            if len(mine["losses"]) != len(theirs["losses"]):
                return float("inf")
            for a, b in zip(mine["losses"], theirs["losses"], strict=True):
                apart = abs(a - b) / max(1, abs(a))
                worst = max(worst, apart if math.isfinite(apart) else math.inf)
    return worst


def useful_rate(raws: Sequence[Raw]) -> float:
    """Useful FLOPs per second."""
    return statistics.median(sum(raw["useful_flops"]) / sum(raw["seconds"]) for raw in raws)


def circumstances(threads: int, device: str) -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device,
        "cpu": cpu_model(),
        "threads": threads,
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "commit": commit(),
    }


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"


def rendered(around: dict[str, Any], results: Sequence[tuple[dict[str, Any], dict[str, list[Raw]]]]) -> str:
    """The report as Markdown: where it ran, then one table per method, size and mode."""
    versions = ", ".join(f"{name} {number}" for name, number in around["versions"].items())
    out = [
        f"# Benchmark of {around['date']}",
        "",
        f"{around['device']}; CPU {around['cpu']}, {around['threads']} thread(s), load {around['load_average'][0]}; "
        f"{versions}; commit {around['commit']}.",
        "",
        "Seconds are CPU seconds (user and system) per step on a CPU, wall seconds on a GPU: medians, with the range "
        "in brackets. Memory is growth over the state before the first step. `patched` is TRL scoring completion "
        "tokens only, as it does on CUDA. A step is B pairs, groups, or 2B single answers; B is 4, for `long` 2.",
    ]
    titles: list[str] = []
    for made, found in results:
        if made["method"] in ALONE:
            title, sentence = ALONE[made["method"]](made)
            out += ["", f"## {title}", "", sentence]
            continue
        title = f"{made['method'].upper()}, {made['size']}, {made['mode']}"
        if title not in titles:
            titles.append(title)
            out += ["", f"## {title}", "", line(TITLES), line(["---"] * len(TITLES))]
        out.append(line(cells(made, found)))
    return "\n".join(out) + "\n"


def prepared(made: dict[str, Any]) -> tuple[str, str]:
    share = f"{made['speed_vs_best']:.0%} of the speed of the tokenizer alone ({made['size']})"
    return "Data", f"From text to the micro-batches of every step: {share}, {made['cpu_s']} CPU s."


def grown(made: dict[str, Any]) -> tuple[str, str]:
    told = ", ".join(f"{us:.0f} in a row of {int(tokens):,}" for tokens, us in made["us_per_token"].items())
    return "Growth", f"CPU microseconds per token of short pairs, forward and backward: {told} tokens."


def drawn(made: dict[str, Any]) -> tuple[str, str]:
    ours, batched, alone = (made[f"tokens_per_second_{who}"] for who in ("ours", "batched", "one_by_one"))
    said = f"{ours} tokens per CPU second, `generate()` {batched} in one batch and {alone} one by one."
    return f"Rollouts, {made['size']}, {made['mode']}", said


def iterated(made: dict[str, Any]) -> tuple[str, str]:
    said = f"{times(made['speed_vs_best'])} the speed of a plain loop, {times(made['memory_vs_best'])} its growth"
    return "PPO, tiny, full", f"One iteration in {made['cpu_s']} CPU s: {said}."


ALONE = {"data": prepared, "growth": grown, "rollouts": drawn, "ppo": iterated}  # a sentence each, no table


def line(columns: Sequence[str]) -> str:
    return "| " + " | ".join(columns) + " |"


def cells(made: dict[str, Any], found: dict[str, list[Raw]]) -> list[str]:
    """One row of a table."""
    order = [name for name in ("trl", "trl_patched", "ours") if name in found]
    grown = " / ".join(f"{middle(found[name], 'growth_mb'):.0f}" for name in order)
    remarks = [word for word, said in (("noisy", made["noisy"]), ("INVALID", not made["valid"])) if said]
    return [
        f"{made['shape']} {made['batches']}" + (f", K={made['k']}" if made["method"] == "rm" else ""),
        " / ".join(ranged([per_step(raw) for raw in found[name]]) for name in order),
        times(made["speed_vs_best"]),
        times(made["speed_vs_patched"]),
        grown,
        times(made["memory_vs_best"]),
        times(made["memory_vs_patched"]),
        "none" if made["max_rel_loss_diff"] is None else f"{made['max_rel_loss_diff']:.1e}",
        ", ".join(remarks),
    ]


def ranged(values: Sequence[float]) -> str:
    whole = f"{statistics.median(values):.2f}"
    return whole if len(values) == 1 else f"{whole} ({min(values):.2f}-{max(values):.2f})"


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"
