"""Estimates as people read them: numbers with interval and count, why there is none, nothing a name could break."""

import pytest

from workbench.app import words
from workbench.app.pages import review_figures as shapes
from workbench.app.pages import review_quality, review_team

SHARE = {"value": 0.75, "low": 0.6, "high": 0.9, "n": 1200}
NONE = {"value": None, "why": "needs_30", "n": 12}
ROW = {"annotator": "<b>ann", "labels": 1200, "median_s": 8.25, "fast": 0.1, "ties": 0.0, "both_bad": None}
ROW |= {"skips": 0.25, "flags": 0.0, "gold": SHARE, "self": NONE, "majority": SHARE, "kappa": SHARE}
ROW |= {"left": SHARE, "longer": SHARE, "reliability": 0.91, "marked": ["left"]}


def test_a_value_stands_with_its_interval_and_count() -> None:
    told = shapes.written("en", SHARE, shapes.SHARE)
    assert told == "<b>75%</b> <span>(60 – 90%) n\u00a0=\u00a01,200</span>"
    below = {"value": -0.1, "low": -0.2, "high": -0.05, "n": 40}
    assert "−0.10</b> <span>(−0.20 – −0.05)" in shapes.written("en", below, shapes.BEYOND_CHANCE)


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("needs_30", "needs 30, has 12"),
        ("all_same", "undefined: all votes are the same"),
        ("", "nothing to show yet"),
        ("something new", "something new"),
    ],
)
def test_what_has_no_value_says_why(why: str, said: str) -> None:
    assert said in shapes.written("en", NONE | {"why": why}, shapes.SHARE)
    assert "<b" not in shapes.drawn(NONE | {"why": why}, shapes.SHARE)


def test_marks_stand_where_their_values_are() -> None:
    # from -0.2 to 1 the value 0.4 is half way; what lies outside stands at the end
    drawn = shapes.drawn({"value": 0.4, "low": -0.5, "high": 1.0, "n": 9}, shapes.BEYOND_CHANCE)
    assert '<b style="left: 50.0%">' in drawn
    assert '<i style="left: 0.0%; width: 100.0%">' in drawn
    assert '<u style="left: 16.7%">' in drawn


def test_days_without_labels_are_bars_of_no_height() -> None:
    days = [{"day": "2026-11-01", "labels": 4}, {"day": "2026-11-03", "labels": 2}, {"day": "2026-11-03", "labels": 6}]
    told = shapes.by_day("en", days)
    assert [part.split("%")[0] for part in told.split("height: ")[1:]] == ["50", "0", "100"]
    assert "highest: 8" in told
    assert "No labels yet" in shapes.by_day("en", [])


def test_who_agrees_with_whom_is_a_number_in_a_tint() -> None:
    told = shapes.heat("en", {"people": ["ann", "<i>"], "n": [[9, 4], [4, 9]], "agreement": [[1.0, 0.5], [None, 1.0]]})
    assert "50%<small>n\u00a0=\u00a04</small>" in told
    assert "<i>" not in told


@pytest.mark.parametrize("lang", words.LANGS)
def test_the_tables_hold_every_column(lang: str) -> None:
    told = {"people": [ROW]}
    work, trust = (review_team.columns(lang, told, names) for names in (review_team.WORK, review_team.TRUST))
    assert "review." not in work + trust
    assert "<b>ann" not in work
    assert trust.count("◄") == 1
    assert "8.2" in work


def test_a_mark_is_said_in_words() -> None:
    found = {"person": ROW, "paused": True, "calibration": "again", "days": []}
    told = review_team.described("en", found)
    assert "Stands out from the group: chose left." in told
    assert "Paused" in told
    assert "Calibrates again" in told


def test_bias_says_what_it_was_tested_against() -> None:
    found = {"side": SHARE | {"p": 0.0001}, "length": NONE | {"p": None}, "style": {"why": "needs_200"}, "style_n": 12}
    told = review_quality.bias("en", found)
    assert "p &lt; 0.001 against one half" in told
    assert "needs 200, has 12" in told
    style = [{"name": "bold", "odds": 1.2, "low": 1.1, "high": 1.3}]
    assert "×1.20" in review_quality.bias("en", found | {"style": style, "style_n": 300})
