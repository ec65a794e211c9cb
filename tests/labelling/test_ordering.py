"""Three policies and the draw between them: by hand, then what must hold of any scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.labelling.ordering import SHARES, large_gap, policy_of, rm_conflict
from workbench.store.scores import Scores


def told(p: list[float], gap: list[float], control: list[bool], unseen: list[bool]) -> Scores:
    columns = (np.array(gap), np.array(p), np.array(control, bool), np.array(unseen, bool))
    return Scores("judge", np.arange(1, len(p) + 1), *columns)


FOUR = told([0.9, 0.2, 0.6, np.nan], [2.2, 1.4, 0.4, 3.0], [False, True, False, False], [True, True, True, True])


def test_the_largest_gaps_come_first_and_the_control_arm_not_at_all():
    assert large_gap(FOUR).tolist() == [4, 1, 3]


def test_labels_that_the_model_contradicts_come_by_its_surprise():
    # it gives the labels 0.1, 0.8 and 0.4; the ranking has no p
    assert rm_conflict(FOUR, {1: 1, 2: 1, 3: 1, 4: 0}).tolist() == [1, 3]
    assert rm_conflict(FOUR, {}).tolist() == []


def test_a_model_contradicts_only_what_it_has_not_learnt():
    scores = told([0.9, 0.9], [2.2, 2.2], [False] * 2, [False, True])
    assert rm_conflict(scores, {1: 1, 2: 1}).tolist() == [2]


@pytest.mark.parametrize(
    ("draw", "policy"),
    [
        (0.0, "large_gap"),
        (0.499, "large_gap"),
        (0.5, "rm_conflict"),
        (0.699, "rm_conflict"),
        (0.71, "control"),
        (0.999, "control"),
    ],
)
def test_half_by_gap_a_fifth_by_conflict_the_rest_in_order(draw, policy):
    assert policy_of(draw) == policy


def test_draws_fall_as_the_shares_say():
    draws = [policy_of(i / 1000) for i in range(1000)]
    assert {policy: draws.count(policy) / 1000 for policy in SHARES} == SHARES


ROWS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 9), st.booleans(), st.booleans(), st.sampled_from([0, 1])), min_size=1
)


@given(ROWS)
def test_orders_hold_each_item_once_and_never_rise(rows):
    p, gap, control, unseen, label = map(list, zip(*rows, strict=True))
    scores, labels = told(p, gap, control, unseen), dict(enumerate(label, 1))
    gaps = large_gap(scores).tolist()
    assert sorted(gaps) == [i for i, held in enumerate(control, 1) if not held]
    assert [gap[i - 1] for i in gaps] == sorted((gap[i - 1] for i in gaps), reverse=True)
    chances = [p[i - 1] if labels[i] == 0 else 1 - p[i - 1] for i in rm_conflict(scores, labels).tolist()]
    assert chances == sorted(chances)
    assert all(chance < 0.5 for chance in chances)


def test_a_million_items_are_ordered_within_seconds():
    drawn = np.random.default_rng(0)
    n = 1_000_000
    scores = Scores("judge", np.arange(n), drawn.random(n), drawn.random(n), drawn.random(n) < 0.2, np.ones(n, bool))
    assert len(large_gap(scores)) == (~scores.control).sum()
    assert len(rm_conflict(scores, dict.fromkeys(range(0, n, 10), 0))) > 0
