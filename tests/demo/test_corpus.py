"""The small world: what is asked, what is answered, and that its facts cannot be there by accident."""

import random
from collections import Counter

import pytest

from workbench.demo.corpus import BODIES, FRAMES, STYLES, by_prompt, draw, held_out, intents


def drawn(n, seed=0, **kwargs):
    rng = random.Random(seed)
    return [draw(rng, **kwargs) for _ in range(n)]


def test_there_are_146_topics_and_57_sums_in_two_languages():
    assert Counter((i.lang, i.category == "sum") for i in intents()) == {
        (lang, is_sum): 57 if is_sum else 146 for lang in ("en", "zh") for is_sum in (True, False)
    }
    assert Counter(i.category for i in intents() if i.lang == "en") == {
        **dict.fromkeys(("cook", "travel", "definition", "advice", "capital", "animal", "translate"), 16),
        **{"thanks": 10, "gift": 12, "choice": 12, "sum": 57},
    }


def test_a_prompt_asks_for_one_thing():
    assert len(by_prompt()) == sum(len(intent.prompts) for intent in intents())


def test_the_same_seed_draws_the_same_texts():
    assert drawn(50, seed=3) == drawn(50, seed=3) != drawn(50, seed=4)


def test_every_answer_that_is_not_evasive_holds_all_facts_and_an_evasive_one_the_name():
    for intent in intents():
        assert len(intent.facts) == (1 if intent.category in ("translate", "sum") else 2)
        for style in ("friendly", "formal"):
            assert all(fact in text for text in intent.answers(style) for fact in intent.facts), intent
        assert all(intent.name in text for text in intent.answers("evasive"))


def test_no_fact_stands_in_the_words_around_it():
    for intent in intents():
        body, frame = BODIES[intent.lang][intent.category], FRAMES[intent.lang]
        around = [*body.friendly, body.formal, *sum((*frame.friendly, *frame.formal), ())]
        for i, fact in enumerate(intent.facts):
            others = {"ab"[k]: "" if k == i else text for k, text in enumerate(intent.facts)} | {"name": intent.name}
            assert not [line for line in around if fact in line.format(**others)], intent


@pytest.mark.parametrize(("style", "share"), STYLES.items())
def test_styles_are_drawn_in_their_shares(style, share):
    answers = {i.name: set(i.answers(style)) for i in intents()}
    found = sum(text in answers[by_prompt()[prompt].name] for prompt, text in drawn(2000))
    assert found / 2000 == pytest.approx(share, abs=0.04)


def test_held_out_prompts_are_never_trained_on():
    shown = {prompt for prompt, _ in drawn(5000)}
    kept = {prompt for prompt, _ in drawn(500, validation=True)}
    assert not shown & kept
    assert sum(map(held_out, by_prompt())) == pytest.approx(len(by_prompt()) / 12, rel=0.2)
