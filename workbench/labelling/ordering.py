"""Which item next, where a reward model has a say: three policies and the draw between them. Leaves out the queue.

Section 7 of the plan: large gaps are taken first, labels that the model contradicts are asked again, and the control
arm goes on in hash order, so that what is tested and compared never depends on a model.
"""

from bisect import insort

import numpy as np

from workbench.labelling.places import Places
from workbench.store.scores import Scores

SHARES = {"large_gap": 0.5, "rm_conflict": 0.2, "control": 0.3}


def policy_of(draw: float) -> str:
    """The policy of the next fresh item, for a draw from [0, 1)."""
    bound = 0.0
    for policy, share in SHARES.items():
        bound += share
        if draw < bound:
            return policy
    return "control"


def large_gap(scores: Scores) -> np.ndarray:
    """Items outside the control arm, those first whose best and worst answers the model holds farthest apart."""
    return _descending(scores.item, scores.gap, ~scores.control)


class Order:
    """What a reward model wishes of one line, by place: gaps first, labels it contradicts again, the rest as it stands.

    conflicts   (p of the label, place), the most surprising first: by -ln p, where p < 1/2
    again       place -> whose label is contradicted

    Only by a model that has not learnt them: `Scores.p_first`.
    """

    def __init__(self, scores: Scores, places: Places) -> None:
        self.p_first = np.full(len(places), np.nan, np.float32)
        here = (at := places.of_many(scores.item)) >= 0
        self.p_first[at[here]] = scores.p_first[here]
        gap = places.of_many(large_gap(scores))
        control = np.ones(len(places), bool)
        control[gap[gap >= 0]] = False
        self.ways = {"large_gap": gap[gap >= 0], "control": np.flatnonzero(control)}
        self.conflicts: list[tuple[float, int]] = []
        self.again: dict[int, str] = {}

    def way(self, policy: str) -> np.ndarray:
        """Places, the most wanted first."""
        if policy == "rm_conflict":
            return np.array([place for _, place in self.conflicts], np.int64)
        return self.ways[policy]

    def against(self, places: np.ndarray, word: str | None) -> np.ndarray:
        """Those of these places where the model contradicts this word."""
        if word not in ("0", "1"):
            return places[:0]
        p = self.p_first[places] if word == "0" else 1 - self.p_first[places]
        return places[p < 0.5]

    def heard(self, place: int, word: str, annotator: str) -> None:
        """Somebody labelled it: if the model contradicts, one label more is needed."""
        if place not in self.again and len(self.against(np.array([place]), word)):
            p = float(self.p_first[place])
            insort(self.conflicts, (p if word == "0" else 1 - p, place))
            self.again[place] = annotator

    def unheard(self, place: int, annotator: str) -> None:
        """A label was taken back."""
        if self.again.get(place) == annotator:
            del self.again[place]
            self.conflicts = [conflict for conflict in self.conflicts if conflict[1] != place]


def _descending(items: np.ndarray, by: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Equal ones in the order of their numbers."""
    found = np.flatnonzero(where)
    return items[found[np.argsort(-by[found], kind="stable")]]
