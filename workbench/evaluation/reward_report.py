"""How far to trust a reward model: its held-out scores against the annotators' order. Leaves out how it was trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from workbench.evaluation.ratings import share
from workbench.jobs.folder import read_json
from workbench.training.units import placed

BINS, BARS = 10, 20
FIGURES = ("accuracy_length_matched", "length_corr", "ece")  # measured by the run itself
Floats = np.ndarray


@dataclass(frozen=True)
class Compared:
    """Held-out comparisons, each of an answer and one that annotators put strictly below it.

    chosen, rejected   scores, (N,)
    level              how much better chosen was called: 1 slightly, 2, 3 much; 0 where nobody said, (N,)
    """

    chosen: Floats
    rejected: Floats
    level: Floats

    @property
    def margins(self) -> Floats:
        return self.chosen - self.rejected


def of_run(folder: Path) -> dict[str, Any] | None:
    """The report of a finished run of a reward model; None when it held nothing out or its files are gone."""
    try:
        return _of_run(folder, (folder / "out" / "workbench.json").stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@lru_cache(32)
def _of_run(folder: Path, written: int) -> dict[str, Any] | None:
    """A run page asks every few seconds, and a finished run does not change: `written` tells it from another."""
    line = read_json(folder / "out" / "workbench.json")["metrics"]
    return report(read(folder, line["step"]), line)


def report(compared: Compared, line: dict[str, Any]) -> dict[str, Any] | None:
    """Everything as plain values; `line` is what the run logged at that step. None without a comparison."""
    if not len(compared.chosen):
        return None
    right = compared.margins > 0
    shift, scale = line.get("score_shift", 0.0), line.get("score_scale", 1.0)
    return {
        "step": line["step"],
        "accuracy": interval(right),
        **{name: line.get(f"eval_{name}") for name in FIGURES},
        "strength": by_strength(right, compared.level),
        "calibration": reliability(compared.margins),
        "scores": histogram((compared.chosen - shift) / scale, (compared.rejected - shift) / scale),
    }


def interval(right: Floats) -> dict[str, Any]:
    """Share of comparisons that are right, with its 95 % Wilson interval.

    Comparisons count as independent; those of one ranking share answers, so theirs is a little too narrow.
    """
    value, low, high = share(int(right.sum()), len(right))
    return {"value": value, "low": low, "high": high, "n": len(right)}


def by_strength(right: Floats, level: Floats) -> list[dict[str, Any]]:
    """`interval` for each level of strength that occurs, the strongest first; level None where nobody said."""
    return [{"level": int(at) or None, **interval(right[level == at])} for at in sorted(set(level), reverse=True)]


def reliability(margins: Floats, bins: int = BINS) -> list[dict[str, Any]]:
    """Confidence sigmoid(|margin|) against the share that is right, in bins of equal count.

    confidence is in [0.5, 1]. Of a calibrated model 70 % of the comparisons with confidence 0.7 are right.
    Source: Guo et al. 2017, arXiv:1706.04599, Sec. 2, with equal counts in place of equal widths.
    """
    confidence = 1 / (1 + np.exp(-np.abs(margins)))
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [
        {"confidence": float(confidence[p].mean()), "right": float((margins[p] > 0).mean()), "n": len(p)} for p in parts
    ]


def histogram(chosen: Floats, rejected: Floats, bars: int = BARS) -> list[dict[str, Any]]:
    """How many chosen and rejected scores fall in each of `bars` common bins of equal width, lowest first."""
    edges = np.histogram_bin_edges(np.concatenate([chosen, rejected]), bars)
    counts = (np.histogram(side, edges)[0].tolist() for side in (chosen, rejected))
    bounds = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [
        {"low": low, "high": high, "chosen": good, "rejected": bad}
        for (low, high), good, bad in zip(bounds, *counts, strict=True)
    ]


def read(folder: Path, step: int) -> Compared:
    """The comparisons that a run has evaluated at `step`, in the order and strength its snapshot says."""
    config = read_json(folder / "config.json")
    rows = pq.read_table(folder / "eval_rows" / f"{step:06d}.parquet").to_pylist()
    labels = labelled(snapshot_of(folder, config), [row["id"] for row in rows], config["hparams"].get("empty", ""))
    found = [
        (better, worse, level)
        for row in rows
        if row["id"] in labels
        for places, level in [labels[row["id"]]]
        for better, worse in ordered([row[f"answer_{i}"] for i in range(len(places))], places)
    ]
    return Compared(*np.array(found, dtype=float).reshape(-1, 3).T)


def snapshot_of(folder: Path, config: dict[str, Any]) -> Path:
    """Where the snapshot of a run lies: in its home, which may have moved, or where it lay at the start."""
    lay = Path(config["snapshot_path"])
    here = folder.parents[1] / "snapshots" / lay.name
    return here if here.is_dir() else lay


def labelled(snapshot: Path, ids: Sequence[str], empty: str) -> dict[str, tuple[tuple[int, ...], int]]:
    """For each row the places of its answers, best first and equal where tied, and the level of its strength."""
    pairs = _rows(snapshot / "pairs.parquet", ids, ["id", "tie", "strength"])
    rankings = _rows(snapshot / "rankings.parquet", ids, ["id", "tiers", "candidates"])
    found = {row["id"]: ((0, 0 if row["tie"] else 1), level(row["strength"])) for row in pairs}
    return found | {row["id"]: (tuple(placed(row, empty)["places"]), 0) for row in rankings}


def level(strength: float | None) -> int:
    """The nearest of the levels 1 to 3; strengths between them are means of several votes. 0: nobody said."""
    return 0 if strength is None else min(max(int(abs(strength) + 0.5), 1), 3)


def ordered(scores: Sequence[float | None], places: Sequence[int]) -> Iterator[tuple[float, float]]:
    """Scores of every two answers of which one was strictly placed above the other; not of a tie."""
    for i, j in combinations(range(len(places)), 2):
        if places[i] < places[j] and scores[i] is not None and scores[j] is not None:
            yield scores[i], scores[j]


def _rows(path: Path, ids: Sequence[str], columns: list[str]) -> list[dict[str, Any]]:
    """A snapshot may lack a file, but is not without both."""
    if not path.exists() and path.parent.is_dir():
        return []
    return pq.read_table(path, columns=columns, filters=[("id", "in", ids)]).to_pylist()
