"""Verdicts worked by hand, and what must hold for all votes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store.verdicts import Verdict, of_pair, of_ranking, of_thumb, sort_votes, strict_pairs


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


def test_rankings_and_ratings_of_two_answers_are_choices() -> None:
    assert of_pair(sort_votes(ranks([[1], [0]]), 2)["pair"]).choice == 1
    assert of_pair(sort_votes(ranks([[0, 1]]), 2)["pair"]).choice == "tie"
    rated = [
        {"seq": n, "annotator": who, "kind": "rating", "purpose": "import", "payload": {"candidate": c, "score": s}}
        for n, (who, c, s) in enumerate([("a", 0, 2.0), ("a", 1, 4.5), ("b", 0, 5.0)])
    ]
    assert of_pair(sort_votes(rated, 2)["pair"]) == Verdict(1, "import", 1, None, 1)
    assert of_ranking(sort_votes(rated, 3)["rank"]).tiers == [[1], [0]]
