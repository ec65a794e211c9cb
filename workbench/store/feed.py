"""What other tools feed and drain: known items by key, items and judgements page by page. Leaves out HTTP and roles."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from workbench.schema import Item, Judgement
from workbench.store import items, rows
from workbench.store.db import Store

KNOWN = "SELECT key, min(id) FROM items WHERE project = ? AND key IN (SELECT unnest(?)) GROUP BY key"
PAGE = f"{items.READ} WHERE project = ? AND id > ? AND {items.COUNTS} ORDER BY id LIMIT ?"
LABELS = "SELECT item, count(*) FROM current WHERE item IN ({}) AND kind <> 'edit' GROUP BY item"
JUDGED = rows.JUDGEMENT + "JOIN items i ON j.item = i.id WHERE i.project = ? AND j.seq > ? ORDER BY j.seq LIMIT ?"
HOLDING = "SELECT uid FROM current WHERE item IN ({})"


def known(store: Store, project: int, keys: Iterable[str]) -> dict[str, int]:
    """The numbers of those items that the project has."""
    with store.cursor() as cur:
        return dict(cur.execute(KNOWN, [project, list(keys)]).fetchall())


def page(store: Store, project: int, after: int, limit: int) -> list[tuple[Item, int]]:
    """Items above a number, each with how many labels of it hold."""
    with store.cursor() as cur:
        found = [items.item_of(row) for row in cur.execute(PAGE, [project, after, limit]).fetchall()]
        labels = dict(among(cur, LABELS, [item.id for item in found]))
    return [(item, labels.get(item.id, 0)) for item in found]


def judgements(store: Store, project: int, after: int, limit: int) -> Iterator[tuple[int, Judgement, bool]]:
    """Acts of every kind above a number, oldest first, each with whether it holds as of now."""
    with store.cursor() as cur:
        found = [(row[0], rows.judgement_of(row)) for row in cur.execute(JUDGED, [project, after, limit]).fetchall()]
        holding = {uid for (uid,) in among(cur, HOLDING, {judgement.item for _, judgement in found})}
    return ((seq, judgement, judgement.uid in holding) for seq, judgement in found)


def among(cur: rows.Connection, sql: str, ids: Collection[int]) -> list[tuple[Any, ...]]:
    """What `current` says of these items: named one by one, or the whole of it would be made (30 times as long)."""
    return cur.execute(sql.format(", ".join("?" * len(ids))), list(ids)).fetchall() if ids else []


def pseudonyms(store: Store) -> Any:
    """Name -> a word that is the same in every answer of this home and tells nobody who it is."""
    [genesis] = store.latest("events", "kind = 'genesis'")
    key = f"people of {genesis['home']}".encode()
    return lambda name: f"a-{hmac.digest(key, name.encode(), hashlib.sha256).hex()[:10]}"
