"""The child that measures what labels teach: python -m workbench.training.worth --job FOLDER

FOLDER/config.json names the model's folder, `items` (a Parquet file beside it) and `states`, a file that keeps what
the model thinks of a pair for the next time; FOLDER/result.json says what was found. Leaves out which pairs those are
(`store.worth`) and what the curve means (`labelling.worth`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from workbench.errors import EngineError
from workbench.jobs.folder import Reporter, child, read_json, write_json
from workbench.labelling.agreement import wilson
from workbench.labelling.worth import curve, subsets
from workbench.training.comparisons import frozen
from workbench.training.data import RULES
from workbench.training.probe import chance, differences, fit

AT_ONCE = 256
SEEDS = range(3)
States = dict[int, Tensor]


def main() -> None:
    child(measure, __doc__)


def measure(folder: Path, report: Reporter) -> bool:
    """False when somebody asked to stop. A pair that the model cannot read whole does not count."""
    config = read_json(folder / "config.json")
    pairs = pq.read_table(folder / config["items"])
    states = states_of(pairs.to_pylist(), config, report)
    if states is None:
        return False
    pairs = pairs.filter([item in states for item in pairs["item"].to_pylist()])
    x = torch.stack([states[item] for item in pairs["item"].to_pylist()]) if len(pairs) else torch.empty(0, 1)
    said, test = torch.tensor(pairs["said"].to_numpy()), pairs["test"].to_numpy()
    clear = test & (pairs["said"].to_numpy() != 0.5)
    if not clear.any() or test.all():
        raise EngineError("the model can read too few of these pairs: take one that reads longer texts")
    group = pairs["group"].to_numpy()[~test]
    points = learnt(x[~test], said[~test], group, x[clear], said[clear] > 0.5)
    n, error = (np.array([point[name] for point in points]) for name in ("n", "error"))
    tested = int(clear.sum())
    now = wilson(round(points[-1]["error"] * tested), tested)
    told = {"model": config["model"]["name"], "labels": int((~test).sum()), "now": now, "points": points}
    write_json(folder / "result.json", told | curve(n, error))
    return True


def learnt(x: Tensor, said: Tensor, group: np.ndarray, tested: Tensor, first: Tensor) -> list[dict[str, Any]]:
    """The errors of a probe by the number of labels that it has learnt from: one of each seed, and their mean.

    x, said         what it learns from
    tested, first   what it is tested on: whether candidate 0 is better
    """
    drawn = [subsets(group, seed) for seed in SEEDS]
    points = []
    for rows in zip(*drawn, strict=True):
        wrong = [((chance(tested, fit(x[own], said[own])) > 0.5) != first).float().mean().item() for own in rows]
        points.append(
            {"n": float(np.mean([len(own) for own in rows])), "errors": wrong, "error": float(np.mean(wrong))}
        )
    return points


def states_of(rows: list[dict[str, Any]], config: dict[str, Any], report: Reporter) -> States | None:
    """What the model thinks of each pair that it can read; asked only for those not kept from before."""
    path, name = Path(config["states"]), identity(config["model"])
    found = kept(path, name)
    left = [row for row in rows if row["item"] not in found]
    report.status("running", step=len(rows) - len(left), steps=len(rows))
    model = frozen(config["model"], "causal") if left else None
    for start in range(0, len(left), AT_ONCE):
        if report.stop_requested():
            return None
        found |= dict(differences(model, left[start : start + AT_ONCE]))
        step = len(rows) - len(left) + min(start + AT_ONCE, len(left))
        report.metric({"step": step}, step=step)
    wanted = {row["item"] for row in rows}
    found = {item: state for item, state in found.items() if item in wanted}
    if left and found:
        keep(path, name, found)
    return found


def identity(model: dict[str, Any]) -> str:
    """What changes when the weights do, or how texts are read."""
    folders = [Path(place) for place in (model["path"], model["base_path"]) if place]
    files = [file for folder in folders for file in sorted(folder.glob("*.safetensors"))]
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return json.dumps([RULES, facts])


def kept(path: Path, name: str) -> States:
    if not path.exists():
        return {}
    with safe_open(path, "pt") as file:
        if file.metadata() != {"model": name}:
            return {}
        return dict(zip(file.get_tensor("item").tolist(), file.get_tensor("state"), strict=True))


def keep(path: Path, name: str, states: States) -> None:
    """At once and whole; a power cut may take it, which costs only time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({"item": torch.tensor(list(states)), "state": torch.stack(list(states.values()))}, part, {"model": name})
    part.replace(path)


if __name__ == "__main__":
    main()
