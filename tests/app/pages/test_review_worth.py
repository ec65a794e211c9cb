"""What more labels would bring, for the eye: one sentence, a curve whose points stand where they should, why not."""

import pytest

from workbench.app.pages import review_worth, worth_figure
from workbench.labelling.worth import projected

LAW = {"a": 0.1, "b": 0.9, "c": 0.5}  # 0.13 at 900 labels, 0.124 at 1,400
FOUND = {"model": "<b>base", "labels": 900, "now": {"value": 0.13, "low": 0.1, "high": 0.17, "n": 400}, "law": LAW}
FOUND |= {"points": [{"n": n, "errors": [e, e, e + 0.03], "error": e + 0.01} for n, e in ((9, 0.4), (900, 0.12))]}
FOUND |= {"predictable": True, "missed": 0.01, "after": projected(LAW, 900, 36.0), "eps": {"value": 0.08, "n": 60}}
OPEN = FOUND | {"predictable": False, "after": [], "eps": {"value": None, "why": "needs_50", "n": 3}}


def test_the_sentence_says_labels_hours_and_errors() -> None:
    said = review_worth.sentence("en", FOUND)
    assert said == "500 more labels, about 5.0 h, would take the error from 13% to about 12%."
    assert review_worth.sentence("zh", FOUND) == "再标注 500 条（约 5.0 小时），错误率将从 13% 降到约 12%。"
    slow = FOUND | {"after": projected(LAW, 900, None)}
    assert review_worth.sentence("en", slow) == "500 more labels would take the error from 13% to about 12%."


def test_figures_stand_below_and_names_break_nothing() -> None:
    told = review_worth.result("en", FOUND)
    assert "after 900 labels it is wrong on 13% (10" in told
    assert "17%) of 400 pairs" in told
    assert "about 8% (ε)" in told
    assert "&lt;b&gt;base" in told
    assert "+2,000" in told
    assert "20.0 h" in told


def test_what_cannot_be_predicted_shows_only_what_was_measured() -> None:
    told = review_worth.result("en", OPEN)
    assert "Not predictable yet" in told
    assert "ε needs 50, has 3" in told
    assert "<table" not in told
    assert all(f'class="{name}"' not in told for name in ("fit", "ahead", "floor"))
    assert told.count('r="3"') == 6


def test_points_stand_where_their_values_are() -> None:
    frame = worth_figure.Frame(9, 900, 0.4)
    # 90 is half way by the logarithm; 0.4 at the top, 0 at the bottom
    assert frame.x(90) == pytest.approx((frame.x(9) + frame.x(900)) / 2)
    assert (frame.y(0.4), frame.y(0)) == (worth_figure.TOP, worth_figure.HEIGHT - worth_figure.BOTTOM)
    assert frame.path("fit", [(9, 0.4), (900, 0)]) == '<path class="fit" d="M38.0 10.0 L390.0 204.0"/>'


def test_progress_is_told_by_state() -> None:
    job = {"state": "running", "step": 3, "steps": 9, "model": "base", "message": None}
    assert "base has read 3 of 9 pairs" in review_worth.progress("en", job)
    assert "is being loaded" in review_worth.progress("en", job | {"steps": None})
    failed = review_worth.progress("en", job | {"state": "failed", "message": "no <b>"})
    assert "Not measured with base: no &lt;b&gt;" in failed
    assert 'class="bad"' in failed
    assert review_worth.progress("en", None) == ""
