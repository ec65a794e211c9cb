"""The Train form comes from the registry, in both languages."""

import gradio as gr
import pytest

from workbench.app import words
from workbench.app.pages.train import FORM, component, filled
from workbench.training.hparams import knobs
from workbench.training.methods import METHODS, METRICS, preset

SENTENCES = {
    *METRICS.values(),
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
