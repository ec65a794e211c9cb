"""Items: what is shown and judged. Immutable; they come in batches and are read by number."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import NotFound
from workbench.jobs.folder import write_json
from workbench.schema import Candidate, Item, messages_from_json
from workbench.store import rows
from workbench.store.batch_row import SCHEMA, batch_row
from workbench.store.batches import append_batch
from workbench.store.db import Store
from workbench.store.imports import next_folder

COUNTS = "import IN (SELECT id FROM imports)"
READ = "SELECT id, project, group_id, form, prompt, candidates, tools, lang, tags, origin, key FROM items "
FOR_QUEUE = f"""SELECT id, n_candidates, ('0x' || right(key, 8))::UBIGINT / 4294967296.0 AS chance,
    (origin ->> 'compare') IS NOT NULL AS compare FROM items
    WHERE project = ? AND {COUNTS} AND origin ->> 'typed' IS NULL ORDER BY key"""  # noqa: S608 constants
AT_ONCE = 1000


class Row(NamedTuple):
    """What the queue needs to know of an item."""

    id: int
    n_candidates: int
    key: str
    group_id: str


def get(store: Store, id: int) -> Item:
    found = many(store, [id])
    if not found:
        raise NotFound(f"no item {id}")
    return found[id]


def many(store: Store, ids: Iterable[int]) -> dict[int, Item]:
    """The items of these numbers that exist, in the order asked."""
    wanted, found = list(dict.fromkeys(ids)), {}
    with store.cursor() as cur:
        for at in range(0, len(wanted), AT_ONCE):
            part = wanted[at : at + AT_ONCE]
            marks = ", ".join("?" * len(part))
            for row in cur.execute(f"{READ} WHERE id IN ({marks})", part).fetchall():
                found[row[0]] = item_of(row)
    return {id: found[id] for id in wanted if id in found}


def iter_ids(store: Store, project: int) -> Iterator[Row]:
    """All items of a project by number, without their texts."""
    sql = f"SELECT id, n_candidates, key, group_id FROM items WHERE project = ? AND {COUNTS} ORDER BY id"  # noqa: S608
    with store.cursor() as cur:
        yield from map(Row._make, rows.stream(cur, sql, [project]))


def for_queue(store: Store, project: int) -> dict[str, np.ndarray]:
    """What a queue knows of every item, in the order it asks: columns `id`, `n_candidates`, `chance`, `compare`.

    `chance` in [0, 1) is drawn from the item's key, apart from the order; `compare` items are votes on two models.
    """
    with store.cursor() as cur:
        return cur.execute(FOR_QUEUE, [project]).fetchnumpy()


def stream(cur: rows.Connection, project: int) -> Iterator[tuple[str, Item]]:
    """Key and item of everything in a project by number, as one cursor sees it."""
    found = rows.stream(cur, f"{READ} WHERE project = ? AND {COUNTS} ORDER BY id", [project])
    return ((row[-1], item_of(row)) for row in found)


def add(
    store: Store, actor: str, items: list[Item], *, file: str = "generated", dialect: str = "workbench"
) -> list[int]:
    """Store items of one project as an import of their own; their numbers, known ones where the item was there."""
    if not items:
        return []
    [project] = {item.project for item in items}
    _, folder = next_folder(store)
    pq.write_table(pa.Table.from_pylist([batch_row(item) for item in items], SCHEMA), folder / "batch.parquet")
    counts = {"lines": len(items), "accepted": len(items), "rejected": 0}
    write_json(folder / "report.json", {"file": file, "dialect": dialect, **counts})
    append_batch(store, actor, folder, project)
    keys = [item.key for item in items]
    with store.cursor() as cur:
        sql = "SELECT key, id FROM items WHERE project = ? AND key IN (SELECT unnest(?))"
        ids = dict(cur.execute(sql, [project, keys]).fetchall())
    return [ids[key] for key in keys]


def item_of(row: tuple[Any, ...]) -> Item:
    """The item of a row of `READ`."""
    id, project, group_id, form, prompt, candidates, tools, lang, tags, origin, _ = row
    return Item(
        project=project,
        group_id=group_id,
        form=form,
        prompt=messages_from_json(json.loads(prompt)),
        candidates=tuple(
            Candidate(messages_from_json(c["messages"]), c.get("source"), c.get("gen")) for c in json.loads(candidates)
        ),
        tools=None if tools is None else json.loads(tools),
        lang=lang,
        tags=tuple(json.loads(tags or "[]")),
        origin=json.loads(origin or "{}"),
        id=id,
    )
