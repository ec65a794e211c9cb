"""`python -m tests.bench`: how fast and lean our training loop is beside TRL's, on the same batches.

Ends with 1 when a loss differs from TRL's. Leaves out the measuring (`cell`) and the protocol's order (`rounds`).
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from tests.bench import data, growth, ppo, rollouts
from tests.bench.cell import Case
from tests.bench.models import SIZES
from tests.bench.report import circumstances, record, rendered, useful_rate
from tests.bench.rounds import ROOT, cases, engines, in_process, measured
from tests.bench.shapes import SHAPES

METHODS = ["dpo", "kto", "simpo", "cpo", "orpo", "rm", "sft"]
ALONE: dict[str, Any] = {  # what has no peer in TRL: from the folder of models and the options to results
    "data": lambda models, chosen: [data.measured(models, chosen.repeats)],
    "growth": lambda models, chosen: [growth.measured(models, chosen.repeats)],
    "rollouts": lambda models, chosen: rollouts.measured(models, chosen.repeats, chosen.mode),
    "ppo": lambda models, chosen: [ppo.measured(models, chosen.repeats, chosen.threads)],
}
QUICK = {"methods": ["dpo"], "shapes": ["hh"], "batches": ["grouped"], "repeats": 1, "steps": 2}


def one_of(known: list[str]) -> Any:
    """A comma-separated choice of known names."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [n for n in names if n not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return names

    return parse


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    out.add_argument("--methods", type=one_of([*METHODS, *ALONE]), default=METHODS, help="comma-separated")
    out.add_argument("--shapes", type=one_of(list(SHAPES)), default=list(SHAPES), help="comma-separated")
    out.add_argument("--batches", type=one_of(["random", "grouped"]), default=["random", "grouped"])
    out.add_argument("--size", choices=SIZES, default="tiny", help="0.5b and 7b need a GPU")
    out.add_argument("--mode", choices=["full", "lora"], default="full")
    out.add_argument("--repeats", type=int, default=3)
    out.add_argument("--steps", type=int, help="timed steps; default 3, on a GPU 30")
    out.add_argument("--threads", type=int, default=1)
    out.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder of report.md and report.json")
    out.add_argument("--json", type=Path, help="file for the records alone")
    out.add_argument("--quick", action="store_true", help="DPO, hh, grouped batches, one repeat")
    return out


def main(arguments: list[str]) -> int:
    chosen, gpu = parser().parse_args(arguments), torch.cuda.is_available()
    if chosen.quick:
        vars(chosen).update(QUICK)
    if SIZES[chosen.size].gpu and not gpu:
        print(f"size {chosen.size} needs a GPU; without one choose tiny or small", file=sys.stderr)
        return 2
    if chosen.size == "7b" and chosen.mode == "full":
        print("size 7b is trained with --mode lora", file=sys.stderr)
        return 2
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = against_trl(chosen, gpu=gpu)
    torch.set_num_threads(chosen.threads)
    for name in ALONE:
        results += ALONE[name](chosen.out / "models", chosen) if name in chosen.methods else []
    write(chosen, results, gpu=gpu)
    return 0 if all(made["valid"] for made, _ in results) else 1


def against_trl(chosen: argparse.Namespace, *, gpu: bool) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The record of every case, with all raw repeats."""
    base = Case("", "", chosen.size, chosen.mode, "", 2, chosen.steps or (30 if gpu else 3), 5 if gpu else 1)
    results = []
    for case in cases([m for m in chosen.methods if m not in ALONE], chosen.shapes, chosen.batches, base):
        found = measured(
            lambda engine, case=case: in_process(case, engine, chosen.out / "models", chosen.threads),
            engines(case.method, gpu=gpu),
            chosen.repeats,
        )
        results.append((record(case, found, chosen.repeats), found))
        print(json.dumps(results[-1][0]), flush=True)
    return results


def write(chosen: argparse.Namespace, results: list[tuple[dict[str, Any], dict[str, Any]]], *, gpu: bool) -> None:
    around = circumstances(chosen.threads, torch.cuda.get_device_name() if gpu else "CPU only")
    if gpu:
        around["gpu_check"] = checked(chosen.out / "gpu_check.json")
        around["useful_flops_per_second"] = [
            {name: useful_rate(raws) for name, raws in found.items()}
            for made, found in results
            if made["method"] not in ALONE
        ]
    records = [made for made, _ in results]
    whole = around | {"records": records, "raw": [found for _, found in results]}
    (chosen.out / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
    (chosen.out / "report.md").write_text(rendered(around, results))
    if chosen.json:
        chosen.json.write_text(json.dumps(records, indent=1) + "\n")
    print(f"\n{chosen.out / 'report.md'}")


def checked(path: Path) -> Any:
    """What `gpu_check` found on this machine."""
    subprocess.run([sys.executable, "-m", "tests.bench.gpu_check", "--json", str(path)], cwd=ROOT)
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
