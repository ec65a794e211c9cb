"""What else than quality goes with a choice: the side, the length, the style of an answer. Pure.

Leaves out which votes count (`report`) and counting in texts (`store.votes`). All of it is association: longer answers
may be better.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.labelling.agreement import Estimate, wilson

Array = NDArray[Any]

STYLE = ("length", "headers", "list_items", "bold", "code_blocks")
LEAST, LEAST_OWN = 200, 100  # decisive votes for the style of all, and of one annotator
APART = 30  # characters from which on one answer is the longer
WIDEST = 10.0  # a log odds ratio per 0.1 that nobody believes: the votes are separated


def tested(part: int, whole: int) -> Estimate:
    """A share with its Wilson interval, and `p` of the exact two-sided test against one half."""
    from scipy.stats import binomtest

    found = wilson(part, whole)
    return found | {"p": float(binomtest(int(part), int(whole)).pvalue) if whole else None}


def side(left_won: Array) -> Estimate:
    """Share of decisive votes for the answer on the left."""
    return tested(left_won.sum(), len(left_won))


def longer(won: Array, lost: Array) -> Estimate:
    """Share in which the longer answer won, of those that differ by more than 30 characters."""
    apart = np.abs(won - lost) > APART
    return tested((won > lost)[apart].sum(), apart.sum())


def style_odds(left_won: Array, left: Array, right: Array, group: Array, least: int = LEAST) -> Any:
    """Odds of the left answer per 0.1 more of (L - R) / (L + R) of each part of style; `side` is the intercept.

    left, right     (n, 5), a column per name in STYLE
    group           (n,) prompts; standard errors are robust to votes on one prompt

    {"why"} where there are too few votes, or where the style of an answer foretells every vote.
    """
    if len(left_won) < least:
        return {"why": f"needs_{least}"}
    both = left + right
    x = np.where(both > 0, (left - right) / np.where(both > 0, both, 1), 0.0)
    told = x.std(0) > 0
    design = np.c_[np.ones(len(x)), x[:, told] * 10]
    if left_won.all() or not left_won.any() or np.linalg.matrix_rank(design) < design.shape[1]:
        return {"why": "not_estimable"}
    found = fitted(left_won.astype(float), design, np.unique(group, return_inverse=True)[1])
    if found is None:
        return {"why": "not_estimable"}
    names = ["side", *(name for name, used in zip(STYLE, told, strict=True) if used)]
    return [
        {"name": name, "odds": float(odds), "low": float(low), "high": float(high)}
        for name, odds, (low, high) in zip(names, np.exp(found[0]), np.exp(found[1]), strict=True)
    ]


def fitted(y: Array, x: Array, group: Array) -> tuple[Array, Array] | None:
    """Coefficients and their 95 % intervals of a logistic regression; none when it does not settle."""
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fit = Logit(y, x).fit(disp=0, cov_type="cluster", cov_kwds={"groups": group})
        except (PerfectSeparationError, np.linalg.LinAlgError):
            return None
        limits = fit.conf_int()
    settled = fit.mle_retvals["converged"] and np.isfinite(limits).all() and np.abs(limits).max() < WIDEST
    return (fit.params, limits) if settled else None
