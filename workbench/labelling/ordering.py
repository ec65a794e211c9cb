"""Which item next, where a reward model has a say: three policies and the draw between them. Leaves out the queue.

Section 7 of the plan: large gaps are taken first, labels that the model contradicts are asked again, and the control
arm goes on in hash order, so that what is tested and compared never depends on a model.
"""

from collections.abc import Mapping

import numpy as np

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


def _descending(items: np.ndarray, by: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Equal ones in the order of their numbers."""
    found = np.flatnonzero(where)
    return items[found[np.argsort(-by[found], kind="stable")]]
