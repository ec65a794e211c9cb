"""Bias: shares by hand, planted preferences found again, and separation seen."""

import numpy as np
import pytest

from workbench.labelling.bias import longer, side, style_odds


def test_sides_by_hand() -> None:
    found = side(np.array([True] * 8 + [False] * 2))
    assert (found["value"], found["n"]) == (0.8, 10)
    assert found["p"] == pytest.approx(2 * (45 + 10 + 1) / 1024)
    assert side(np.zeros(0, bool)) == {"value": None, "why": "no_votes", "n": 0, "p": None}


@pytest.mark.parametrize(("n", "half"), [(2401, 0.02), (385, 0.05)])
def test_how_many_votes_a_side_needs(n: int, half: float) -> None:
    found = side(np.arange(n) % 2 == 0)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, abs=5e-4)


@pytest.mark.parametrize(("left", "n", "low", "high"), [(1343, 2592, 0.499, 0.537), (17320, 34297, 0.499, 0.510)])
def test_two_public_sets(left: int, n: int, low: float, high: float) -> None:
    found = side(np.arange(n) < left)
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_only_pairs_that_differ_in_length_count() -> None:
    won, lost = np.array([100, 100, 131, 130, 10]), np.array([50, 200, 100, 100, 500])
    found = longer(won, lost)  # longer, shorter, longer by 31, by 30 only, shorter
    assert (found["value"], found["n"]) == (0.5, 4)


def texts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths, headers, list items, bold spans; no code blocks anywhere."""
    return tuple(np.c_[rng.integers(50, 800, n), rng.poisson(1, (n, 3)), np.zeros(n)] for _ in range(2))


def test_a_planted_style_is_found_and_the_side_apart_from_it() -> None:
    rng = np.random.default_rng(4)
    left, right = texts(rng, 6000)
    part = (left[:, 0] - right[:, 0]) / (left[:, 0] + right[:, 0])
    p = 1 / (1 + np.exp(-(0.4 + 2.0 * part)))  # exp(0.4) for the side, exp(0.2) per 0.1 of length
    found = style_odds(rng.random(6000) < p, left, right, np.arange(6000))
    assert [row["name"] for row in found] == ["side", "length", "headers", "list_items", "bold"]
    for row, planted in zip(found, np.exp([0.4, 0.2, 0, 0, 0]), strict=True):
        assert row["low"] <= planted <= row["high"]
    assert found[1]["low"] > 1.1


def test_votes_on_one_prompt_are_not_independent() -> None:
    rng = np.random.default_rng(2)
    left, right = texts(rng, 500)
    won = rng.random(500) < 0.6
    once = style_odds(won, left, right, np.arange(500))
    twice = [np.repeat(x, 2, axis=0) for x in (won, left, right)]
    together = style_odds(*twice, np.repeat(np.arange(500), 2))
    width = [np.log(found[0]["high"] / found[0]["low"]) for found in (once, together)]
    assert width[1] == pytest.approx(width[0], rel=0.02)


def test_what_cannot_be_estimated_is_not() -> None:
    rng = np.random.default_rng(3)
    left, right = texts(rng, 300)
    coin = rng.random(300) < 0.5
    assert style_odds(coin[:199], left[:199], right[:199], np.arange(199)) == {"why": "needs_200"}
    assert isinstance(style_odds(coin[:150], left[:150], right[:150], np.arange(150), 100), list)
    separated = left[:, 0] > right[:, 0]  # the longer one always wins
    assert style_odds(separated, left, right, np.arange(300)) == {"why": "not_estimable"}
    assert style_odds(np.ones(300, bool), left, right, np.arange(300)) == {"why": "not_estimable"}
