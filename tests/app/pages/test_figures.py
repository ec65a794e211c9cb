"""Figures in words: units, three digits, one sentence each, and only what a run has told."""

import pytest

from workbench.app.pages.figures import SHOWN, duration, engine, latest, memory, number, of_run

LINE = {
    "tokens_per_second": 2434.22,
    "examples_per_second": 24.4646,
    "peak_memory_mb": 1907,
    "padding_share": 0.087,
    "mfu": None,
    "eta_s": 63.0,
}


def run(state="running", method="dpo", metrics=(LINE,), **status):
    known = {"state": state, "step": 3, "steps": 12, "eta_s": 125.0}
    return {"status": known | status, "metrics": list(metrics), "config": {"method": method}}


@pytest.mark.parametrize(("count", "text"), [(1, "1 MB"), (579e6, "579 MB"), (1.94e9, "1.9 GB"), (134.9e9, "135 GB")])
def test_memory_in_the_unit_that_fits(count, text):
    assert memory(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (170, "3 min"), (9000, "2.5 h")])
def test_time_in_the_unit_that_fits(seconds, text):
    assert duration("en", seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.4321, "0.432"), (24.46, "24.5"), (2434.2, "2,430"), (0, "0")])
def test_three_digits_count(value, text):
    assert number(value) == text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_figure_has_a_name_and_a_sentence(lang):
    text = of_run(lang, run(metrics=[LINE | {n: 0.5 for n in SHOWN if LINE.get(n) is None}]))
    assert text.count("<dt>") == text.count("class=means") == len(SHOWN)
    assert "train." not in text


def test_units_and_newest_values():
    text = of_run("en", run(metrics=[LINE, {"tokens_per_second": None, "padding_share": 0.0}]))
    for said in ("2,430", "pairs/s", "2.0 GB", ">0%<", "2 min"):
        assert said in text
    assert "MFU" not in text
    assert "answers/s" in of_run("en", run(method="kto"))


def test_an_ended_run_has_no_time_left():
    assert "eta_s" not in latest(run("done"))
    assert "eta_s" not in latest(run("queued"))
    assert latest(run())["eta_s"] == 125.0


def test_a_run_that_told_nothing_shows_nothing():
    assert of_run("en", run("queued", metrics=[])) == ""


def test_how_rows_go_through_the_model():
    assert engine("en", {}) == ""
    assert "Rows packed, prompts shared" in engine("en", {"engine": "packed"})
    because = engine("en", {"engine": "padded", "engine_reason": "the <b>{{self-test}}</b> saw 0.3"})
    assert "One answer per line, because the &lt;b&gt;" in because
    assert "{{" not in because
    assert engine("zh", {"engine": "padded", "engine_reason": None}).endswith("每行一个回答</p>")
