"""Win rates by hand, then their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evaluation.ratings import Tally, win_rate


def test_seven_of_ten_by_hand():
    # centre (0.7 + 1.96^2/20) / (1 + 1.96^2/10) = 0.6445;  half width 0.2478
    rate, low, high = win_rate(Tally(wins=7, losses=3, ties=5, both_bad=2))
    assert rate == 0.7
    assert low == pytest.approx(0.3968, abs=1e-4)
    assert high == pytest.approx(0.8922, abs=1e-4)


def test_no_decided_vote_is_no_rate():
    assert win_rate(Tally(ties=9, both_bad=1)) is None


@given(st.integers(0, 500), st.integers(0, 500))
def test_swapping_the_models_mirrors_the_rate(wins, losses):
    if wins + losses:
        rate, low, high = win_rate(Tally(wins, losses))
        other, other_low, other_high = win_rate(Tally(losses, wins))
        assert (other, other_low, other_high) == pytest.approx((1 - rate, 1 - high, 1 - low))
        assert 0 <= low <= rate <= high <= 1
