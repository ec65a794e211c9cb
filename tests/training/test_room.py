"""Rows are planned from what a model needs, mended once after the first step, and shortened when memory runs out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from workbench.errors import EngineError
from workbench.training import room
from workbench.training.budget import RowPlan, token_bytes
from workbench.training.data import Line
from workbench.training.hparams import make
from workbench.training.knobs import DPO, RM
from workbench.training.model import load
from workbench.training.room import Peak, Room, groups_of, tokens_of
from workbench.training.units import Prepared, Unit

HPARAMS = make(DPO, {"tuning": "full", "units_per_step": 8})


def unit(prompt, *answers):
    asked = np.arange(prompt, dtype=np.int32)
    return Unit("u", "g", tuple(Line.of(asked, np.full(n, n, dtype=np.int32)) for n in answers))


@pytest.fixture
def made(tiny):
    return Room(load(tiny, "causal", HPARAMS), Prepared([unit(9, 4, 5)] * 8, [unit(20, 7, 8)], [], 64), HPARAMS)


def test_prompts_and_answers_are_counted_once():
    units = [unit(9, 4, 5), unit(9, 4, 6), unit(3, 2, 2)]
    assert groups_of(units) == [(9, [4, 5, 6]), (3, [2])]
    assert tokens_of(units) == 9 + 15 + 3 + 2


def test_rows_hold_a_step_where_memory_is_plenty(made):
    assert made.plan == RowPlan(8 * 35, 0)  # the longest group, eight times
    assert made.policy.budget == 280


def test_rows_are_planned_anew_where_a_step_took_more_than_computed(made, monkeypatch):
    monkeypatch.setattr(room, "NOISE", 0)
    per = token_bytes(made.shape, 4)
    made.facts["room"] = 600 * per
    made.measured(200 * per, [], [[unit(100, 50, 50)]])
    right = made.plan
    made.measured(20 * 200 * per, [], [[unit(100, 50, 50)]])
    assert made.plan.tokens < right.tokens
    assert made.plan.tokens >= made.facts["longest"]


def test_what_fitted_although_the_formula_says_no_goes_on(made, monkeypatch):
    monkeypatch.setattr(room, "NOISE", 0)
    made.facts["room"] = 1
    made.measured(10**8, [], [[unit(100, 50, 50)]])
    assert made.plan == RowPlan(35, 2)


def test_a_reward_model_has_no_head_of_words_to_plan_for(tiny):
    data, hparams = Prepared([unit(9, 4, 5)] * 8, [], [], 64), make(RM, {"tuning": "full", "units_per_step": 8})
    assert Room(load(tiny, "reward", hparams), data, hparams).shape.vocabulary == 1


def test_padded_lines_do_not_share_their_prompt(made):
    assert made.tokens_alone(unit(100, 10, 12, 20)) == 142
    made.policy.lay_out(packed=False)
    assert made.tokens_alone(unit(100, 10, 12, 20)) == 3 * 120


def test_less_halves_rows_and_then_runs_layers_again(made):
    made.use(RowPlan(80))
    assert made.less() == "rows of 40 tokens, 0 of 2 layers computed again"
    assert made.less() == "rows of 35 tokens, 1 of 2 layers computed again"
    assert made.less() == "rows of 35 tokens, 2 of 2 layers computed again"
    layers = made.policy.plain().model.layers
    assert all(layer.gradient_checkpointing and layer.training for layer in layers)


def test_a_group_that_cannot_fit_is_refused_with_what_would(tiny, monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda device: 0)
    with pytest.raises(EngineError, match="the longest prompt with its answers has 35 tokens, at most 0 fit"):
        Room(load(tiny, "causal", HPARAMS), Prepared([unit(20, 7, 8)], [], [], 64), replace(HPARAMS, seed=1))


def test_the_peak_sees_what_was_taken_and_given_back():
    peak = Peak(torch.device("cpu"))
    torch.ones(32 << 20).sum()  # 128 MB
    assert 100 << 20 < peak.taken() < 400 << 20


def test_where_nobody_can_say_the_peak_is_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "PEAK_AT", tmp_path / "nowhere" / "clear_refs")
    assert Peak(torch.device("cpu")).taken() == 0
