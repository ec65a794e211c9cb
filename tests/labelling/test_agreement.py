"""Agreement: published values, the libraries' figures, an independent formula, and what is said when nothing can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from workbench.labelling.agreement import (
    alpha,
    cohen,
    coincidences,
    cross,
    fleiss,
    krippendorff,
    mean_cohen,
    raw_agreement,
    tally,
    wilson,
)

NONE = -1
# Krippendorff 2011: four observers, twelve units, values 1 to 5.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
# Fleiss 1971, the table with 14 raters.
FOURTEEN = np.array(
    [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
)


def own(n: int) -> np.ndarray:
    """Each unit has a prompt of its own."""
    return np.arange(n)


def published() -> np.ndarray:
    said = np.array(OBSERVERS)
    unit = np.tile(np.arange(12), 4)
    counts = tally(unit, np.where(said < 0, NONE, said - 1).ravel(), 12, 5)
    return counts[counts.sum(1) > 1]


def slow_alpha(units: list[list[int]], ordinal: bool) -> float:
    """Krippendorff's formula as it is printed, vote by vote."""
    units = [u for u in units if len(u) > 1]
    values = [v for u in units for v in u]
    often = {v: values.count(v) for v in set(values)}

    def apart(c: int, k: int) -> float:
        low, high = sorted((c, k))
        between = sum(often.get(g, 0) for g in range(low, high + 1))
        return (between - (often[c] + often[k]) / 2) ** 2 if ordinal else float(c != k)

    seen = sum(
        apart(a, b) / (len(u) - 1) for u in units for i, a in enumerate(u) for j, b in enumerate(u) if i != j
    ) / len(values)
    by_chance = sum(often[c] * often[k] * apart(c, k) for c in often for k in often)
    return 1 - seen * len(values) * (len(values) - 1) / by_chance


@pytest.mark.parametrize(("ordinal", "value"), [(False, 0.743), (True, 0.815)])
def test_krippendorffs_own_example(ordinal: bool, value: float) -> None:
    [found] = alpha(coincidences(published()).sum(0)[None], 5, ordinal)
    assert found == pytest.approx(value, abs=5e-4)


def test_the_classic_tables() -> None:
    thirty = np.tile(FOURTEEN, (3, 1))
    found = fleiss(thirty, own(30))
    assert found["value"] == pytest.approx(0.210, abs=5e-4)
    assert found["low"] < 0.210 < found["high"]
    found = cohen([[20, 5], [10, 15]])
    assert (found["value"], found["n"]) == (pytest.approx(0.4), 50)
    assert (found["low"], found["high"]) == (pytest.approx(0.151, abs=5e-4), pytest.approx(0.649, abs=5e-4))
    assert wilson(27, 50) == {
        "value": 0.54,
        "low": pytest.approx(0.404, abs=5e-4),
        "high": pytest.approx(0.670, abs=5e-4),
        "n": 50,
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=2, max_size=12).filter(
        lambda units: len({v for u in units if len(u) > 1 for v in u}) > 1
    ),
    st.booleans(),
)
def test_alpha_is_the_printed_formula(units: list[list[int]], ordinal: bool) -> None:
    counts = np.array([[u.count(c) for c in range(4)] for u in units])
    sums = coincidences(counts[counts.sum(1) > 1]).sum(0)
    assert alpha(sums[None], 4, ordinal)[0] == pytest.approx(slow_alpha(units, ordinal))


def votes(rng: np.random.Generator, n: int, m: int, right: float) -> np.ndarray:
    """(n, m) votes for 0 or 1, each right with this chance; what is right is drawn as by a hash."""
    truth = rng.integers(0, 2, (n, 1))
    return np.where(rng.random((n, m)) < right, truth, 1 - truth)


def counted(said: np.ndarray, k: int = 2) -> np.ndarray:
    return np.stack([(said == c).sum(1) for c in range(k)], 1)


def test_sorting_by_hash_and_leaving_out_third_votes_matter() -> None:
    rng = np.random.default_rng(7)
    said = votes(rng, 40_000, 3, 0.75)
    counts = counted(said[:, :2])
    raw, nominal = raw_agreement(counts, own(40_000)), krippendorff(counts, own(40_000))
    assert raw["value"] == pytest.approx(0.625, abs=0.01)
    assert nominal["value"] == pytest.approx(2 * raw["value"] - 1, abs=0.001)
    first_right = counted((rng.random((40_000, 2)) > 0.75).astype(int))  # chosen first: 0 is right
    assert krippendorff(first_right, own(40_000))["value"] == pytest.approx(0.0, abs=0.02)
    tied = said[:, 0] != said[:, 1]
    third = counts + tied[:, None] * counted(said[:, 2:])
    agreed = (third.max(1) >= 2) & (third.sum(1) == 2)
    majority = np.where(agreed, 1.0, 1 / 3).mean()  # of three votes 2-1, one pair of three agrees
    assert majority == pytest.approx(0.75, abs=0.01)
    assert raw_agreement(third, own(40_000))["value"] == pytest.approx(majority)
    assert krippendorff(third, own(40_000))["value"] == pytest.approx(0.37, abs=0.01)


def test_fleiss_takes_the_most_common_number_of_votes() -> None:
    rng = np.random.default_rng(1)
    three, two = counted(votes(rng, 60, 3, 0.8)), counted(votes(rng, 40, 2, 0.8))
    found = fleiss(np.r_[three, two], own(100))
    assert found["value"] == pytest.approx(fleiss_kappa(three))
    assert found["n"] == 60


def test_cohen_per_pair_and_their_weighted_mean() -> None:
    rng = np.random.default_rng(2)
    said = votes(rng, 90, 3, 0.8)
    unit, who = np.repeat(np.arange(90), 3), np.tile(np.arange(3), 90)
    shares = said.ravel().copy()
    present = ~((who == 2) & (unit >= 50))  # the third saw 50 units
    tables = cross(unit[present], who[present], shares[present], 3, 2)
    pairs = [tables[a, b] for a in range(3) for b in range(a)]
    expected = {
        (1, 0): cohen_kappa_score(said[:, 1], said[:, 0]),
        (2, 0): cohen_kappa_score(said[:50, 2], said[:50, 0]),
        (2, 1): cohen_kappa_score(said[:50, 2], said[:50, 1]),
    }
    assert [cohen(t)["value"] for t in pairs] == pytest.approx(list(expected.values()))
    mean = mean_cohen(pairs)
    assert mean["value"] == pytest.approx(np.average(list(expected.values()), weights=[90, 50, 50]))
    assert mean["n"] == 190
    assert mean_cohen([tables[0, 1]])["low"] == pytest.approx(cohen(tables[0, 1])["low"])


def test_what_cannot_be_said_is_not_said() -> None:
    same, none = np.tile([2, 0], (40, 1)), np.zeros((0, 2), int)
    assert krippendorff(same, own(40)) == fleiss(same, own(40)) == {"value": None, "why": "all_same", "n": 40}
    assert raw_agreement(same, own(40))["value"] == 1.0
    few = np.tile([[2, 0], [1, 1]], (14, 1))
    for figure in (raw_agreement, krippendorff, fleiss):
        assert figure(few, own(28)) == {"value": None, "why": "needs_30", "n": 28}
        assert figure(none, own(0)) == {"value": None, "why": "needs_30", "n": 0}
    assert cohen([[5, 5], [5, 4]]) == {"value": None, "why": "needs_20", "n": 19}
    assert cohen([[25, 0], [0, 0]]) == {"value": None, "why": "all_same", "n": 25}
    assert cohen([[25, 0], [0, 25]]) == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 50}
    assert cohen([[25, 5], [0, 0]])["value"] == 0.0  # one of the two always says the same
    assert mean_cohen([]) == {"value": None, "why": "needs_20", "n": 0}
    assert wilson(0, 0) == {"value": None, "why": "no_votes", "n": 0}


def test_single_votes_are_dropped_and_negative_values_shown() -> None:
    against = np.tile([1, 1], (40, 1))
    with_singles = np.r_[against, np.tile([1, 0], (60, 1))]
    assert krippendorff(with_singles, own(100)) == krippendorff(against, own(40))
    assert krippendorff(against, own(40))["value"] == pytest.approx(1 - 79 / 40)  # never agreed, half each: below -0.9
    assert raw_agreement(with_singles, own(100))["n"] == 40


def test_the_interval_is_that_of_drawing_items_one_by_one() -> None:
    rng = np.random.default_rng(3)
    counts = counted(votes(rng, 300, 3, 0.75))
    found = krippendorff(counts, own(300))
    assert found == krippendorff(counts, own(300))
    sums = coincidences(counts)
    drawn = [alpha(sums[rng.integers(0, 300, 300)].sum(0)[None], 2, False)[0] for _ in range(2000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=0.012), pytest.approx(high, abs=0.012))


def test_items_of_one_prompt_are_drawn_together() -> None:
    counts = counted(votes(np.random.default_rng(4), 200, 2, 0.75))
    alone, twice = krippendorff(counts, own(200)), np.repeat(counts, 2, axis=0)
    together = krippendorff(twice, np.repeat(own(200), 2))
    apart = krippendorff(twice, own(400))
    width = {name: e["high"] - e["low"] for name, e in {"one": alone, "both": together, "apart": apart}.items()}
    assert together["n"] == 400
    assert krippendorff(twice, np.repeat(own(200), 2), np.repeat(own(200), 2))["n"] == 200
    assert width["both"] == pytest.approx(width["one"], rel=0.05)
    assert width["apart"] == pytest.approx(width["one"] / 2**0.5, rel=0.1)
    raw = raw_agreement(twice, np.repeat(own(200), 2))
    assert raw["high"] - raw["low"] > 1.3 * (wilson(250, 400)["high"] - wilson(250, 400)["low"])
