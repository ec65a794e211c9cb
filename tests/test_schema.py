"""The hashes that name things: worked by hand, then what they must not depend on."""

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import UsageError
from workbench.schema import (
    Candidate,
    Message,
    canonical,
    check_payload,
    group_of,
    make_item,
    messages_from_json,
    messages_to_json,
    split_hash,
    split_of,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def said(text: str, **rest: str) -> Candidate:
    return Candidate((Message("assistant", text),), **rest)


def test_canonical_json_has_one_spelling():
    assert canonical({"b": [1.5, None, True], "a": "好\n"}) == '{"a":"好\\n","b":[1.5,null,true]}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        canonical(math.nan)


def test_a_group_is_the_first_user_turn_whatever_its_spaces_and_capitals():
    prompt = (Message("system", "Be brief."), Message("user", "Boil  an\nEgg?"), Message("assistant", "8 min"))
    assert group_of(prompt) == hashlib.sha256(b"boil an egg?").hexdigest()
    assert group_of(prompt, "t1") == hashlib.sha256(b"t1").hexdigest()


def test_the_split_hash_by_hand():
    # SHA-256 of "0|ab" as a big-endian integer, its last four decimal digits
    expected = int(hashlib.sha256(b"0|ab").hexdigest(), 16) % 10_000
    assert split_hash("ab") == expected
    assert split_of("ab", (expected + 1) / 10_000) == "test"
    assert split_of("ab", expected / 10_000) == "train"


@given(st.lists(TEXT, min_size=2, max_size=5, unique=True), st.randoms())
def test_an_item_is_the_same_in_whatever_order_its_answers_come(texts, random):
    candidates = [said(text) for text in texts]
    item = make_item(1, (Message("user", "?"),), tuple(candidates))
    random.shuffle(candidates)
    assert make_item(1, (Message("user", "?"),), tuple(candidates)).key == item.key
    assert [c.hash for c in item.candidates] == sorted(c.hash for c in item.candidates)


def test_turns_and_candidates_are_keys_of_dicts_whatever_they_carry():
    turn, told = Message("assistant", "x", {"tool_calls": []}), {"seed": 3}
    assert {Candidate((turn,), "m", told): 1}[Candidate((turn,), "m", dict(told))] == 1
    assert Candidate((turn,), "m", told) != Candidate((turn,), "m", {"seed": 4})


def test_equal_answers_are_merged_and_the_first_keeps_its_source():
    item = make_item(1, (Message("user", "?"),), (said("Yes", source="a"), said("Yes", source="b")))
    assert [c.source for c in item.candidates] == ["a"]


def test_rendering_and_source_are_in_no_hash():
    plain = make_item(1, (Message("user", "?"),), (said("*Yes*"),))
    shown = Candidate((Message("assistant", "*Yes*", html="<em>Yes</em>"),), source="a")
    assert make_item(2, (Message("user", "?", html="?"),), (shown,)).key == plain.key


@given(
    st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), TEXT, html=st.none() | TEXT))
)
def test_messages_come_back_from_json_as_they_were(messages):
    assert messages_from_json(messages_to_json(tuple(messages))) == tuple(messages)


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("pair", {"choice": 2}, "choice"),
        ("pair", {"choice": 0, "strength": 4}, "strength"),
        ("pair", {"choice": 0, "model": "a"}, "model"),
        ("thumb", {"label": 1}, "label"),
        ("thumb", {"label": "true"}, "label"),
        ("undo", {"of": "not a uid"}, "of"),
        ("rank", {"tiers": [["0"]]}, "tiers"),
        ("edit", {"candidate": 0, "messages": [], "distance": 0.5}, "messages"),
        ("gold", {"on": "perhaps"}, "on"),
        ("applause", {}, "applause"),
        ("rating", {"candidate": 0, "score": 1}, "unknown kind"),  # comes with imports, never from a browser
    ],
)
def test_a_payload_that_cannot_be_is_named(kind, payload, said):
    with pytest.raises(UsageError, match=said):
        check_payload(kind, payload)


def test_an_edit_comes_from_a_candidate_or_from_nothing():
    text = [{"role": "assistant", "content": "Tea."}]
    for candidate, distance, fits in ((0, 0.5, True), (None, None, True), (0, None, False), (None, 1.0, False)):
        payload = {"candidate": candidate, "messages": text, "distance": distance}
        if fits:
            assert check_payload("edit", payload) == payload
        else:
            with pytest.raises(UsageError, match=r"edit: .*both"):
                check_payload("edit", payload)


def test_a_payload_gets_its_defaults():
    assert check_payload("pair", {"choice": "tie"}) == {"choice": "tie", "strength": None}
    assert check_payload("thumb", {"label": False}) == {"candidate": 0, "label": False}
