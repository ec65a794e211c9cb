"""Scores of a reward model for the comparisons of a project: what it reads, the file it leaves, and the event of them.

Leaves out scoring (`training.scoring`) and what is asked first because of it (`labelling.ordering`).
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import UsageError
from workbench.jobs.folder import sha256
from workbench.jobs.models import Model, made_of
from workbench.schema import CONTROL, Event, Json, split_hash
from workbench.store import snapshots
from workbench.store.db import Store, uid
from workbench.store.items import COUNTS
from workbench.store.projects import OVERALL, Project
from workbench.store.rows import Connection

AT_ONCE = 2000
FOLDS = 5
COMPARED = f"""SELECT id, key, group_id, form, prompt, candidates FROM items
    WHERE project = ? AND n_candidates > 1 AND {COUNTS} ORDER BY id"""  # noqa: S608 constants
# The share of votes for candidate 0, a tie half; a lead's word outweighs all others.
SAID = """WITH votes AS (SELECT c.item, c.purpose = 'adjudication' AS decided,
        CASE c.payload ->> 'choice' WHEN '0' THEN 1.0 WHEN '1' THEN 0.0 WHEN 'tie' THEN 0.5 END AS first
    FROM current c JOIN items i ON c.item = i.id WHERE i.project = ? AND c.axis = ? AND c.kind = 'pair'
        AND c.purpose IN ('label', 'overlap', 'tiebreak', 'import', 'adjudication'))
    SELECT item, coalesce(avg(first) FILTER (decided), avg(first)) FROM votes WHERE first IS NOT NULL GROUP BY item"""
TAKEN = "kind = 'scores' AND (payload ->> 'project')::INTEGER = ?"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """What a reward model says of the comparisons of a project, one entry for each item that it could read, by number.

    gap       how far apart the best and the worst answer are
    p_first   chance that candidate 0 of a pair is better, by a model that has not learnt from its label: sigmoid(r_0 -
              r_1), else what a probe on its base says that was fitted without it; nan of more candidates, and where
              nobody can tell. What a model was taught it repeats
    control   the item belongs to the control arm
    """

    model: str
    item: np.ndarray
    gap: np.ndarray
    p_first: np.ndarray
    control: np.ndarray


def write_items(store: Store, project: Project, model: Model, path: Path) -> int:
    """What the child reads: every comparison that is not held out for tests. How many they are."""
    learnt, counted = learnt_from(store.home, model), 0
    with store.cursor() as cur, pq.ParquetWriter(path, SCHEMA) as file:
        shares = said(cur, project.id)
        for batch in cur.sql(COMPARED, params=[project.id]).to_arrow_reader(AT_ONCE):
            part = _wanted(pa.table(batch), project, learnt, shares)
            file.write_table(part)
            counted += part.num_rows
    if not counted:
        raise UsageError(f"project {project.name} has no pairs or rankings to order: import or generate some")
    return counted


SCHEMA = pa.schema(
    [
        ("item", pa.int64()),
        ("form", pa.string()),
        ("prompt", pa.string()),
        ("candidates", pa.string()),
        ("control", pa.bool_()),
        ("unseen", pa.bool_()),
        ("said", pa.float32()),
        ("fold", pa.int8()),
    ]
)


def _wanted(batch: pa.Table, project: Project, learnt: set[str] | None, shares: dict[int, float]) -> pa.Table:
    groups = batch["group_id"].to_pylist()
    places = np.array([split_hash(group) for group in groups], np.int64)
    unseen = [learnt is not None and key not in learnt for key in batch["key"].to_pylist()]
    columns = {name: batch[name] for name in ("form", "prompt", "candidates")}
    columns |= {"item": batch["id"], "control": pa.array(places < CONTROL), "unseen": pa.array(unseen, pa.bool_())}
    columns["said"] = pa.array([shares.get(item) for item in batch["id"].to_pylist()], pa.float32())
    columns["fold"] = pa.array([split_hash(group, seed=1) % FOLDS for group in groups], pa.int8())
    return pa.table(columns).select(SCHEMA.names).cast(SCHEMA).filter(pa.array(places >= 10_000 * project.eval_share))


def said(cur: Connection, project: int, axis: str = OVERALL) -> dict[int, float]:
    """Of each pair that somebody judged, the share of votes for candidate 0. Both bad says nothing of which."""
    return dict(cur.execute(SAID, [project, axis]).fetchall())


def learnt_from(home: Path, model: Model) -> set[str] | None:
    """Keys of the items from whose labels a reward model has learnt; None when its snapshot is gone and nobody knows.

    A model from elsewhere names no snapshot: it has learnt from no label of this house.
    """
    named = made_of(Path(model.path), model.name).snapshot
    if named is None:
        return set()
    folder = home / "snapshots" / named[: snapshots.NAME]
    if not folder.is_dir():
        return None
    return {key for name in ("pairs", "rankings") for key in _trained(folder / f"{name}.parquet")}


def _trained(path: Path) -> list[str]:
    if not path.exists():
        return []
    return pq.read_table(path, columns=["item_key"], filters=[("split", "=", "train")])["item_key"].to_pylist()


def note(store: Store, actor: str, project: int, model: str, file: Path, items: int) -> None:
    """From now on these scores hold for the project."""
    payload = {"project": project, "model": model, "file": str(file.relative_to(store.home)), "items": items}
    store.append(Event(uid(), actor, "scores", payload | {"sha256": sha256(file)}))


def noted(store: Store, project: int) -> dict[str, Json] | None:
    """The newest `scores` event of a project; None where no model was asked yet."""
    return next(iter(store.latest("events", TAKEN, project)[-1:]), None)


def latest(store: Store, project: int) -> Scores | None:
    """The scores that hold, in one reading; None where there are none, or their file is gone or changed."""
    told = noted(store, project)
    if told is None:
        return None
    path = store.home / told["file"]
    if not path.exists() or sha256(path) != told["sha256"]:
        log.error("%s is gone or changed: project %s goes on in the order of the control arm", path, project)
        return None
    return read(path, told["model"])


def read(path: Path, model: str) -> Scores:
    """The file as arrays. Of a million items in a fraction of a second."""
    table = pq.read_table(path).combine_chunks()
    item, control, unseen = (table[name].to_numpy() for name in ("item", "control", "unseen"))
    if not len(item):
        return Scores(model, item, *(np.array([], kind) for kind in (np.float32, np.float32)), control)
    lists = table["scores"].combine_chunks()
    values, sizes = lists.flatten().to_numpy(), pc.list_value_length(lists).to_numpy()
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    gap = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    ahead = values[starts] - values[starts + 1]
    p_first = np.where(sizes == 2, 1 / (1 + np.exp(-ahead)), np.nan)
    crossed = table["crossed"].to_numpy() if "crossed" in table.column_names else np.nan  # older files have none
    return Scores(model, item, gap, np.where(unseen, p_first, crossed), control)
