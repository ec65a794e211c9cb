"""Judgements: appended, never changed; `current` says which ones hold."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np

from workbench.schema import Json, Judgement
from workbench.store import rows
from workbench.store.db import Store

FIELDS = ("seq", "uid", "item", "annotator", "axis", "purpose", "kind", "payload", "shown_order", "ms_active", "reason")
CURRENT = f"""SELECT {", ".join("c." + name for name in FIELDS)} FROM current c JOIN items i ON c.item = i.id
    WHERE i.project = ? AND (? IS NULL OR list_contains(?, c.purpose)) ORDER BY c.seq"""  # noqa: S608 constants

# Every act of an annotator with the slot it fills (a check or a written answer fills its own) and its word: what two
# may contradict each other in. Without what a lead says, and calibrations.
ACTS = """SELECT j.seq, j.item, j.annotator, j.axis, j.kind, j.ts, j.uid, j.ms_active, j.ms_shown, j.purpose,
        CASE WHEN j.purpose IN ('gold', 'repeat', 'import', 'write') THEN j.purpose ELSE 'label' END AS slot,
        CASE WHEN j.kind NOT IN ('rank', 'best_worst') THEN coalesce(j.payload ->> 'choice', j.payload ->> 'label')
            WHEN (j.payload ->> 'tiers') = '[]' THEN 'both_bad' ELSE 'ranked' END AS word, j.payload ->> 'of' AS of
    FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = $project AND j.seq <= $seq AND j.purpose NOT IN ('adjudication', 'calibration')
    AND j.kind IN ('pair', 'rank', 'best_worst', 'thumb', 'rating', 'skip', 'flag', 'undo', 'edit')"""
STANDING = f"""WITH acts AS ({ACTS}), last AS (
        SELECT item, annotator, axis, slot, arg_max(kind, seq) AS kind, max(seq) AS seq, arg_max(ts, seq) AS ts,
            arg_max_null(word, seq) AS word
        FROM acts WHERE (kind != 'edit' OR slot = 'write') AND (kind != 'undo' OR of NOT IN (
            SELECT uid::VARCHAR FROM judgements WHERE kind = 'edit' AND purpose != 'write')) GROUP BY ALL)
    SELECT annotator, axis, slot, CASE WHEN kind IN ('skip', 'flag') THEN kind ELSE 'label' END AS act, word,
        list(ts >= $midnight) AS today, list(seq) AS seqs, list(item) AS items
    FROM last WHERE kind != 'undo' GROUP BY ALL"""  # noqa: S608 constants
LATEST = f"""SELECT annotator, axis, epoch_us(max(ts)), arg_max({{'item': item, 'uid': uid, 'kind': kind,
        'purpose': purpose, 'of': of::UUID, 'spent': coalesce(nullif(ms_active, 0), ms_shown)}}, seq, 150)
    FROM ({ACTS} AND j.purpose != 'import') GROUP BY ALL"""  # noqa: S608 constants
REMARKABLE = """(j.kind IN ('flag', 'clear', 'withdraw', 'gold') OR j.purpose IN ('adjudication', 'calibration')
    OR (j.kind = 'undo' AND (j.payload ->> 'of') IN (SELECT uid::VARCHAR FROM judgements WHERE kind = 'flag')))"""


class Standing(NamedTuple):
    """Items on which one annotator's acts of one kind and word stand, their numbers, and whether they are of today."""

    annotator: str
    axis: str
    slot: str
    act: str
    word: str | None
    today: np.ndarray
    seqs: np.ndarray
    items: np.ndarray


class Act(NamedTuple):
    item: int
    uid: UUID
    kind: str
    purpose: str
    of: UUID | None
    spent: int | None


class Latest(NamedTuple):
    """The last 150 acts of an annotator on an axis, of all its tasks, oldest first; undone ones are among them."""

    annotator: str
    axis: str
    active: datetime
    acts: list[Act]


def append(store: Store, judgement: Judgement) -> int:
    """Append one judgement; its number. On disk twice when this returns."""
    return store.append(judgement)[0]


def history(store: Store, project: int, after: int = 0) -> Iterator[tuple[int, Judgement]]:
    """Every act on the project's items with its number, oldest first: all that the queue has to know."""
    sql = rows.JUDGEMENT + "JOIN items i ON j.item = i.id WHERE i.project = ? AND j.seq > ? ORDER BY j.seq"
    with store.cursor() as cur:
        for row in rows.stream(cur, sql, [project, after]):
            yield row[0], rows.judgement_of(row)


def standing(store: Store, project: int, seq: int, midnight: datetime) -> Iterator[Standing]:
    """Who has answered what, of all acts up to a number: the whole history as some hundred long rows."""
    with store.cursor() as cur:
        table = cur.sql(STANDING, params={"project": project, "seq": seq, "midnight": midnight}).to_arrow_table()
    for row in zip(*(table[name] for name in table.column_names), strict=True):
        told, lists = row[:5], (column.values.to_numpy(zero_copy_only=False) for column in row[5:])
        yield Standing(*(value.as_py() for value in told), *lists)


def latest(store: Store, project: int, seq: int) -> list[Latest]:
    """What each annotator did last."""
    with store.cursor() as cur:
        found = cur.execute(LATEST, {"project": project, "seq": seq}).fetchall()
    return [
        Latest(name, axis, rows.moment(active), [Act(**act) for act in reversed(acts)])
        for name, axis, active, acts in found
    ]


def remarkable(store: Store, project: int, seq: int) -> Iterator[tuple[int, Judgement]]:
    """Acts that do more than answer an item: of leads, flags and what undoes them, calibrations."""
    sql = f"{rows.JUDGEMENT} JOIN items i ON j.item = i.id WHERE i.project = ? AND j.seq <= ? AND {REMARKABLE}"
    with store.cursor() as cur:
        for row in rows.stream(cur, sql + " ORDER BY j.seq", [project, seq]):
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
