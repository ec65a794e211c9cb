"""All figures of a project for its lead: agreement, noise, bias, people. Leaves out the arithmetic and showing it.

Which votes count: for agreement and noise, planned votes on units that two people judged (`store.votes.planned`); for
bias and people, all blind votes. Imports have figures of their own. Gold, calibration and repeats stay apart.
"""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np

from workbench.labelling import agreement, noise
from workbench.labelling.agreement import Array, Estimate, cross, mean_cohen, tally
from workbench.labelling.annotators import confusion, people, style_of_choices
from workbench.labelling.bias import LEAST_OWN, longer, side, style_odds, tested
from workbench.store import votes as stored
from workbench.store.db import Store
from workbench.store.votes import FRESH, Cast, Facts, Votes, by_people, cast, main_cast, repeats

WORK = (*FRESH, "compare")
MOST_TAGS = 50
MOST_PEOPLE = 50
QUARTER = 900 * 10**6  # microseconds: in no time zone does a day begin within a quarter of an hour


def report(store: Store, project: int, axis: str = "overall") -> dict[str, Any]:
    """Every figure with its interval, or why there is none. Nothing here is refused: an empty project has a report."""
    with store.cursor() as cur:
        votes = stored.read(cur, project, axis)
        acts = stored.skips_and_flags(cur, project, axis)
        right = stored.gold(cur, project, axis)
    facts = stored.facts(store, project)
    work, planned = votes.of(*WORK), main_cast(stored.planned(votes))
    fresh, again = cast(votes.of(*FRESH), planned.kind), repeats(votes, planned.kind)
    found = figures(planned)
    return {
        "votes": len(work),
        "items": len(np.unique(work.item)),
        "kind": planned.kind,
        "overlap_items": len(np.unique(planned.item[np.bincount(planned.unit, minlength=len(planned.item)) > 1])),
        "agreement": found,
        "imported": imported(votes.of("import")),
        **slices(planned),
        "noise": noise_panel(found["direction"], again),
        "bias": bias_panel(work, facts),
        "people": people(votes, work, planned, fresh, again, acts, right, facts),
        "confusion": confusion(planned),
        "days": days(work),
        "median_s": float(np.median(work.ms[work.ms > 0])) / 1000 if (work.ms > 0).any() else None,
    }


def figures(planned: Cast) -> dict[str, Estimate]:
    """Agreement as each statistic has it, over units with at least two votes."""
    counts = tally(planned.unit, planned.category, len(planned.item), planned.categories)
    levels = tally(planned.unit, planned.level, len(planned.item), planned.levels)
    return {
        "raw": agreement.raw_agreement(counts, planned.group, planned.item),
        "direction": agreement.raw_agreement(counts[:, :2], planned.group, planned.item),
        "alpha_nominal": agreement.krippendorff(counts, planned.group, planned.item),
        "alpha_ordinal": agreement.krippendorff(levels, planned.group, planned.item, ordinal=True),
        "fleiss": agreement.fleiss(counts, planned.group, planned.item),
        "cohen": mean_cohen(pair_tables(planned)),
    }


def pair_tables(planned: Cast) -> list[Array]:
    """The (k, k) table of each two annotators, of the busiest with enough votes to share any."""
    votes = np.bincount(planned.who, minlength=1)
    busy = np.sort(np.argsort(-votes, kind="stable")[:MOST_PEOPLE])
    busy = busy[votes[busy] >= agreement.SHARED]
    mine = np.isin(planned.who, busy)
    who = np.searchsorted(busy, planned.who[mine])
    tables = cross(planned.unit[mine], who, planned.category[mine], len(busy), planned.categories)
    return [tables[a, b] for a in range(len(busy)) for b in range(a)]


def imported(votes: Votes) -> dict[str, dict[str, Estimate]]:
    """Figures of each import in which several people judged one item; what machines said is no agreement."""
    of = by_people(votes)
    found = {}
    for number in np.unique(of[of >= 0]):
        own = main_cast(votes[of[votes.annotator] == number])
        if (np.bincount(own.unit, minlength=1) > 1).any():
            found[str(number)] = figures(own)
    return found


def slices(planned: Cast) -> dict[str, list[dict[str, Any]]]:
    """Raw agreement by week, version of the guideline and tag. A unit counts where its last vote fell."""
    counts = tally(planned.unit, planned.category, len(planned.item), planned.categories)
    twice = counts.sum(1) > 1
    last = np.zeros(len(counts), np.int64)
    np.maximum.at(last, planned.unit, planned.row)
    votes = planned.votes
    day, dates = local_days(votes.ts[last])
    weeks = np.array([f"{d.isocalendar().year}-W{d.isocalendar().week:02}" for d in dates], str)[day]
    tagged = [json.loads(text or "[]") for text in votes.names["tags"]]
    often = np.bincount(votes.tags[last][twice], minlength=len(tagged)).tolist()
    seen: Counter[str] = Counter()
    for tags, n in zip(tagged, often, strict=True):
        seen.update(dict.fromkeys(tags, n))

    def raw(chosen: Array) -> Estimate:
        return agreement.raw_agreement(counts[chosen], planned.group[chosen], planned.item[chosen])

    versions = votes.guideline[last]
    common = [tag for tag, n in sorted(seen.items(), key=lambda kv: (-kv[1], kv[0])) if n][:MOST_TAGS]
    having = {tag: np.array([tag in tags for tags in tagged])[votes.tags[last]] for tag in common}
    return {
        "weeks": [{"week": str(w), "raw": raw(twice & (weeks == w))} for w in np.unique(weeks[twice])],
        "versions": [{"version": int(v), "raw": raw(twice & (versions == v))} for v in np.unique(versions[twice])],
        "tags": [{"tag": tag, "raw": raw(twice & having[tag])} for tag in common],
    }


def local_days(ts: Array) -> tuple[Array, list[Any]]:
    """Microseconds as places in a list of days of the server's time zone."""
    quarters, which = np.unique(ts // QUARTER, return_inverse=True)
    days = [datetime.fromtimestamp(int(q) * QUARTER / 10**6).astimezone().date() for q in quarters]
    dates = sorted(set(days))
    return np.array([dates.index(d) for d in days], np.int64)[which], dates


def days(work: Votes) -> list[dict[str, Any]]:
    day, dates = local_days(work.ts)
    both, labels = np.unique(np.c_[day, work.annotator], axis=0, return_counts=True)
    names = work.names["annotator"]
    return [
        {"day": dates[d].isoformat(), "annotator": names[a], "labels": int(n)}
        for (d, a), n in zip(both, labels, strict=True)
    ]


def noise_panel(direction: Estimate, again: dict[str, Array]) -> dict[str, Any]:
    """A, R and what follows for training. Who takes the same side twice in a reversed repeat looks at the side."""
    own = noise.self_agreement(again["same"])
    left, right = (int((again[side] & ~again["same"]).sum()) for side in ("left", "right"))
    return {
        "A": direction,
        "R": own,
        "eps": noise.flips(direction),
        "eps_self": noise.flips(own),
        "taste": noise.taste(direction, own),
        "repeat_sides": {"left": left, "right": right, "p": tested(left, left + right)["p"]},
    }


def bias_panel(work: Votes, facts: Facts) -> dict[str, Any]:
    """Side, length and style of what won, over all decisive choices between two answers."""
    chosen, left_won, left, right = style_of_choices(work, facts)
    won, lost = (np.where(left_won == flag, left[:, 0], right[:, 0]) for flag in (True, False))
    own = {}
    for number in np.unique(chosen.annotator):
        mine = chosen.annotator == number
        odds = style_odds(left_won[mine], left[mine], right[mine], chosen.group_id[mine], LEAST_OWN)
        own[work.names["annotator"][number]] = odds
    return {
        "side": side(left_won),
        "length": longer(won, lost),
        "style": style_odds(left_won, left, right, chosen.group_id),
        "style_n": len(left_won),
        "style_people": own,
    }
