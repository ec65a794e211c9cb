"""Blind pairs from two models' answers, and votes back to a tally."""

import pytest

from workbench.evaluation import comparison
from workbench.evaluation.ratings import Tally
from workbench.schema import Judgement, Message, make_item, split_of
from workbench.store import items, projects
from workbench.store.db import Store, uid

PROMPT = (Message("user", "How do I keep basil alive?"),)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path) as opened:
        yield opened


def vote(store, item, choice):
    payload = {"choice": choice, "strength": 2 if choice in (0, 1) else None}
    store.append(Judgement(uid(), item, "ann", "pair", payload, purpose="compare"))


def test_the_same_answer_twice_is_nothing_to_vote_on():
    assert comparison.pair(1, PROMPT, {"base": "Water it.", "run-1": "Water it."}) is None


def test_votes_count_for_the_model_and_not_for_the_side(store):
    project = projects.create(store, "lead", "herbs")
    pairs = [comparison.pair(project.id, PROMPT, {"run-1": f"Sun {n}.", "base": f"Shade {n}."}) for n in range(4)]
    for number, pair in zip(items.add(store, "lead", pairs), pairs, strict=True):
        vote(store, number, next(i for i, c in enumerate(pair.candidates) if c.source == "base"))
    assert comparison.tallies(store, project.id) == {("base", "run-1"): Tally(wins=4)}


def test_ties_and_two_bad_answers_are_not_decided(store):
    project = projects.create(store, "lead", "herbs")
    pairs = [comparison.pair(project.id, PROMPT, {"a": f"Sun {n}.", "b": f"Shade {n}."}) for n in range(3)]
    first, second, third = items.add(store, "lead", pairs)
    vote(store, first, "tie")
    vote(store, second, "both_bad")
    vote(store, third, next(i for i, c in enumerate(pairs[2].candidates) if c.source == "b"))
    assert comparison.tallies(store, project.id) == {("a", "b"): Tally(losses=1, ties=1, both_bad=1)}


def test_held_out_prompts_are_the_test_split_once_each(store):
    project = projects.create(store, "lead", "herbs", eval_share=0.2)
    prompts = [(Message("user", f"Question {n}?"),) for n in range(100)]
    items.add(store, "lead", [make_item(project.id, p, ()) for p in prompts])
    items.add(
        store, "lead", [i for p in prompts if (i := comparison.pair(project.id, p, {"a": "1", "b": "2"}, set="x"))]
    )
    found = comparison.held_out_prompts(store, project)
    expected = {p for p in prompts if split_of(make_item(project.id, p, ()).group_id, 0.2) == "test"}
    assert {item.prompt for item in found} == expected
    assert len(found) == len(expected) > 0


def test_only_whole_answers_count():
    events = [
        {"prompt": "0", "model": "a", "sample": 0, "text": "Wat", "done": False},
        {"prompt": "0", "model": "a", "sample": 0, "text": "Water it.", "done": True},
        {"end": True},
    ]
    assert comparison.texts(events) == {("0", 0): {"a": "Water it."}}
