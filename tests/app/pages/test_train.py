"""The Train form comes from the registry, in both languages."""

import gradio as gr
import pytest

from workbench.app import words
from workbench.app.pages.train import DEARER, FORM, component, filled, given, priced, sureness
from workbench.training.hparams import knobs
from workbench.training.methods import METHODS, preset
from workbench.training.metrics import LIKELY, METRICS, SCORES

SENTENCES = {
    *METRICS.values(),
    *SCORES.values(),
    *LIKELY.values(),
    *(m.summary for m in METHODS.values()),
    *(k.help for m in METHODS.values() for k in knobs(m.hparams)),
    *FORM,
}


@pytest.mark.parametrize("sentence", sorted(SENTENCES))
def test_what_the_registry_says_is_said_in_chinese_too(sentence):
    assert sentence in words.load("zh")


@pytest.mark.parametrize("method", METHODS)
def test_a_form_shows_the_knobs_of_its_method_at_their_preset(method):
    values = preset(method, tuning="lora", parameters=10**9, units=500)
    updates = dict(zip(FORM, filled(method, values, "en"), strict=True))
    own = {k.name: k for k in knobs(METHODS[method].hparams)}
    for name, update in updates.items():
        assert update.visible is (name in own)
        if name in own:
            assert update.value == values.get(name, own[name].default)


def test_one_component_serves_a_knob_in_every_method():
    for method in METHODS.values():
        for knob in knobs(method.hparams):
            assert component(knob) is component(FORM[knob.name]), f"{method.name}.{knob.name}"
    assert component(FORM["beta"]) is gr.Number


def plan(**cost):
    told = {
        "steps": 52,
        "memory": 1_900_000_000,
        "seconds": 170.0,
        "fits": True,
        "tuning": "full",
        "machine": 16 * 10**9,
    }
    return {"cost": told | cost}


def test_how_sure_labels_are_is_said_only_where_it_is_known():
    known, unknown = {"value": 0.146, "low": 0.122, "high": 0.176}, {"value": None, "why": "needs_50", "n": 9}
    labels = {"A": {"value": 0.75}, "eps": known, "eps_self": unknown, "n": 500}
    told = sureness("en", labels)
    assert "agree on 75% of 500 items: 15% (12% to 18%)" in told
    assert "herself" not in told
    assert "lower bound" in sureness("en", labels | {"eps_self": {"value": 0.06, "low": 0.02, "high": 0.11}})
    alone = sureness("en", labels | {"eps": unknown, "eps_self": {"value": 0.06, "low": 0.02, "high": 0.11}})
    assert "Of one person with herself: 6% (2% to 11%)" in alone
    assert "Two annotators" not in alone
    assert sureness("en", labels | {"A": unknown, "eps": unknown}) == sureness("en", None) == ""


@pytest.mark.parametrize(("lang", "warning"), [("en", "do not soften"), ("zh", "不要软化")])
def test_labels_that_agree_hardly_more_than_chance_come_with_a_warning(lang, warning):
    chance = {"value": None, "why": "not_identifiable", "n": 60}
    told = sureness(lang, {"A": {"value": 0.5}, "eps": chance, "eps_self": chance, "n": 60})
    assert warning in told
    assert 'class="bad"' in told
    assert "50%" in told


def test_the_cost_is_one_line_of_what_is_known():
    assert "52 steps, about 1.9 GB, about 3 min<" in priced("en", plan())
    assert "52 步，约 1.9 GB，约 3 分钟<" in priced("zh", plan())
    assert ">52 steps, about 1.9 GB<" in priced("en", plan(seconds=None))
    assert ">52 steps<" in priced("en", plan(seconds=None, memory=None))
    assert priced("en", {"cost": None}) == ""


@pytest.mark.parametrize(("lang", "adapters"), [("en", "lora"), ("zh", "lora")])
def test_what_does_not_fit_comes_with_the_way_out(lang, adapters):
    dear = {"fits": False, "memory": 40 * 10**9}
    full, lora, qlora = (priced(lang, plan(**dear, tuning=tuning)) for tuning in ("full", "lora", "qlora"))
    assert lora == qlora
    assert "40.0 GB" in full
    assert "16.0 GB" in full
    assert (adapters in full, adapters in lora) == (True, False)


def test_the_form_says_only_what_the_method_has():
    values = tuple(knob.default if name != "epochs" else None for name, knob in FORM.items())
    said = given("sft", values)
    assert "loss_on" in said
    assert not {"beta", "epochs"} & set(said)
    assert set(DEARER) <= set(FORM)
