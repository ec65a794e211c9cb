"""What stands in the lead's queue, in which order, and what leaves it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.labelling.adjudication import DECIDED, KINDS, case, opposite, people, strict_pairs, waiting
from workbench.schema import Judgement
from workbench.store.db import Store, uid

Act = Callable[..., Judgement]
PAYLOADS = {0: {"choice": 0, "strength": 2}, 1: {"choice": 1, "strength": 2}, "b": {"choice": "both_bad"}}
PAYLOADS |= {"t": {"choice": "tie", "strength": None}}


@pytest.fixture
def act(store: Store) -> Act:
    """`act(item, "ann", 0)`: a stored vote for candidate 0; `kind` and `payload` for anything else."""

    def put(item: int, who: str, said: Any = 0, **rest: Any) -> Judgement:
        fields = {"kind": "pair", "payload": PAYLOADS.get(said), "purpose": "overlap", "shown_order": (1, 0)} | rest
        judgement = Judgement(uid(), item, who, **fields)
        store.append(judgement)
        return judgement

    return put


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        (0, 1, {"disagreement"}),
        (0, "b", {"disagreement", "both_bad"}),
        ("t", "b", {"disagreement", "both_bad"}),
        (0, "t", set()),
        (1, 1, set()),
        ("b", "b", {"both_bad"}),
    ],
)
def test_two_that_point_apart_need_a_third(
    store: Store, project: int, fill: Any, act: Act, one: Any, other: Any, kinds: set[str]
) -> None:
    [item] = fill(1)
    act(item, "ann", one)
    act(item, "bob", other)
    assert {kind for kind, found in waiting(store, project).items() if item in found} == kinds


def test_what_one_person_says_twice_is_no_disagreement(store: Store, project: int, fill: Any, act: Act) -> None:
    first, second, third = fill(3)
    act(first, "ann", 0)
    act(first, "ann", 1)  # a changed mind
    act(second, "ann", 0)
    act(second, "ann", 1, purpose="repeat")
    act(third, "ann", 0)
    act(third, "bob", 1, purpose="compare")
    assert not any(waiting(store, project).values())
    act(third, "bob", 1, axis="safety")
    assert not any(waiting(store, project).values())
    act(third, "cat", 0, axis="safety")
    assert waiting(store, project, "safety")["disagreement"] == [third]


def test_the_one_that_waits_longest_comes_first(store: Store, project: int, fill: Any, act: Act) -> None:
    ids = fill(3)
    for item in ids:
        act(item, "ann", 0)
    for item in reversed(ids):
        act(item, "bob", 1)
    act(ids[2], "cat", 1)  # a further vote does not move it
    assert waiting(store, project)["disagreement"] == ids[::-1]
    assert waiting(store, project, annotator="cat")["disagreement"] == [ids[2]]
    assert people(store, project) == ["ann", "bob", "cat"]


def test_a_second_opinion_against_the_first_is_a_conflict(store: Store, project: int, fill: Any, act: Act) -> None:
    same, apart = fill(2)
    for item, said in ((same, 0), (apart, 1)):
        act(item, "ann", 0)
        act(item, "bob", said, policy="rm_conflict")
    found = waiting(store, project)
    assert (found["conflict"], found["disagreement"]) == ([apart], [])


def test_a_decision_ends_it_and_may_be_revised(store: Store, project: int, fill: Any, act: Act) -> None:
    first, second = fill(2)
    for item in (first, second):
        act(item, "ann", 0)
        act(item, "bob", "b")
        act(item, "lea", 1, purpose="adjudication")
    found = waiting(store, project)
    assert (found["disagreement"], found["both_bad"], found[DECIDED]) == ([], [], [second, first])
    act(first, "max", 0, purpose="adjudication")
    assert waiting(store, project)[DECIDED] == [first, second]
    assert case(store, first)["decision"]["annotator"] == "max"
    assert [v["annotator"] for v in case(store, first)["votes"]] == ["ann", "bob"]


def test_a_flag_waits_until_it_is_cleared_or_taken_back(store: Store, project: int, fill: Any, act: Act) -> None:
    first, second, third = fill(3)
    flags = [act(i, "ann", kind="flag", payload={"why": "broken"}) for i in (first, second, third)]
    act(first, "lea", 1, purpose="adjudication")
    assert waiting(store, project)["flag"] == [first, second, third]
    act(first, "lea", kind="clear", payload={"of": str(flags[0].uid)}, purpose="adjudication")
    act(second, "ann", kind="undo", payload={"of": str(flags[1].uid)})
    assert waiting(store, project)["flag"] == [third]
    assert [f["payload"] for f in case(store, third)["flags"]] == [{"why": "broken"}]
    assert case(store, first)["flags"] == []
    act(third, "lea", kind="withdraw", payload={"why": None}, purpose="adjudication")
    assert waiting(store, project)["flag"] == []
    assert case(store, third)["withdrawn"]


def test_a_wrong_answer_to_gold_is_seen_until_a_lead_has_spoken(
    store: Store, project: int, fill: Any, act: Act
) -> None:
    item, other = fill(2)
    right = {"kind": "gold", "purpose": "adjudication"}
    for i in (item, other):
        act(i, "lea", **right, payload={"answer": PAYLOADS[0], "explanation": "It is true.", "on": True})
    act(item, "ann", 1, purpose="gold")
    act(other, "bob", 0, purpose="gold")
    assert waiting(store, project)["gold"] == [item]
    assert case(store, item)["gold"]["explanation"] == "It is true."
    act(item, "lea", 0, purpose="adjudication")
    assert waiting(store, project)["gold"] == []
    act(item, "bob", 1, purpose="gold")
    assert waiting(store, project)["gold"] == [item]
    act(item, "lea", **right, payload={"answer": {}, "explanation": "", "on": False})
    assert waiting(store, project)["gold"] == []
    assert case(store, item)["gold"] is None


def test_rankings_disagree_where_two_answers_change_places(store: Store, project: int, fill: Any, act: Act) -> None:
    same, apart, none, rated = fill(4, answers=3)
    for item, who, tiers in (
        (same, "ann", [[0], [1], [2]]),
        (same, "bob", [[0], [1, 2]]),
        (apart, "ann", [[0], [1], [2]]),
        (apart, "bob", [[1], [0], [2]]),
        (none, "ann", []),
        (none, "bob", [[1], [0], [2]]),
    ):
        act(item, who, kind="rank", payload={"tiers": tiers})
    act(same, "cat", kind="best_worst", payload={"best": 0, "worst": 2})
    for who, scores in (("ann", (3, 1)), ("bob", (1, 3))):
        for candidate, score in enumerate(scores):
            payload = {"candidate": candidate, "score": score, "min": 1, "max": 5}
            act(rated, who, kind="rating", payload=payload, purpose="import")
    found = waiting(store, project)
    assert (found["disagreement"], found["both_bad"]) == ([apart, none, rated], [none])
    act(same, "dan", kind="best_worst", payload={"best": 2, "worst": 0})
    assert same in waiting(store, project)["disagreement"]


def test_thumbs_disagree_by_answer(store: Store, project: int, fill: Any, act: Act) -> None:
    [item] = fill(1, answers=1)
    for who, label in (("ann", True), ("bob", False)):
        act(item, who, kind="thumb", payload={"candidate": 0, "label": label})
    assert waiting(store, project)["disagreement"] == [item]


TIERS = st.permutations(range(4)).map(lambda order: [[i] for i in order])


@given(TIERS, TIERS)
def test_only_the_same_order_contradicts_nothing(one: Any, other: Any) -> None:
    a, b = set(strict_pairs(one)), set(strict_pairs(other))
    assert opposite(a, b) == opposite(b, a) == (one != other)


def test_every_kind_is_always_told(store: Store, project: int) -> None:
    assert waiting(store, project) == {kind: [] for kind in (*KINDS, DECIDED)}
