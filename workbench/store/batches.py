"""Imports on their way into the store: `imports/<n>/batch.parquet` becomes items, an event, and judgements.

Items come first, some hundred per transaction; they count only once the `import` event is there. Then follow the
judgements, whose uids are made from what they say, so that a file read twice changes nothing. `restore` finishes at
start-up what a crash or a damaged database left out. Leaves out how files are read (`formats`).
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import Gap
from workbench.jobs.folder import read_json, sha256
from workbench.schema import Event, Json, Judgement, canonical
from workbench.store.batch_row import COLUMNS
from workbench.store.failpoint import failpoint

if TYPE_CHECKING:
    from workbench.store.db import Store

AT_ONCE = 500
# Rows with a known key take the known item; the others are numbered in the order of their first appearance.
NUMBERS = """
    WITH b AS (SELECT file_row_number AS place, key FROM read_parquet($path, file_row_number = true)),
    old AS (SELECT key, id FROM items WHERE project = $project AND id < $first),
    new AS (SELECT key, row_number() OVER (ORDER BY min(place)) - 1 + $first AS id
        FROM b WHERE key NOT IN (SELECT key FROM old) GROUP BY key)
    SELECT coalesce(old.id, new.id) FROM b LEFT JOIN old USING (key) LEFT JOIN new USING (key) ORDER BY place
"""
VOTES = """SELECT TRY_CAST(split_part(annotator, ':', 2) AS INTEGER), count(*) FROM judgements
    WHERE purpose = 'import' GROUP BY 1"""


def append_batch(store: "Store", actor: str, folder: Path, project: int) -> dict[str, Json]:
    """Store the batch of `imports/<n>` and return its `import` event; a second call finishes or changes nothing."""
    number = int(folder.name)
    with store.bulk:
        done = next(iter(store.latest("imports", "id = ?", number)), None)
        if done is None:
            drop_unfinished(store)
            payload = announced(store, folder, project)
            load_items(store, payload)
            failpoint("before_import_event")
            store.append(Event(uuid4(), actor, "import", payload))
            done = payload
        load_judgements(store, done)
    return done


def announced(store: "Store", folder: Path, project: int) -> dict[str, Json]:
    """The payload of the `import` event: everything that is needed to load the same batch again."""
    report, batch = read_json(folder / "report.json"), folder / "batch.parquet"
    with store.cursor() as cur:
        first = cur.execute("SELECT coalesce(max(id), 0) + 1 FROM items").fetchone()[0]
    payload = {
        "id": int(folder.name),
        "project": project,
        **{name: report[name] for name in ("file", "dialect", "lines", "accepted", "rejected")},
        "first_item": first,
        "sha256": sha256(batch),
    }
    ids = numbers(store, payload)
    items = max(0, max(ids, default=0) - first + 1)
    found = [name for name, _, _ in judgements(store, payload, ids)]
    fresh = len(set(found) - store.known)
    return payload | {
        "items": items,
        "merged": len(ids) - items,
        "judgements": fresh,
        "duplicates": len(found) - fresh,
    }


def batch_of(store: "Store", payload: dict[str, Json]) -> Path:
    return store.home / "imports" / f"{payload['id']:06d}" / "batch.parquet"


def numbers(store: "Store", payload: dict[str, Json]) -> list[int]:
    """The item number of each row of the batch."""
    wanted = {"path": str(batch_of(store, payload)), "project": payload["project"], "first": payload["first_item"]}
    with store.cursor() as cur:
        return cur.execute(NUMBERS, wanted).fetchnumpy().popitem()[1].tolist()


def load_items(store: "Store", payload: dict[str, Json], have: int = 0) -> None:
    """Insert the new items of a batch, apart from the first `have` of them."""
    ids, place, due = numbers(store, payload), 0, payload["first_item"]
    start = due + have
    with pq.ParquetFile(batch_of(store, payload)) as source:
        for part in source.iter_batches(AT_ONCE, columns=list(COLUMNS)):
            fresh = []
            for at in range(part.num_rows):
                if ids[place + at] == due:
                    fresh += [at] if due >= start else []
                    due += 1
            place += part.num_rows
            if fresh:
                insert(store, payload, pa.table(part).take(fresh), due - len(fresh))
                failpoint("items")


def insert(store: "Store", payload: dict[str, Json], part: pa.Table, first: int) -> None:
    ids = pa.array(range(first, first + part.num_rows), pa.int64())
    with store.transaction() as cur:
        cur.register("part", part.append_column("id", ids))
        cur.execute(
            "INSERT INTO items SELECT id, ?, ?, key, group_id, form, json_array_length(candidates), prompt, "
            "candidates, tools, lang, tags, origin FROM part",
            [payload["project"], payload["id"]],
        )
        cur.unregister("part")


def judgements(
    store: "Store", payload: dict[str, Json], ids: list[int]
) -> Iterator[tuple[bytes, int, dict[str, Json]]]:
    """What came with a batch, in its order: name, item, row. The name is made from what is said, by whom, of what."""
    place = 0
    with pq.ParquetFile(batch_of(store, payload)) as source:
        for part in source.iter_batches(AT_ONCE, columns=["key", "judgements"]):
            for key, found in zip(*(part.column(n).to_pylist() for n in ("key", "judgements")), strict=True):
                for row in json.loads(found) if found and found != "[]" else ():
                    said = [payload["project"], key, *(row.get(n) for n in ("annotator", "kind", "axis", "payload"))]
                    yield hashlib.sha256(canonical(said)).digest()[:16], ids[place], row
                place += 1


def judgement(payload: dict[str, Json], name: bytes, item: int, row: dict[str, Any]) -> Judgement:
    who = row.get("annotator")
    return Judgement(
        uid=UUID(bytes=name),
        item=item,
        annotator=f"ext:{payload['id']}:{who}" if who else f"import:{payload['id']}",
        kind=row["kind"],
        payload=row["payload"],
        axis=row.get("axis") or "overall",
        purpose="import",
        ms_active=row.get("ms_active"),
        reason=row.get("reason"),
    )


def load_judgements(store: "Store", payload: dict[str, Json]) -> None:
    """Append the judgements of a batch that are not known yet."""
    waiting: dict[bytes, Judgement] = {}
    for name, item, row in judgements(store, payload, numbers(store, payload)):
        if name not in store.known and name not in waiting:
            waiting[name] = judgement(payload, name, item, row)
        if len(waiting) == AT_ONCE:
            store.append(*waiting.values())
            failpoint("imported_judgements")
            waiting = {}
    if waiting:
        store.append(*waiting.values())


def drop_unfinished(store: "Store") -> None:
    """Forget items whose import never came to its event: nothing refers to them."""
    with store.transaction() as cur:
        cur.execute("DELETE FROM items WHERE import NOT IN (SELECT id FROM imports)")


def restore(store: "Store") -> None:
    """Make the items and judgements of every import complete; `Gap` when its file is gone."""
    drop_unfinished(store)
    for payload in incomplete(store):
        batch = batch_of(store, payload)
        if not batch.exists() or sha256(batch) != payload["sha256"]:
            raise Gap(f"items of import {payload['id']} are missing and {batch} is gone or changed: put it back")
        load_items(store, payload, payload["have"])
        load_judgements(store, payload)


def incomplete(store: "Store") -> list[dict[str, Json]]:
    """The imports that lack items or judgements, with the number of items they `have`."""
    with store.cursor() as cur:
        items = dict(cur.execute("SELECT import, count(*) FROM items GROUP BY import").fetchall())
        votes = dict(cur.execute(VOTES).fetchall())
    return [
        done | {"have": items.get(done["id"], 0)}
        for done in store.latest("imports")
        if (items.get(done["id"], 0), votes.get(done["id"], 0)) != (done["items"], done["judgements"])
    ]
