"""Noise: known points, planted flips and accuracies found again, soft labels worked by hand."""

from math import sqrt

import numpy as np
import pytest

from workbench.labelling.agreement import unknown, wilson
from workbench.labelling.noise import (
    dawid_skene,
    flip_rate,
    flips,
    p_posterior,
    p_share,
    self_agreement,
    taste,
)


@pytest.mark.parametrize(("agreement", "eps"), [(0.726, 0.164), (0.657, 0.220), (0.773, 0.131), (1.0, 0.0)])
def test_known_points(agreement: float, eps: float) -> None:
    assert flip_rate(agreement) == pytest.approx(eps, abs=6e-4)


@pytest.mark.parametrize(("n", "low", "high"), [(100, 0.097, 0.220), (500, 0.122, 0.176), (1000, 0.129, 0.167)])
def test_the_interval_at_three_quarters(n: int, low: float, high: float) -> None:
    found = flips(wilson(round(0.75 * n), n))
    assert found["value"] == pytest.approx((1 - sqrt(0.5)) / 2)
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


def test_what_cannot_be_said_is_not_said() -> None:
    assert flips(wilson(40, 49)) == {"value": None, "why": "needs_50", "n": 49}
    assert flips(wilson(300, 600)) == {"value": None, "why": "not_identifiable", "n": 600}
    assert flips(wilson(33, 60)) == {"value": None, "why": "not_identifiable", "n": 60}  # the interval reaches 0.5
    assert flips(unknown("needs_30", 3)) == {"value": None, "why": "needs_50", "n": 3}
    assert taste(wilson(300, 600), wilson(90, 100))["why"] == "not_identifiable"
    assert taste(wilson(90, 100), unknown("needs_50", 7)) == {"value": None, "why": "needs_50", "n": 7}
    assert self_agreement(np.ones(49, bool))["why"] == "needs_50"


def test_noise_and_taste_come_apart() -> None:
    # eps = 0.12 and tau = 0.15: 2R - 1 = 0.76^2 = 0.5776, 2A - 1 = 0.7 * 0.5776
    n = 100_000
    self, others = wilson(round(0.7888 * n), n), wilson(round(0.70216 * n), n)
    assert flips(self)["value"] == pytest.approx(0.120, abs=1e-3)
    assert flips(others)["value"] == pytest.approx(0.182, abs=1e-3)
    assert taste(others, self)["value"] == pytest.approx(0.150, abs=1e-3)
    assert taste(wilson(95, 100), wilson(80, 100))["value"] == 0.0  # agrees more with others than with oneself


def test_the_interval_of_taste_covers() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        found = taste(wilson(rng.binomial(600, 0.70216), 600), wilson(rng.binomial(300, 0.7888), 300))
        inside += found["low"] <= 0.15 <= found["high"]
    assert inside >= 0.93 * 400


def flipped(rng: np.random.Generator, truth: np.ndarray, eps: float) -> np.ndarray:
    return np.where(rng.random(truth.shape) < eps, 1 - truth, truth)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.2, 0.3])
def test_planted_flips_are_found_within_the_interval(eps: float) -> None:
    rng = np.random.default_rng(11)
    truth = rng.integers(0, 2, 800)
    found = flips(wilson((flipped(rng, truth, eps) == flipped(rng, truth, eps)).sum(), 800))
    assert found["low"] - 1e-9 <= eps <= found["high"]


def test_three_hundred_items_find_a_fifth_of_flips() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (100, 300))
    agree = (flipped(rng, truth, 0.2) == flipped(rng, truth, 0.2)).sum(1)
    found = [flips(wilson(k, 300))["value"] for k in agree]
    assert sum(eps is not None and abs(eps - 0.2) <= 0.05 for eps in found) >= 90


def team(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, planted accuracies, and (item, annotator, vote): 30 % of the items twice, and a third time if split."""
    rng = np.random.default_rng(seed)
    planted, truth = np.linspace(0.60, 0.95, 12), rng.integers(0, 2, 5000)
    who = rng.random((5000, 12)).argsort(1)[:, :3]
    vote = np.where(rng.random((5000, 3)) < planted[who], truth[:, None], 1 - truth[:, None])
    cast = np.ones((5000, 3), bool)
    cast[:, 1] = rng.random(5000) < 0.3
    cast[:, 2] = cast[:, 1] & (vote[:, 0] != vote[:, 1])
    return truth, planted, np.stack([np.nonzero(cast)[0], who[cast], vote[cast]])


def test_planted_accuracies_are_recovered() -> None:
    errors = []
    for seed in range(10):
        truth, planted, (unit, who, vote) = team(seed)
        right, accuracy = dawid_skene(unit, who, vote, 5000, 12)
        errors.append(np.abs(accuracy - planted).max())
        assert ((right > 0.5) == truth).mean() > 0.75
        assert (accuracy >= 0.55).all()
        assert (accuracy <= 0.98).all()
    assert np.median(errors) <= 0.075
    assert max(errors) <= 0.13


def test_dawid_skene_of_nobody() -> None:
    none = np.zeros(0, int)
    right, accuracy = dawid_skene(none, none, none, 2, 1)
    assert right.tolist() == [0.5, 0.5]
    assert accuracy.tolist() == [0.8]


@pytest.mark.parametrize(
    ("wins", "ties", "n", "p"),
    [
        (1, 0, 1, 0.75),
        (2, 0, 2, 0.8333),
        (3, 0, 3, 0.875),
        (2, 0, 3, 0.625),
        (1, 1, 2, 0.6667),
        (0, 2, 2, 0.5),
        (0, 0, 1, 0.5),
    ],
)
def test_shares_by_hand(wins: int, ties: int, n: int, p: float) -> None:
    assert p_share(wins, ties, n, 0.75) == pytest.approx(p, abs=5e-5)


def test_shares_are_what_the_next_annotator_says() -> None:
    # each item has its own chance x of a vote for 1, x ~ Beta(a, a), so that two agree with chance A = 0.75
    rng = np.random.default_rng(9)
    a = 0.5
    x = rng.beta(a, a, 400_000)
    first, second, third, next_one = (rng.random(x.shape) < x for _ in range(4))
    assert (first == second).mean() == pytest.approx(0.75, abs=0.003)
    two, split = first & second, (first.astype(int) + second + third) == 2
    assert next_one[first].mean() == pytest.approx(p_share(1, 0, 1, 0.75), abs=0.003)
    assert next_one[two].mean() == pytest.approx(p_share(2, 0, 2, 0.75), abs=0.003)
    assert next_one[split].mean() == pytest.approx(p_share(2, 0, 3, 0.75), abs=0.004)


def test_posteriors_by_hand() -> None:
    assert p_posterior([0.84], []) == pytest.approx(0.84)
    assert p_posterior([0.84, 0.84], []) == pytest.approx(0.965, abs=5e-4)
    assert p_posterior([0.84, 0.84], [0.84]) == pytest.approx(0.84)
    assert p_posterior([0.98] * 3, []) == 0.99
    assert p_posterior([0.6], [0.9]) == p_posterior([], []) == 0.5
