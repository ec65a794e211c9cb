"""Which item next, where a reward model has a say: three policies and the draw between them. Leaves out the queue.

Section 7 of the plan: large gaps are taken first, labels that the model contradicts are asked again, and the control
arm goes on in hash order, so that what is tested and compared never depends on a model.
"""

from bisect import insort
from collections.abc import Mapping

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


def rm_conflict(scores: Scores, labels: Mapping[int, int]) -> np.ndarray:
    """Labelled pairs that the model contradicts, most surprised first: by -ln p(label), where p(label) < 1/2.

    labels   item -> the candidate that was chosen; ties and both-bad contradict nobody and are left out by the caller

    Only pairs from whose label the model has not learnt: a model seldom contradicts what it was taught.
    """
    chosen = np.array([labels.get(item, -1) for item in scores.item.tolist()], np.int64)
    p = np.where(chosen == 0, scores.p_first, 1 - scores.p_first)
    against = (chosen >= 0) & scores.unseen & (p < 0.5)
    return _descending(scores.item, -p, against)


class Order:
    """What a reward model wishes of one line, by place: gaps first, labels it contradicts again, the rest as it stands.

    conflicts   (p of the label, place), the most surprising first; kept up to date with every label
    """

    def __init__(self, scores: Scores, labels: Mapping[int, int], places: Places) -> None:
        self.p_first = np.full(len(places), np.nan, np.float32)
        here = (at := places.of_many(scores.item)) >= 0
        self.p_first[at[here]] = np.where(scores.unseen, scores.p_first, np.nan)[here]
        gap = places.of_many(large_gap(scores))
        control = np.ones(len(places), bool)
        control[gap[gap >= 0]] = False
        self.ways = {"large_gap": gap[gap >= 0], "control": np.flatnonzero(control)}
        self.conflicts: list[tuple[float, int]] = []
        self.again: set[int] = set()
        for item in rm_conflict(scores, labels).tolist():
            if (place := places.of(item)) is not None:
                self.heard(place, str(labels[item]))

    def way(self, policy: str) -> np.ndarray:
        """Places, the most wanted first."""
        if policy == "rm_conflict":
            return np.array([place for _, place in self.conflicts], np.int64)
        return self.ways[policy]

    def heard(self, place: int, word: str) -> None:
        """Somebody labelled it: if the model contradicts, one label more is needed."""
        if word not in ("0", "1") or place in self.again:
            return
        p = float(self.p_first[place] if word == "0" else 1 - self.p_first[place])
        if p < 0.5:
            insort(self.conflicts, (p, place))
            self.again.add(place)

    def unheard(self, place: int) -> None:
        """A label was taken back."""
        if place in self.again:
            self.again.remove(place)
            self.conflicts = [conflict for conflict in self.conflicts if conflict[1] != place]


def _descending(items: np.ndarray, by: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Equal ones in the order of their numbers."""
    found = np.flatnonzero(where)
    return items[found[np.argsort(-by[found], kind="stable")]]
