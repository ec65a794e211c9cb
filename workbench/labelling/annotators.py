"""Figures of each annotator beside those of the others. Leaves out the team's figures (`report`) and who may see them.

A column is marked where its interval excludes the group's value: the median over people, so that one odd annotator
does not mark all others. For sides that value is one half.
"""

import json
from typing import Any

import numpy as np

from workbench.labelling.agreement import Array, Estimate, cohen, cross, tally, unknown, wilson
from workbench.labelling.bias import longer
from workbench.labelling.meaning import agrees
from workbench.labelling.noise import LEAST, dawid_skene
from workbench.store.votes import Cast, Facts, Votes

WORDS_PER_SECOND = 12
COLUMNS = ("fast", "gold", "self", "majority", "kappa", "left", "longer")


def style_of_choices(work: Votes, facts: Facts) -> tuple[Votes, Array, Array, Array]:
    """Decisive votes on two answers whose sides are known: whether left won, and the style of left and right."""
    chosen = work[(work.n_candidates == 2) & (work.choice >= 0) & (work.choice < 2) & (work.first >= 0)]
    at, first = facts.at(chosen.item), chosen.first.astype(np.int64)
    return chosen, chosen.choice == first, facts.style[at, first], facts.style[at, 1 - first]


def people(
    votes: Votes,
    work: Votes,
    planned: Cast,
    fresh: Cast,
    again: dict[str, Array],
    acts: dict[tuple[str, str], int],
    right: dict[int, dict[str, Any]],
    facts: Facts,
) -> list[dict[str, Any]]:
    """One row per annotator, by name, with the columns that stand out `marked`."""
    names = votes.names["annotator"]
    known = sorted({names[n] for n in np.unique(work.annotator)} | {who for who, _ in acts})
    number = {name: n for n, name in enumerate(names)}
    golden, checked = passed(votes.of("gold"), right)
    others, trust = with_others(planned), reliability(fresh, len(names))
    rows, quick = [], {}
    for name in known:
        who = number.get(name, -1)
        own, mine = work[work.annotator == who], again["who"] == who
        row, quick[name] = workload(name, own, acts, facts)
        _, left_won, left, right_side = style_of_choices(own, facts)
        won, lost = (np.where(left_won == flag, left[:, 0], right_side[:, 0]) for flag in (True, False))
        length = longer(won, lost)
        length.pop("p", None)
        rows.append(
            row
            | {"gold": wilson(checked[golden == who].sum(), (golden == who).sum())}
            | {"self": wilson(again["same"][mine].sum(), mine.sum())}
            | others.get(who, {"majority": unknown("no_votes"), "kappa": unknown("no_votes")})
            | {"left": wilson(left_won.sum(), len(left_won)), "longer": length, "reliability": trust.get(who)}
        )
    return mark(rows, quick)


def workload(name: str, own: Votes, acts: dict[tuple[str, str], int], facts: Facts) -> tuple[dict[str, Any], Estimate]:
    """How much and how fast one annotator works, as shares; and the share under the reading floor with its interval."""
    timed = own.ms > 0
    floor = facts.words[facts.at(own.item)] / WORDS_PER_SECOND
    fast = wilson((own.ms[timed] / 1000 < floor[timed]).sum(), timed.sum())
    choices = own.choice[own.choice >= 0]
    seen = len(own) + acts.get((name, "skip"), 0) + acts.get((name, "flag"), 0)
    return {
        "annotator": name,
        "labels": len(own),
        "median_s": float(np.median(own.ms[timed])) / 1000 if timed.any() else None,
        "fast": fast["value"],
        "ties": float((choices == 2).mean()) if len(choices) else None,
        "both_bad": float((choices == 3).mean()) if len(choices) else None,
        "skips": acts.get((name, "skip"), 0) / seen,
        "flags": acts.get((name, "flag"), 0) / seen,
    }, fast


def mark(rows: list[dict[str, Any]], quick: dict[str, Estimate]) -> list[dict[str, Any]]:
    shown = [row | {"fast": quick[row["annotator"]]} for row in rows]
    for row in rows:
        row["marked"] = []
    for column in COLUMNS:
        values = [row[column]["value"] for row in shown if row[column]["value"] is not None]
        if column != "left" and len(values) < 2:
            continue
        usual = 0.5 if column == "left" else float(np.median(values))
        for row, all_of_it in zip(rows, shown, strict=True):
            found = all_of_it[column]
            if found["value"] is not None and not found["low"] <= usual <= found["high"]:
                row["marked"].append(column)
    return rows


def with_others(planned: Cast) -> dict[int, dict[str, Estimate]]:
    """Of each annotator: how often with the majority of the others on an item, and kappa with the others."""
    counts = tally(planned.unit, planned.category, len(planned.item), planned.categories)
    rest = counts[planned.unit]
    rest[np.arange(len(rest)), planned.category] -= 1
    most = rest.max(1, initial=0)
    clear = (most > 0) & ((rest == most[:, None]).sum(1) == 1)
    with_most = rest[np.arange(len(rest)), planned.category] == most
    busy, tables = shared(planned)
    found = {}
    for at, who in enumerate(busy):
        mine = clear & (planned.who == who)
        others = tables[at].sum(0) - tables[at, at]
        found[int(who)] = {"majority": wilson(with_most[mine].sum(), mine.sum()), "kappa": cohen(others)}
    return found


def shared(planned: Cast) -> tuple[Array, Array]:
    """Those who voted on units that others voted on, and how often one said c where another said d."""
    twice = (np.bincount(planned.unit, minlength=1) > 1)[planned.unit]
    busy, who = np.unique(planned.who[twice], return_inverse=True)
    return busy, cross(planned.unit[twice], who, planned.category[twice], len(busy), planned.categories)


def confusion(planned: Cast) -> dict[str, Any]:
    """How many units each two annotators share, and the share on which they agree."""
    busy, tables = shared(planned)
    n, same = tables.sum((2, 3)), np.trace(tables, axis1=2, axis2=3)
    share = [[float(s / m) if m else None for s, m in zip(*row, strict=True)] for row in zip(same, n, strict=True)]
    return {"people": [planned.votes.names["annotator"][who] for who in busy], "n": n.tolist(), "agreement": share}


def reliability(fresh: Cast, people: int) -> dict[int, float]:
    """Dawid-Skene accuracy of those with 50 decisive votes where somebody else voted too."""
    decided = fresh.category < 2
    unit, who = fresh.unit[decided], fresh.who[decided]
    _, accuracy = dawid_skene(unit, who, fresh.category[decided], len(fresh.item), people)
    twice = (np.bincount(unit, minlength=len(fresh.item)) > 1)[unit]
    n = np.bincount(who[twice], minlength=people)
    return {int(who): float(accuracy[who]) for who in np.flatnonzero(n >= LEAST)}


def passed(golden: Votes, right: dict[int, dict[str, Any]]) -> tuple[Array, Array]:
    """Of each vote on an item that is gold now: who, and whether in the right direction."""
    told = [(at, right[item]) for at, item in enumerate(golden.item.tolist()) if item in right]
    rows = np.array([at for at, _ in told], np.int64)
    same = [agrees(json.loads(text), answer) for text, (_, answer) in zip(golden.payload[rows], told, strict=True)]
    return golden.annotator[rows], np.array(same, bool)
