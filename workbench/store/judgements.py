"""Judgements: appended, never changed; `current` says which ones hold."""

import json
from collections.abc import Iterable, Iterator

from workbench.schema import Json, Judgement
from workbench.store import rows
from workbench.store.db import Store

FIELDS = ("seq", "uid", "item", "annotator", "axis", "purpose", "kind", "payload", "shown_order", "ms_active", "reason")
CURRENT = f"""SELECT {", ".join("c." + name for name in FIELDS)} FROM current c JOIN items i ON c.item = i.id
    WHERE i.project = ? AND (? IS NULL OR list_contains(?, c.purpose)) ORDER BY c.seq"""  # noqa: S608 constants


def append(store: Store, judgement: Judgement) -> int:
    """Append one judgement; its number. On disk twice when this returns."""
    return store.append(judgement)[0]


def history(store: Store, project: int, after: int = 0) -> Iterator[tuple[int, Judgement]]:
    """Every act on the project's items with its number, oldest first: all that the queue has to know."""
    sql = rows.JUDGEMENT + "JOIN items i ON j.item = i.id WHERE i.project = ? AND j.seq > ? ORDER BY j.seq"
    with store.cursor() as cur:
        for row in rows.stream(cur, sql, [project, after]):
            yield row[0], rows.judgement_of(row)


def current(store: Store, project: int, purposes: Iterable[str] | None = None) -> list[dict[str, Json]]:
    """The labels that hold, neither undone nor superseded, of all purposes or of these, oldest first."""
    with store.cursor() as cur:
        return read_current(cur, project, purposes)


def read_current(cur: rows.Connection, project: int, purposes: Iterable[str] | None) -> list[dict[str, Json]]:
    """`current` as one cursor sees it."""
    wanted = None if purposes is None else list(purposes)
    votes = [dict(zip(FIELDS, row, strict=True)) for row in cur.execute(CURRENT, [project, wanted, wanted]).fetchall()]
    for vote in votes:
        vote["payload"] = json.loads(vote["payload"])
        vote["reason"] = vote["reason"] and json.loads(vote["reason"])
    return votes


def of_item(store: Store, item: int) -> list[tuple[int, Judgement]]:
    """Everything that was ever done to one item, oldest first."""
    with store.cursor() as cur:
        found = cur.execute(rows.JUDGEMENT + "WHERE j.item = ? ORDER BY j.seq", [item]).fetchall()
    return [(row[0], rows.judgement_of(row)) for row in found]
