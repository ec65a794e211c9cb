"""The child that lets a reward model score answers: python -m workbench.training.scoring --job FOLDER

FOLDER/config.json names the model's folder, `base` and `items` (a Parquet file beside it); the scores go to
FOLDER.parquet, at once and whole. Leaves out which items are asked and what becomes of the scores (`store.scores`).
"""

from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from workbench.errors import EngineError
from workbench.jobs.folder import Reporter, child, read_json, sync
from workbench.training.comparisons import dealt, frozen
from workbench.training.policy import Policy
from workbench.training.probe import crossed, differences

AT_ONCE = 256
MOST = 20_000  # labels that a probe learns from: their hidden states are in memory at once
FLAGS = ("item", "control", "unseen")
SCHEMA = pa.schema(
    [
        ("item", pa.int64()),
        ("scores", pa.list_(pa.float32())),
        ("control", pa.bool_()),
        ("unseen", pa.bool_()),
        ("crossed", pa.float32()),
    ]
)


def main() -> None:
    child(score, __doc__)


def score(folder: Path, report: Reporter) -> bool:
    """Score all items; False when somebody asked to stop. What cannot be read whole by the model has no score."""
    config = read_json(folder / "config.json")
    items, out = pq.ParquetFile(folder / config["items"]), folder.with_suffix(".parquet")
    opinion = second_opinion(items, config.get("base"), report)
    if opinion is None:
        return False
    judge = frozen(config["model"], "reward")
    part, read, known = out.with_suffix(".part"), 0, 0
    report.status("running", steps=items.metadata.num_rows)
    with items, pq.ParquetWriter(part, SCHEMA) as file:
        for batch in items.iter_batches(AT_ONCE):
            if report.stop_requested():
                part.unlink()
                return False
            rows = told(judge, batch.to_pylist(), config["model"]["name"], opinion)
            scored = sorted(rows, key=lambda row: row["item"])
            file.write_table(pa.Table.from_pylist(scored, SCHEMA))
            read, known = read + batch.num_rows, known + len(scored)
            report.metric({"step": read}, step=read, scored=known)
    sync(part)
    part.replace(out)
    sync(out.parent)
    return True


@torch.no_grad()
def told(judge: Policy, rows: list[dict[str, Any]], name: str, opinion: dict[int, float]) -> Iterator[dict[str, Any]]:
    """The rows whose answers could all be read, with a score for each."""
    for part in dealt(judge, rows):
        scores = judge([line for _, lines in part for line in lines]).float()
        if not torch.isfinite(scores).all():
            raise EngineError(f"reward model {name} gives a score that is not a number: train it anew")
        bounds = accumulate((len(lines) for _, lines in part), initial=0)
        for (row, _), (begin, end) in zip(part, pairwise(bounds), strict=True):
            kept = {key: row[key] for key in FLAGS} | {"crossed": opinion.get(row["item"])}
            yield kept | {"scores": scores[begin:end].tolist()}


def second_opinion(items: pq.ParquetFile, base: dict[str, Any] | None, report: Reporter) -> dict[int, float] | None:
    """Chance that answer 0 is better, of each pair whose label the reward model has learnt: by a probe that has not.

    base    the model that the reward model came from and that no label has formed; without one there is no opinion

    None when somebody asked to stop.
    """
    labels = items.read(["said", "unseen"])
    if base is None or labels["unseen"].to_numpy().all():
        return {}
    report.status("running", steps=min(MOST, len(labels) - labels["said"].null_count))
    model, known, states = frozen(base, base["kind"]), [], []
    for batch in items.iter_batches(AT_ONCE):
        if report.stop_requested():
            return None
        rows = {row["item"]: row for row in batch.to_pylist() if row["said"] is not None}
        for item, difference in differences(model, list(rows.values())):
            known.append(rows[item])
            states.append(difference)
        report.metric({"step": len(known)}, step=len(known))
        if len(known) >= MOST:
            break
    return by_the_others(known, states)


def by_the_others(known: list[dict[str, Any]], states: list[torch.Tensor]) -> dict[int, float]:
    """What a probe that has learnt from the other folds says of each label that is not `unseen`."""
    if not known:
        return {}
    said, fold = (torch.tensor([row[name] for row in known]) for name in ("said", "fold"))
    found = crossed(torch.stack(states), said, fold)
    if found is None:
        return {}
    return {row["item"]: p for row, p in zip(known, found.tolist(), strict=True) if not row["unseen"]}


if __name__ == "__main__":
    main()
