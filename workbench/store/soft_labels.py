"""How sure a label is, for the rows of a snapshot: agreement of those who labelled, and the trust each of them earned.

Leaves out the arithmetic (`labelling.noise`) and the rows (`frozen_rows`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.labelling.agreement import Estimate, krippendorff, raw_agreement, tally
from workbench.labelling.noise import CERTAIN, LEAST, dawid_skene, flips, p_posterior, p_share, self_agreement
from workbench.store import rows, votes
from workbench.store.verdicts import ADJUDICATION, Verdict, Vote
from workbench.store.votes import TIE, Cast, Votes

COMPARED = ("pair", "rank")
STRANGER = 0.8  # who has not decided anything yet: Dawid-Skene starts there


@dataclass(frozen=True)
class Trust:
    """`agreement` is the chance that two annotators agree, `reliability` each one's chance to be right."""

    agreement: float
    reliability: dict[str, float]

    def of(self, verdict: Verdict, wins: list[Vote], losses: list[Vote], ties: int = 0) -> tuple[float, float]:
        """`p_share` and `p_posterior` of a decided row. A lead's word is as sure as a label can be."""
        if verdict.source == ADJUDICATION:
            return CERTAIN, CERTAIN
        n = len(wins) + len(losses) + ties
        sides = ([self.reliability.get(v["annotator"], STRANGER) for v in side] for side in (wins, losses))
        return p_share(len(wins), ties, n, self.agreement), p_posterior(*sides)


def measure(cur: rows.Connection, project: int, policy: dict[str, Any]) -> tuple[dict[str, Any], Trust | None]:
    """Figures for the manifest, and the trust they allow: none below 50 overlap items, or when A may be 0.5.

    They come from our planned votes; where those are too few, from imports that several people labelled.
    """
    every = votes.read(cur, project, policy["axis"])
    every = every[~every.where("annotator", policy["without"])]
    own = votes.main_cast(votes.planned(every), COMPARED)
    counts, direction = direction_of(own)
    if direction["n"] < LEAST and "import" in policy["purposes"]:
        named = every.of("import")
        named = votes.main_cast(named[votes.by_people(named)[named.annotator] >= 0], COMPARED)
        if direction_of(named)[1]["n"] >= LEAST:
            own = named
            counts, direction = direction_of(own)
    eps = flips(direction)
    told = {
        "A": direction,
        "alpha": krippendorff(counts, own.group, own.item),
        "eps": eps,
        "eps_self": flips(self_agreement(votes.repeats(every, own.kind)["same"])),
        "n": direction["n"],
    }
    used = every.of(*policy["purposes"])
    return told, None if eps["value"] is None else Trust(direction["value"], reliabilities(used))


def direction_of(cast: Cast) -> tuple[np.ndarray, Estimate]:
    counts = tally(cast.unit, cast.category, len(cast.item), cast.categories)
    return counts, raw_agreement(counts[:, :TIE], cast.group, cast.item)


def reliabilities(used: Votes) -> dict[str, float]:
    """Dawid-Skene accuracy of everybody, over pairs and the pairs that rankings imply."""
    casts = [votes.cast(used, kind) for kind in COMPARED]
    unit = np.r_[casts[0].unit, casts[1].unit + len(casts[0].item)]
    who, said = (np.r_[a, b] for a, b in zip(*((c.who, c.category) for c in casts), strict=True))
    decided, names = said < TIE, used.names["annotator"]
    units = sum(len(c.item) for c in casts)
    _, accuracy = dawid_skene(unit[decided], who[decided], said[decided], units, len(names))
    return dict(zip(names, accuracy.tolist(), strict=True))
