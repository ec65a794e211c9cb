"""Verdicts worked by hand, and what must hold for all votes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.verdicts import (
    Verdict,
    implied,
    not_above,
    of_pair,
    of_ranking,
    of_thumb,
    sort_votes,
    strict_pairs,
)


def pairs(*said: object, purpose: str = "label") -> list[dict]:
    """Votes: a choice, or (choice, strength)."""
    told = [(s if isinstance(s, tuple) else (s, None)) for s in said]
    return [
        {"seq": n, "annotator": f"a{n}", "kind": "pair", "purpose": purpose, "payload": {"choice": c, "strength": s}}
        for n, (c, s) in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("said", "choice", "strength", "n_agree"),
    [
        ([(0, 2)], 0, 2.0, 1),
        ([0, 0, 1], 0, None, 2),
        ([(0, 3), (0, 1), (1, 1)], 0, 1.0, 2),  # (3 + 1 - 1) / 3
        ([(0, 1), (0, 1), (1, 3)], 0, 0.0, 2),  # (1 + 1 - 3) / 3 speaks for 1, the majority for 0
        ([(1, 2), "tie"], 1, 1.0, 1),  # even; (-2 + 0) / 2
        ([(0, 3), (1, 1)], 0, 1.0, 1),  # even; (3 - 1) / 2
        ([(0, 2), (1, 2)], "tie", 0.0, 0),  # even and balanced
        ([0, 1], "tie", None, 0),  # even, nobody said how much
        (["tie", "tie", (0, 3)], "tie", 0.0, 2),
        (["both_bad", "both_bad", (0, 3)], "both_bad", 0.0, 2),
        (["both_bad", (1, 2)], 1, 2.0, 1),  # even; both bad has no place on the scale
        ([(0, 2), 0], 0, 2.0, 2),  # the mean is over those who said how much
    ],
)
def test_pairs_by_hand(said, choice, strength, n_agree) -> None:
    assert of_pair(pairs(*said)) == Verdict(len(said), "label", choice, strength, n_agree)


def test_an_adjudication_wins_and_the_newest_of_two() -> None:
    votes = pairs((0, 3), (0, 3)) + pairs((0, 1), (1, 2), purpose="adjudication")
    assert of_pair(votes) == Verdict(2, "adjudication", 1, 2.0, 0)


def test_the_source_is_the_strongest_word() -> None:
    told = {p: pairs(0, purpose=p) for p in ("import", "compare", "tiebreak")}
    assert of_pair(told["import"]).source == "import"
    assert of_pair(told["import"] + told["compare"]).source == "compare"
    assert of_pair(told["compare"] + told["tiebreak"]).source == "label"
    assert of_pair([]) is of_thumb([]) is of_ranking([]) is None


@given(st.lists(st.tuples(st.sampled_from([0, 1, "tie", "both_bad"]), st.sampled_from([1, 2, 3, None])), min_size=1))
def test_a_pair_does_not_care_for_names_or_order(said) -> None:
    flip = {0: 1, 1: 0, "tie": "tie", "both_bad": "both_bad"}
    told = of_pair(pairs(*said))
    turned = of_pair(pairs(*[(flip[c], s) for c, s in reversed(said)]))
    assert (flip[turned.choice], turned.strength, turned.n_agree) == (told.choice, told.strength, told.n_agree)
    assert told.strength is None or 0 <= told.strength <= 3


def thumbs(*labels: bool, purpose: str = "label") -> list[dict]:
    told = [{"kind": "thumb", "payload": {"candidate": 0, "label": label}} for label in labels]
    return [{"seq": n, "annotator": f"a{n}", "purpose": purpose, **t} for n, t in enumerate(told)]


def test_thumbs_by_hand() -> None:
    assert of_thumb(thumbs(True, True, False)) == Verdict(3, "label", n_agree=2, label=True, p=2 / 3)
    assert of_thumb(thumbs(True, False)) is None
    decided = of_thumb(thumbs(True, True) + thumbs(False, purpose="adjudication"))
    assert (decided.label, decided.p, decided.n_votes) == (False, 0.0, 2)


def ranks(*tiers: list[list[int]]) -> list[dict]:
    told = [{"kind": "rank", "payload": {"tiers": t}} for t in tiers]
    return [{"seq": n, "annotator": f"a{n}", "purpose": "label", **t} for n, t in enumerate(told)]


def test_rankings_by_hand() -> None:
    assert of_ranking(ranks([[2], [0, 3], [1]])).tiers == [[2], [0, 3], [1]]
    # means: 0 -> 0.5, 1 -> 0.5, 2 -> 2
    assert of_ranking(ranks([[0], [1], [2]], [[1], [0], [2]])).tiers == [[0, 1], [2]]
    assert strict_pairs([[2], [0, 3], [1]]) == [(2, 0), (2, 3), (2, 1), (0, 1), (3, 1)]
    assert strict_pairs([[0, 1, 2]]) == []


def test_which_pairs_of_a_ranking() -> None:
    tiers = [[2], [0, 3], [1]]
    assert strict_pairs(tiers, "adjacent") == [(2, 0), (2, 3), (0, 1), (3, 1)]
    assert strict_pairs(tiers, "best_vs_rest") == [(2, 0), (2, 3), (2, 1)]
    assert [strict_pairs([], which) for which in ("all", "adjacent", "best_vs_rest")] == [[], [], []]


def test_no_tiers_is_none_acceptable() -> None:
    assert of_ranking(ranks([])) == Verdict(1, "label", n_agree=1, tiers=[])
    assert of_ranking(ranks([], [], [[0], [1], [2]])).tiers == []
    assert of_ranking(ranks([], [[0], [1], [2]])).tiers == [[0], [1], [2]]  # even: those who ranked decide
    assert of_pair(sort_votes(ranks([]), 2)["pair"]).choice == "both_bad"
    assert implied({"tiers": []}, 3) == [(0, 1, 3), (0, 2, 3), (1, 2, 3)]


@given(st.integers(2, 9).flatmap(lambda k: st.tuples(st.just(k), st.permutations(range(k)))))
def test_a_best_and_a_worst_imply_2k_minus_3_pairs(drawn) -> None:
    k, (best, worst, *_) = drawn
    [vote] = sort_votes([{"kind": "best_worst", "payload": {"best": best, "worst": worst}}], k)[
        "rank" if k > 2 else "pair"
    ]
    pairs = strict_pairs(vote["payload"]["tiers"]) if k > 2 else [(vote["payload"]["choice"], worst)]
    assert len(pairs) == 2 * k - 3
    told = {(i, j): said for i, j, said in implied({"best": best, "worst": worst}, k)}
    assert {(i, j) if told.get((i, j)) == 0 else (j, i) for i, j in told} == set(pairs)


def test_implied_pairs_by_hand() -> None:
    assert implied({"tiers": [[2], [0, 3]]}, 4) == [(0, 2, 1), (0, 3, 2), (2, 3, 0)]  # 1 was not placed


def test_what_an_edit_may_beat() -> None:
    [chosen, tied, bad] = [sort_votes(pairs(c), 2)["pair"][0] for c in (1, "tie", "both_bad")]
    assert [not_above(v, 0, 2) for v in (chosen, tied, bad)] == [[], [1], [1]]
    assert not_above(chosen, 1, 2) == [0]
    [ranked, refused] = ranks([[2], [0, 3], [1]], [])
    assert not_above(ranked, 0, 4) == [3, 1]
    assert not_above(ranked, 2, 4) == [0, 3, 1]
    assert not_above(refused, 1, 4) == [0, 2, 3]


def test_rankings_and_ratings_of_two_answers_are_choices() -> None:
    assert of_pair(sort_votes(ranks([[1], [0]]), 2)["pair"]).choice == 1
    assert of_pair(sort_votes(ranks([[0, 1]]), 2)["pair"]).choice == "tie"
    rated = [
        {"seq": n, "annotator": who, "kind": "rating", "purpose": "import", "payload": {"candidate": c, "score": s}}
        for n, (who, c, s) in enumerate([("a", 0, 2.0), ("a", 1, 4.5), ("b", 0, 5.0)])
    ]
    assert of_pair(sort_votes(rated, 2)["pair"]) == Verdict(1, "import", 1, None, 1)
    assert of_ranking(sort_votes(rated, 3)["rank"]).tiers == [[1], [0]]
