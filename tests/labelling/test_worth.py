"""The curve through errors: by hand, what is not predictable, and subsets that grow by whole groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.labelling.worth import MORE, SHARES, curve, fitted, law, projected, subsets

# err(n) = 0.1 + 0.9 / sqrt(n): 0.4, 0.19 and 0.13 at 9, 100 and 900
HAND = {"a": 0.1, "b": 0.9, "c": 0.5}
N = np.array([90, 162, 288, 504, 900])


def test_the_law_by_hand():
    assert [float(law(n, **HAND)) for n in (9, 100, 900)] == pytest.approx([0.4, 0.19, 0.13])


@pytest.mark.parametrize("true", [(0.1, 0.9, 0.5), (0.0, 2.0, 0.3), (0.2, 3.0, 1.0), (0.05, 0.4, 0.1)])
def test_a_law_is_found_again_and_predicts(true):
    error = law(N, *true)
    assert law(np.array([*N, 3000]), *fitted(N, error)) == pytest.approx(law(np.array([*N, 3000]), *true), abs=2e-3)
    found = curve(N, error)
    assert found["predictable"]
    assert found["missed"] < 1e-3


def test_what_labels_do_not_change_stays():
    found = curve(N, np.full(5, 0.5))
    assert found["predictable"]
    assert projected(found["law"], 900, None)[-1]["error"] == pytest.approx(0.5, abs=1e-3)


def test_a_curve_that_misses_the_largest_subset_predicts_nothing():
    error = law(N, **HAND)
    assert not curve(N, error + np.array([0, 0, 0, 0, 0.025]))["predictable"]
    assert curve(N, error + np.array([0, 0, 0, 0, 0.015]))["predictable"]
    assert curve(N, error + np.array([0, 0, 0, 0, 0.025]))["missed"] == pytest.approx(0.025, abs=1e-3)


def test_more_labels_take_time_and_leave_less_error():
    # at 36 s a label, 100 take an hour; 0.1 + 0.9 / sqrt(1400) = 0.1241
    found = projected(HAND, 900, 36.0)
    assert [row["more"] for row in found] == [0, *MORE]
    assert [row["hours"] for row in found] == [0.0, 1.0, 5.0, 20.0]
    assert [row["error"] for row in found][0::2] == pytest.approx([0.13, 0.1241], abs=1e-4)
    assert projected(HAND, 900, None)[1]["hours"] is None


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(0, 5))
def test_subsets_grow_by_whole_groups(groups, seed):
    group = np.array(groups)
    found = subsets(group, seed)
    assert len(found) == len(SHARES)
    assert found[-1].tolist() == list(range(len(group)))
    for share, rows, wider in zip(SHARES, found, [*found[1:], found[-1]], strict=True):
        assert set(rows) <= set(wider)
        assert not set(group[rows]) & set(np.delete(group, rows))
        assert share * len(group) - 1e-6 <= len(rows) < share * len(group) + np.bincount(group).max()


def test_seeds_draw_different_subsets_and_the_same_again():
    group = np.arange(100)
    one, other, again = (subsets(group, seed)[0].tolist() for seed in (0, 1, 0))
    assert one == again != other
    assert len(one) == 10


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_no_errors_break_the_curve_nor_rise_with_labels(errors):
    found = curve(N, np.array(errors))
    if found["law"]:
        after = [row["error"] for row in projected(found["law"], 900, 10.0)]
        assert after == sorted(after, reverse=True)
        assert all(-1e-9 <= error <= 2 for error in after)
