"""Positions become indexes and come back; what an item cannot be answered with is refused."""

import time
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import UsageError
from workbench.labelling.submission import Submission, distance_of, moved, payload_of, positions, uncovered
from workbench.labelling.views import View
from workbench.schema import Candidate, Message


def sent(kind: str, payload: dict[str, Any]) -> Submission:
    return Submission(uid=uuid4(), tab="t", lease="x", view="y", kind=kind, payload=payload)


def view(task: str, *order: int) -> View:
    return View(1, "overall", task, 5, "ann", "label", "control", order)


def test_positions_become_indexes() -> None:
    pair, rank = view("pair", 1, 0), view("rank", 2, 0, 3, 1)
    assert payload_of(sent("pair", {"choice": 0, "strength": 3}), pair) == {"choice": 1, "strength": 3}
    assert payload_of(sent("rank", {"tiers": [[3], [0, 2], [1]]}), rank) == {"tiers": [[1], [2, 3], [0]]}
    assert payload_of(sent("rank", {"tiers": []}), rank) == {"tiers": []}
    assert payload_of(sent("best_worst", {"best": 0, "worst": 3}), rank) == {"best": 2, "worst": 1}
    assert payload_of(sent("thumb", {"label": False}), view("thumb", 0)) == {"candidate": 0, "label": False}


@pytest.mark.parametrize(
    ("task", "kind", "payload"),
    [
        ("pair", "rank", {"tiers": [[0], [1]]}),
        ("pair", "pair", {"choice": 0, "strength": 1.5}),
        ("rank", "rank", {"tiers": [[0], [1]]}),
        ("rank", "rank", {"tiers": [[0, 0], [1], [2]]}),
        ("rank", "rank", {"tiers": [[0], [], [1], [2]]}),
        ("rank", "rank", {"tiers": [[0], [1], [3]]}),
        ("rank", "best_worst", {"best": 1, "worst": 1}),
        ("rank", "best_worst", {"best": 0, "worst": 3}),
        ("rank", "best_worst", {"best": -1, "worst": 2}),
    ],
)
def test_what_an_item_cannot_be_answered_with_is_refused(task: str, kind: str, payload: dict[str, Any]) -> None:
    order = (0, 1) if task == "pair" else (0, 1, 2)
    with pytest.raises(UsageError, match=kind):
        payload_of(sent(kind, payload), view(task, *order))


@given(st.permutations(range(5)), st.sampled_from([{"tiers": [[0, 1], [4], [2, 3]]}, {"best": 1, "worst": 4}]))
def test_what_was_moved_comes_back(order: list[int], payload: dict[str, Any]) -> None:
    assert moved(positions(payload, tuple(order)), tuple(order)) == payload


def test_an_edit_replaces_the_last_turn_and_says_how_far_it_went() -> None:
    turns = (Message("assistant", "Let me look."), Message("assistant", "Tea is a warm drink"))
    candidates = (Candidate((Message("assistant", "No."),)), Candidate(turns))
    found = payload_of(sent("edit", {"candidate": 0, "text": "Tea is a hot drink"}), view("pair", 1, 0), candidates)
    assert found["candidate"] == 1
    assert [m["content"] for m in found["messages"]] == ["Let me look.", "Tea is a hot drink"]
    assert found["distance"] == pytest.approx(0.2)  # four of five words stay: 1 - 2 * 4 / 10
    for payload in (
        {"candidate": 0, "text": "Tea is a warm drink"},
        {"candidate": 0, "text": "  "},
        {"candidate": 2, "text": "x"},
        {"candidate": True, "text": "x"},
        {"candidate": 0, "text": "x", "more": 1},
    ):
        with pytest.raises(UsageError, match="edit"):
            payload_of(sent("edit", payload), view("pair", 1, 0), candidates)


def test_what_is_written_starts_from_an_answer_or_from_nothing_and_is_none_of_them() -> None:
    turns = (Message("assistant", "Let me look."), Message("assistant", "Tea is a warm drink"))
    candidates = (Candidate((Message("assistant", "No."),)), Candidate(turns))
    for position, contents, distance in (
        (0, ["Let me look.", "Yes."], 1.0),
        (1, ["Yes."], 1.0),
        (None, ["Yes."], None),
    ):
        body = sent("write", {"candidate": position, "text": "Yes."})
        found = payload_of(body, view("write", 1, 0), candidates)
        assert [m["content"] for m in found["messages"]] == contents
        assert (found["candidate"], found["distance"]) == (None if position is None else 1 - position, distance)
    for kind, position, text in (
        ("write", None, " No.\n"),
        ("write", 0, "No."),
        ("write", 2, "Yes."),
        ("write", None, " "),
        ("edit", 0, "Yes."),
        ("pair", 0, "Yes."),
    ):
        with pytest.raises(UsageError, match=kind):
            payload_of(sent(kind, {"candidate": position, "text": text}), view("write", 1, 0), candidates)
    for task in ("pair", "rank"):
        with pytest.raises(UsageError, match="write"):
            payload_of(sent("write", {"candidate": None, "text": "Yes."}), view(task, 1, 0), candidates)
    with pytest.raises(UsageError, match="edit"):
        payload_of(sent("edit", {"candidate": None, "text": "Yes."}), view("pair", 1, 0), candidates)


def test_names_covered_in_any_answer_come_back_in_what_is_written() -> None:
    def stored(start: int | None, text: str, *answers: str) -> str:
        candidates = tuple(Candidate((Message("assistant", answer),)) for answer in answers)
        body = sent("write", {"candidate": start, "text": text})
        told = payload_of(body, view("write", *range(len(answers))), candidates)
        return told["messages"][0]["content"]

    one, two = "I am ChatGPT.", "I am Claude."
    assert stored(None, "You speak with ▇▇▇▇.", one, "Tea.") == "You speak with ChatGPT."
    assert stored(1, "Hello, I am ▇▇▇▇.", one, two) == "Hello, I am Claude."
    assert stored(None, "I am nobody.", one, two) == "I am nobody."
    assert stored(1, "It is ▇▇▇▇: ▇▇▇▇!", "No.", two, two + " Yes.") == "It is Claude: Claude!"
    # which of the two names is meant nobody can tell, nor is "I am" of one answer a phrase that leads into the next
    for start, answers in ((None, (one, two)), (0, (one, two)), (None, ("That is what I am", "ChatGPT."))):
        with pytest.raises(UsageError, match="covered"):
            stored(start, "I am ▇▇▇▇, yes, ▇▇▇▇.", *answers)


def test_any_change_of_a_text_has_a_distance() -> None:
    assert distance_of("a b", "a b") == 0
    assert 0 < distance_of("a b", "a  b") < 0.01
    assert distance_of("a b", "c d") == 1


def test_a_long_text_of_few_words_is_compared_within_a_moment() -> None:
    start = time.process_time()
    assert 0 < distance_of("to be or not " * 2000, "to be not or " * 2000 + "more") < 0.01
    assert time.process_time() - start < 1


def test_names_covered_on_screen_come_back_in_an_edit() -> None:
    original = "I am ChatGPT, made by OpenAI."
    assert uncovered("I am ▇▇▇▇, built by ▇▇▇▇.", original) == "I am ChatGPT, built by OpenAI."
    assert uncovered("I am a model.", original) == "I am a model."
    with pytest.raises(UsageError, match="covered"):
        uncovered("▇▇▇▇ ▇▇▇▇ ▇▇▇▇", original)
