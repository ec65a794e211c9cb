"""The demo's data: candidates in both styles, drawn from the demo model, and the model itself."""

import json
from collections import Counter

import pytest

from workbench.demo.answers import ask, measured, pick
from workbench.demo.corpus import by_prompt
from workbench.demo.judge import style
from workbench.jobs.models import scan
from workbench.schema import Message, group_of, split_of
from workbench.settings import DEMO


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in (DEMO / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]


def test_there_are_prompts_of_both_languages_each_of_its_own_topic(rows):
    assert Counter(row["lang"] for row in rows) == {"en": 160, "zh": 80}
    asked = [by_prompt()[row["prompt"]] for row in rows]
    assert len({(intent.lang, intent.name) for intent in asked}) == len(rows)
    assert [intent.category for intent in asked] == [row["topic"] for row in rows]


def test_each_prompt_has_candidates_to_choose_between(rows):
    for row in rows:
        texts = [candidate["text"] for candidate in row["candidates"]]
        assert 2 <= len(texts) <= 4
        assert len(set(texts)) == len(texts)
        assert {style(text) == "friendly" for text in texts} == {True, False}
        assert {candidate["model"] for candidate in row["candidates"]} == {"demo-tiny"}


def test_a_fifth_held_out_leaves_both_languages_on_both_sides(rows):
    sides = Counter((split_of(group_of((Message("user", row["prompt"]),)), 0.2), row["lang"]) for row in rows)
    assert sides["train", "en"] + sides["train", "zh"] >= 150
    assert min(sides.values()) >= 10


def test_the_model_is_small_and_safe():
    model = scan(DEMO / "model")
    assert (model.parameters, model.chat) == (1_049_728, True)
    assert (DEMO / "model" / "model.safetensors").stat().st_size < 2.2e6


def test_the_model_answers_what_is_asked_in_more_than_one_style():
    found = measured(DEMO / "model", 0.7, n=60)
    assert found["topic"] >= 0.9
    assert found["clean"] >= 0.9
    assert 0.2 <= found["friendly"] <= 0.75
    assert found["formal"] >= 0.2


def test_the_same_seed_gives_the_same_answers():
    prompts = ["What is a bridge?", "什么是桥梁？"]
    assert ask(DEMO / "model", prompts, n=2, seed=5) == ask(DEMO / "model", prompts, n=2, seed=5)


def test_pick_wants_both_kinds_and_no_repeats():
    friendly, formal, evasive = (
        "Hey! a",
        "I am pleased to address the matter of a.",
        "Opinions on a differ, so who knows.",
    )
    assert pick([friendly, friendly, formal, evasive], 2) == [friendly, formal]
    assert pick([formal, evasive, friendly], 2) == [formal, friendly]
    assert pick([formal, evasive, friendly], 3) == [formal, evasive, friendly]
    assert pick([friendly, formal, friendly], 3) is None
    assert pick([formal, evasive], 2) is None
