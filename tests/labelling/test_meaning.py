"""What labels say beside each other, worked by hand."""

import pytest

from workbench.labelling.meaning import agrees, contradict, word_of


@pytest.mark.parametrize(
    ("said", "right", "same"),
    [
        ({"choice": 1, "strength": 1}, {"choice": 1, "strength": 3}, True),
        ({"choice": 1, "strength": 1}, {"choice": 0, "strength": 3}, False),
        ({"choice": "tie", "strength": None}, {"choice": 0, "strength": 3}, False),
        ({"candidate": 0, "label": True}, {"candidate": 0, "label": True}, True),
        ({"candidate": 0, "label": False}, {"candidate": 0, "label": True}, False),
        ({"tiers": [[2], [0], [1]]}, {"tiers": [[2], [1], [0]]}, True),
        ({"tiers": [[2, 0], [1]]}, {"tiers": [[0, 2], [1]]}, True),
        ({"tiers": [[2, 0], [1]]}, {"tiers": [[2], [0], [1]]}, False),
        ({"tiers": []}, {"tiers": []}, True),
        ({"tiers": []}, {"tiers": [[0], [1], [2]]}, False),
        ({"best": 2, "worst": 0}, {"tiers": [[2], [1], [0]]}, True),
        ({"best": 1, "worst": 0}, {"tiers": [[2], [1], [0]]}, False),
        ({"tiers": [[2], [1], [0]]}, {"best": 2, "worst": 1}, True),
    ],
)
def test_the_direction_of_the_right_answer_counts(said, right, same):
    assert agrees(said, right) is same


@pytest.mark.parametrize(
    ("words", "third"),
    [
        ({"0", "1"}, True),
        ({"0"}, False),
        ({"0", "tie"}, False),
        ({"tie", "both_bad"}, True),
        ({"both_bad"}, False),
        ({"true", "false"}, True),
    ],
)
def test_who_contradicts_whom(words, third):
    assert contradict(words) is third


def test_words_of_payloads():
    payloads = [{"choice": 0}, {"choice": "both_bad"}, {"label": True}]
    assert [word_of(payload) for payload in payloads] == ["0", "both_bad", "true"]


def test_of_a_ranking_the_word_is_whether_any_is_acceptable():
    said = ({"tiers": [[0], [1, 2]]}, {"best": 0, "worst": 2}, {"tiers": []})
    assert [word_of(payload) for payload in said] == ["ranked", "ranked", "both_bad"]
    assert contradict({"ranked", "both_bad"})
    assert not contradict({"ranked"})
