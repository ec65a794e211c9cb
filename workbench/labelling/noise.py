"""From agreement to how often a label is flipped, by chance and by taste, and how far to trust each annotator.

Pure. Leaves out which votes count (`report`) and writing soft labels (`store.snapshots`).
"""

from math import exp, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.labelling.agreement import Estimate, estimate, unknown, wilson

Array = NDArray[Any]

LEAST = 50  # overlap items, or repeats, behind any figure
CERTAIN = 0.99
FIXED = (0.55, 0.98)  # reliabilities stay inside
ROUNDS, DELTA = 100, 1e-6


def flip_rate(agreement: float) -> float:
    """The chance eps that one vote is flipped when two agree with chance A: A = 1 - 2 eps (1 - eps).

        eps = (1 - sqrt(2 A - 1)) / 2

    A in (0.5, 1]. A = 0.726 gives 0.164.
    """
    return (1 - sqrt(2 * agreement - 1)) / 2


def flips(agreement: Estimate) -> Estimate:
    """`flip_rate` with its interval; unknown below 50 items, or when the interval of A reaches 0.5."""
    n = agreement["n"]
    if n < LEAST or agreement["value"] is None:
        return unknown(agreement.get("why", "") if n >= LEAST else f"needs_{LEAST}", n)
    if agreement["low"] <= 0.5:
        return unknown("not_identifiable", n)
    return estimate(*(flip_rate(agreement[key]) for key in ("value", "high", "low")), n)


def self_agreement(same: Array) -> Estimate:
    """R: the share of reversed repeats that say what the first vote said. Memory makes it too high."""
    return wilson(same.sum(), len(same)) if len(same) >= LEAST else unknown(f"needs_{LEAST}", len(same))


def taste(others: Estimate, self: Estimate) -> Estimate:
    """The chance tau that two people differ although neither erred.

        tau = (1 - (2 A - 1) / (2 R - 1)) / 2, at least 0

    others, self     A, agreement with others, and R, with oneself
    The interval is that of the logarithm of the ratio, from the distances of both limits (Donner and Zou 2012).
    """
    if flips(others)["value"] is None or flips(self)["value"] is None:
        worst = next(e for e in (flips(self), flips(others)) if e["value"] is None)
        return unknown(worst["why"], worst["n"])
    a, a_low, a_high = (log(2 * others[key] - 1) for key in ("value", "low", "high"))
    r, r_low, r_high = (log(2 * self[key] - 1) for key in ("value", "low", "high"))
    low = a - r - sqrt((a - a_low) ** 2 + (r_high - r) ** 2)
    high = a - r + sqrt((a_high - a) ** 2 + (r - r_low) ** 2)
    shares = (max(0.0, (1 - exp(ratio)) / 2) for ratio in (a - r, high, low))
    return estimate(*shares, min(others["n"], self["n"]))


def dawid_skene(unit: Array, who: Array, vote: Array, units: int, people: int) -> tuple[Array, Array]:
    """One-coin Dawid-Skene: (units,) chance that 1 is right, (people,) chance that an annotator is.

    unit, who, vote     one row per vote; vote is 0 or 1

        start   mu_i = (votes for 1 + 1/2) / (votes + 1)
        M       pi_a = (expected correct + 4) / (votes + 5), in [0.55, 0.98]
        E       logit mu_i = sum of +- ln(pi_a / (1 - pi_a))

    Source: Dawid and Skene 1979, with one accuracy per annotator and a Beta(4, 1) start.
    """
    cast, given = np.bincount(unit, minlength=units), np.bincount(who, minlength=people)
    right = (np.bincount(unit, vote, minlength=units) + 0.5) / (cast + 1)
    for _ in range(ROUNDS):
        correct = np.bincount(who, np.where(vote == 1, right[unit], 1 - right[unit]), minlength=people)
        accuracy = np.clip((correct + 4) / (given + 5), *FIXED)
        pull = np.log(accuracy / (1 - accuracy))[who]
        before = right
        right = 1 / (1 + np.exp(-np.bincount(unit, np.where(vote == 1, pull, -pull), minlength=units)))
        if np.abs(right - before).max(initial=0) < DELTA:
            break
    return right, accuracy


def p_share(wins: int, ties: int, n: int, agreement: float) -> float:
    """The chance that the next annotator takes the chosen side, in [0.5, 0.99].

        (w + t / 2 + a) / (n + 2 a), a = (1 - A) / (2 A - 1)

    One vote gives A itself; at A = 0.75, 2-0 gives 0.833 and 2-1 gives 0.625.
    """
    a = (1 - agreement) / (2 * agreement - 1)
    return soft((wins + ties / 2 + a) / (n + 2 * a)) if n else CERTAIN


def p_posterior(wins: list[float], losses: list[float]) -> float:
    """The chance that the chosen side is right, in [0.5, 0.99], from the reliabilities of those for and against it.

    With every reliability 0.84, 2-0 gives 0.965 and 2-1 gives 0.84.
    """
    pull = sum(log(p / (1 - p)) for p in wins) - sum(log(p / (1 - p)) for p in losses)
    return soft(1 / (1 + exp(-pull))) if pull > 0 else 0.5


def soft(p: float) -> float:
    """Cut to what a loss may be told, and to six digits, which no machine or order of votes changes."""
    return round(min(CERTAIN, max(0.5, p)), 6)
