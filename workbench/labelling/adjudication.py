"""What needs a lead's eye, and all that is known of one such item. Reads the store; leaves out deciding (`queue`)."""

import json
from collections import defaultdict
from itertools import combinations
from typing import Any

from workbench.labelling.meaning import agrees
from workbench.schema import LABEL_KINDS, Json, Judgement
from workbench.store import judgements, rows
from workbench.store.db import Store
from workbench.store.projects import OVERALL
from workbench.store.verdicts import ADJUDICATION, OURS, rankings_of_ratings, strict_pairs

# Why an item waits. A conflict is a disagreement on an item that was asked again because a reward model objected.
KINDS = ("disagreement", "conflict", "flag", "gold", "both_bad")
DECIDED = "decided"
COUNTED = [*OURS, "import"]  # votes that can disagree; a win rate is nobody's mistake
Found = list[tuple[str, int, int]]  # kind, item, number of the act since which it waits

SPOKEN = """WITH votes AS MATERIALIZED (
    SELECT c.seq, c.item, c.annotator, c.policy, c.payload ->> 'candidate' AS candidate, CASE c.kind
        WHEN 'rank' THEN CASE c.payload ->> 'tiers' WHEN '[]' THEN 'both_bad' ELSE 'ranked' END
        WHEN 'thumb' THEN c.payload ->> 'label' ELSE c.payload ->> 'choice' END AS said
    FROM current c JOIN items i ON c.item = i.id
    WHERE i.project = $project AND c.axis = $axis AND c.kind IN ('pair', 'thumb', 'rank')
        AND list_contains($purposes, c.purpose)),
firsts AS (
    SELECT item, candidate, said, min(seq) AS seq, min(annotator) AS one, max(annotator) AS other,
        bool_or(policy = 'rm_conflict') AS asked_again FROM votes GROUP BY item, candidate, said)
SELECT CASE WHEN bool_or(asked_again) THEN 'conflict' ELSE 'disagreement' END, item, max(seq)
    FROM firsts GROUP BY item, candidate HAVING min(one) <> max(other)
    AND (count(*) FILTER (said <> 'tie') > 1 OR (count(*) > 1 AND bool_or(said = 'both_bad')))
UNION ALL SELECT 'both_bad', item, seq FROM firsts WHERE said = 'both_bad'"""
RANKED = """WITH votes AS MATERIALIZED (
    SELECT c.seq, c.item, c.annotator, c.purpose, c.policy, c.kind, c.payload
    FROM current c JOIN items i ON c.item = i.id
    WHERE i.project = $project AND c.axis = $axis AND c.kind IN ('rank', 'rating', 'best_worst')
        AND list_contains($purposes, c.purpose))
SELECT * FROM votes
    WHERE item IN (SELECT item FROM votes GROUP BY item HAVING min(annotator) <> max(annotator)) ORDER BY seq"""
FLAGS = """SELECT 'flag', j.item, j.seq FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = $project AND j.kind = 'flag' AND j.uid NOT IN (
        SELECT TRY_CAST(payload ->> 'of' AS UUID) FROM judgements
        WHERE kind IN ('undo', 'clear') AND TRY_CAST(payload ->> 'of' AS UUID) IS NOT NULL)"""
GOLD = """WITH gold AS (
    SELECT item, payload FROM judgements WHERE kind = 'gold' AND axis = $axis
    QUALIFY row_number() OVER (PARTITION BY item ORDER BY seq DESC) = 1)
SELECT c.item, c.seq, c.payload, gold.payload ->> 'answer' FROM current c
    JOIN items i ON c.item = i.id JOIN gold ON c.item = gold.item
    WHERE i.project = $project AND c.axis = $axis AND c.purpose = 'gold'
        AND coalesce(gold.payload ->> 'on', 'true') = 'true'"""
SPOKEN_ON = """SELECT c.item, max(c.seq) FROM current c JOIN items i ON c.item = i.id
    WHERE i.project = $project AND c.axis = $axis AND c.purpose = 'adjudication' GROUP BY c.item ORDER BY 2 DESC"""
WITHDRAWN = """SELECT DISTINCT j.item FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = $project AND j.kind = 'withdraw'"""
TOUCHED = """SELECT DISTINCT j.item FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = $project AND j.annotator = $annotator"""
PEOPLE = """SELECT DISTINCT j.annotator FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = ? AND j.purpose <> 'adjudication' AND j.kind NOT IN ('clear', 'withdraw', 'gold') ORDER BY 1"""
HOLDING = "SELECT uid FROM current WHERE item = ?"


def waiting(store: Store, project: int, axis: str = OVERALL, annotator: str | None = None) -> dict[str, list[int]]:
    """Items by why they wait, longest first, and those decided, newest first; of one annotator's or of all.

    A decision ends every reason but gold answers that fail after it, and flags, which a lead clears.
    """
    asked: dict[str, Any] = {"project": project, "axis": axis}
    counted = asked | {"purposes": COUNTED}
    with store.cursor() as cur:
        cur.begin()
        found: Found = cur.execute(SPOKEN, counted).fetchall() + opposed(cur.execute(RANKED, counted).fetchall())
        found += failed(cur.execute(GOLD, asked).fetchall())
        found += cur.execute(FLAGS, {"project": project}).fetchall()
        decided = dict(cur.execute(SPOKEN_ON, asked).fetchall())
        gone = numbers(cur, WITHDRAWN, {"project": project})
        own = numbers(cur, TOUCHED, {"project": project, "annotator": annotator}) if annotator else None
        cur.commit()
    by_kind: dict[str, dict[int, None]] = {kind: {} for kind in (*KINDS, DECIDED)}
    for kind, item, seq in sorted(found, key=lambda row: row[2]):
        open_still = item not in decided or kind == "flag" or (kind == "gold" and seq > decided[item])
        if open_still and item not in gone:
            by_kind[kind][item] = None
    by_kind[DECIDED] = dict.fromkeys(item for item in decided if item not in gone)
    return {kind: [i for i in found if own is None or i in own] for kind, found in by_kind.items()}


def people(store: Store, project: int) -> list[str]:
    """Everybody whose judgements a project has, leads' decisions aside."""
    with store.cursor() as cur:
        return [name for (name,) in cur.execute(PEOPLE, [project]).fetchall()]


def numbers(cur: rows.Connection, sql: str, params: dict[str, Any]) -> set[int]:
    return {number for (number,) in cur.execute(sql, params).fetchall()}


def opposed(found: list[tuple[Any, ...]]) -> Found:
    """Items on which two people put the same two answers in opposite order, by the second one's vote."""
    names = ("seq", "item", "annotator", "purpose", "policy", "kind", "payload")
    votes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        vote = dict(zip(names, row, strict=True))
        votes[vote["item"]].append(vote | {"payload": json.loads(vote["payload"])})
    waiting: Found = []
    for item, cast in votes.items():
        orders = [v for v in cast if v["kind"] != "rating"]
        orders += rankings_of_ratings([v for v in cast if v["kind"] == "rating"])
        for a, b in combinations(sorted(orders, key=lambda v: v["seq"]), 2):
            if a["annotator"] != b["annotator"] and opposite(above(a["payload"]), above(b["payload"])):
                kind = "conflict" if any(v["policy"] == "rm_conflict" for v in cast) else "disagreement"
                waiting.append((kind, item, b["seq"]))
                break
    return waiting


def above(payload: dict[str, Json]) -> set[tuple[int, int]]:
    """All (better, worse) that a ranking, or a best and a worst, says."""
    return {(payload["best"], payload["worst"])} if "best" in payload else set(strict_pairs(payload["tiers"]))


def opposite(one: set[tuple[int, int]], other: set[tuple[int, int]]) -> bool:
    return any((worse, better) in other for better, worse in one)


def failed(found: list[tuple[Any, ...]]) -> Found:
    """Answers to gold items that went the wrong way."""
    asked = ((item, seq, json.loads(said), json.loads(right)) for item, seq, said, right in found)
    return [("gold", item, seq) for item, seq, said, right in asked if not agrees(said, right)]


def case(store: Store, item: int, axis: str = OVERALL) -> dict[str, Json]:
    """All about one item: votes that hold, open flags, what is right if it is gold, what a lead has decided."""
    history = judgements.of_item(store, item)
    with store.cursor() as cur:
        holding = {uid for (uid,) in cur.execute(HOLDING, [item]).fetchall()}
    votes = [j for _, j in history if j.uid in holding and j.kind in LABEL_KINDS and j.axis == axis]
    closed = {j.payload["of"] for _, j in history if j.kind in ("undo", "clear")}
    gold = [j for _, j in history if j.kind == "gold" and j.axis == axis]
    decisions = [j for j in votes if j.purpose == ADJUDICATION]
    return {
        "votes": [told(j) for j in votes if j.purpose != ADJUDICATION],
        "flags": [told(j) for _, j in history if j.kind == "flag" and str(j.uid) not in closed],
        "gold": gold[-1].payload if gold and gold[-1].payload.get("on", True) else None,
        "decision": told(decisions[-1]) if decisions else None,
        "withdrawn": any(j.kind == "withdraw" for _, j in history),
    }


def told(judgement: Judgement) -> dict[str, Json]:
    """A judgement as a lead reads it."""
    names = ("annotator", "kind", "payload", "purpose", "policy", "shown_order", "ms_shown", "ms_active", "reason")
    return {name: getattr(judgement, name) for name in names} | {
        "uid": str(judgement.uid),
        "guideline": judgement.guideline,
        "at": judgement.ts.isoformat(timespec="seconds"),
    }
