"""How sure a label is, for the rows of a snapshot: agreement of those who labelled, and the trust each of them earned.

Leaves out the arithmetic (`labelling.noise`) and the rows (`frozen_rows`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.labelling.agreement import Estimate, krippendorff, raw_agreement, tally
from workbench.labelling.noise import CERTAIN, LEAST, dawid_skene, flips, p_posterior, p_share, self_agreement
from workbench.schema import WRITE
from workbench.store import rows, votes
from workbench.store.verdicts import ADJUDICATION, OURS, Verdict, Vote
from workbench.store.votes import TIE, Cast, Votes

COMPARED = ("pair", "rank")
STRANGER = 0.8  # who has not decided anything yet: Dawid-Skene starts there


@dataclass(frozen=True)
class Trust:
    """How far those who labelled are to be trusted; nobody else's votes count.

    agreement      the chance that two of them agree
    reliability    each one's chance to be right
    imported       people of imports who are among them
    """

    agreement: float
    reliability: dict[str, float]
    imported: frozenset[str] = frozenset()

    def of(
        self, verdict: Verdict, wins: list[Vote], losses: list[Vote], ties: Sequence[Vote] = ()
    ) -> tuple[float | None, float | None]:
        """`p_share` and `p_posterior` of a decided row. A lead's word is as sure as a label can be."""
        if verdict.source == ADJUDICATION:
            return CERTAIN, CERTAIN
        wins, losses, ties = ([v for v in side if self.counts(v)] for side in (wins, losses, ties))
        n = len(wins) + len(losses) + len(ties)
        if not n:
            return None, None
        sides = ([self.reliability.get(v["annotator"], STRANGER) for v in side] for side in (wins, losses))
        return p_share(len(wins), len(ties), n, self.agreement), p_posterior(*sides)

    def counts(self, vote: Vote) -> bool:
        """Is it a person's, of those whose agreement is known? Whoever writes an answer says that it is better."""
        return vote["purpose"] in (*OURS, WRITE) or vote["annotator"] in self.imported


def measure(cur: rows.Connection, project: int, policy: dict[str, Any]) -> tuple[dict[str, Any], Trust | None]:
    """Figures for the manifest, and the trust they allow: none below 50 overlap items, or when A may be 0.5.

    They come from our planned votes; where those are too few, from imports that several people labelled.
    """
    every = votes.read(cur, project, policy["axis"])
    every = every[~every.where("annotator", policy["without"])]
    own, imported = votes.main_cast(votes.planned(every), COMPARED), frozenset[str]()
    counts, direction = direction_of(own)
    if direction["n"] < LEAST and "import" in policy["purposes"]:
        names = zip(every.names["annotator"], votes.by_people(every), strict=True)
        people = frozenset(name for name, number in names if number >= 0)
        named = votes.main_cast(every[every.where("annotator", people)], COMPARED)
        if direction_of(named)[1]["n"] >= LEAST:
            own, imported = named, people
            counts, direction = direction_of(own)
    eps = flips(direction)
    told = {
        "A": direction,
        "alpha": krippendorff(counts, own.group, own.item),
        "eps": eps,
        "eps_self": flips(self_agreement(votes.repeats(every, own.kind)["same"])),
        "n": direction["n"],
    }
    if eps["value"] is None:
        return told, None
    heard = every[every.where("purpose", OURS) | every.where("annotator", imported)].of(*policy["purposes"])
    return told, Trust(direction["value"], reliabilities(heard), imported)


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
    return {names[number]: float(accuracy[number]) for number in np.unique(used.annotator)}
