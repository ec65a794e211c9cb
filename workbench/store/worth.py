"""What more labels would bring: the labelled pairs that a child learns from, and the event of what it has found.

Leaves out measuring (`training.worth`) and the curve (`labelling.worth`).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import UsageError
from workbench.schema import CONTROL, Event, Json, split_hash
from workbench.store import snapshots
from workbench.store.db import Store, uid
from workbench.store.items import COUNTS
from workbench.store.projects import Project
from workbench.store.scores import AT_ONCE, said

LEARNT, TESTED = 100, 50  # labelled pairs behind any curve
MOST = 20_000
# In the order of their keys, which are hashes: of more than are read, a fair sample.
PAIRS = f"""SELECT id AS item, form, prompt, candidates, group_id AS "group" FROM items
    WHERE project = ? AND n_candidates = 2 AND {COUNTS} AND id IN (SELECT unnest(?)) ORDER BY key LIMIT {MOST}"""  # noqa: S608 constants
FOUND = "kind = 'worth' AND (payload ->> 'project')::INTEGER = ? AND payload ->> 'axis' = ?"
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("form", "prompt", "candidates", "group")]
    + [("item", pa.int64()), ("said", pa.float32()), ("test", pa.bool_())]
)


def write_pairs(store: Store, project: Project, axis: str, path: Path) -> None:
    """Pairs with the share of votes for candidate 0; `test` are those of the control arm, which no model chose."""
    learnt = tested = 0
    with store.cursor() as cur, pq.ParquetWriter(path, SCHEMA) as file:
        shares = said(cur, project.id, axis)
        hidden, gold = snapshots.marked(cur, project.id)
        wanted = sorted(set(shares) - hidden - gold)
        for batch in cur.sql(PAIRS, params=[project.id, wanted]).to_arrow_reader(AT_ONCE):
            part = pa.table(batch)
            test = np.array([split_hash(group) < CONTROL for group in part["group"].to_pylist()], bool)
            first = pa.array([shares[item] for item in part["item"].to_pylist()], pa.float32())
            part = part.append_column("said", first).append_column("test", pa.array(test))
            file.write_table(part.select(SCHEMA.names).cast(SCHEMA))
            learnt, tested = learnt + int((~test).sum()), tested + int(test.sum())
    if learnt < LEARNT or tested < TESTED:
        raise UsageError(
            f"too few labelled pairs to measure: it needs {TESTED} in the control arm and {LEARNT} outside; "
            f"there are {tested} and {learnt}"
        )


def note(store: Store, actor: str, project: int, axis: str, result: dict[str, Any]) -> None:
    store.append(Event(uid(), actor, "worth", {"project": project, "axis": axis} | result))


def noted(store: Store, project: int, axis: str) -> dict[str, Json] | None:
    """What was found last; None where nobody has measured yet."""
    return next(iter(store.latest("events", FOUND, project, axis)[-1:]), None)
