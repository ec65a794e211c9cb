"""The report of a reward model in words and in chart rows."""

import gradio as gr
import pytest

from workbench.app import words
from workbench.app.pages.reward_view import PARTS, SHOWN, build, calibration, draw, facts, scores, strengths
from workbench.training.metrics import METRICS

REPORT = {
    "step": 8,
    "accuracy": {"value": 0.7, "low": 0.397, "high": 0.892, "n": 10},
    "length_corr": 0.31,
    "accuracy_length_matched": 0.66,
    "ece": 0.071,
    "strength": [
        {"level": 3, "value": 0.9, "low": 0.6, "high": 0.98, "n": 6},
        {"level": None, "value": 0.4, "low": 0.1, "high": 0.77, "n": 4},
    ],
    "calibration": [{"confidence": 0.6, "right": 0.5, "n": 5}, {"confidence": 0.9, "right": 0.8, "n": 5}],
    "scores": [
        {"low": 0.0, "high": 1.0, "chosen": 2, "rejected": 7},
        {"low": 1.0, "high": 2.0, "chosen": 8, "rejected": 3},
    ],
}


def test_accuracy_comes_with_its_interval_and_a_comparison():
    assert "<dd>70%</dd>" in facts("en", REPORT)
    assert "Share of 10 comparisons" in facts("en", REPORT)
    assert "interval 40% to 89%; a coin gets 50%" in facts("en", REPORT)
    assert "10 次比较" in facts("zh", REPORT)


@pytest.mark.parametrize("lang", words.LANGS)
def test_every_figure_says_what_it_means(lang):
    text = facts(lang, REPORT)
    assert text.count("<dt>") == text.count("class=means") == 1 + len(SHOWN)
    assert all(words.say(lang, METRICS[name]) in text.replace("&#x27;", "'") for name in SHOWN)


def test_a_figure_that_was_not_measured_is_not_shown():
    assert "length correlation" not in facts("en", REPORT | {"length_corr": None})


def test_the_model_is_drawn_against_the_diagonal():
    rows = calibration("en", REPORT).values.tolist()
    assert rows == [[0.6, 0.5, "this model"], [0.9, 0.8, "this model"], [0.5, 0.5, "ideal"], [1.0, 1.0, "ideal"]]


def test_both_sides_are_drawn_over_the_middle_of_each_bin():
    rows = scores("en", REPORT).values.tolist()
    assert rows == [[0.5, 2.0, "chosen"], [1.5, 8.0, "chosen"], [0.5, 7.0, "rejected"], [1.5, 3.0, "rejected"]]


def test_strengths_are_named_as_on_the_label_page():
    text = strengths("en", REPORT)
    assert text.index("much better") < text.index("no strength given")
    assert "10% to 77%" in text
    assert "好得多" in strengths("zh", REPORT)


def test_only_a_reward_model_has_one():
    with gr.Blocks():
        assert len(build(words.texts())) == PARTS
    hidden, *others = draw("en", None)
    assert (hidden.visible, len(others)) == (False, PARTS - 1)
    shown, *others = draw("zh", REPORT)
    assert (shown.visible, len(others)) == (True, PARTS - 1)
