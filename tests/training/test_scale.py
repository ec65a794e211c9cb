"""Scores of a reward model are told in units of what its start model says."""

import pytest
import torch

from tests.training.conftest import TOPICS, turns
from workbench.training.data import Row, stops
from workbench.training.hparams import make
from workbench.training.knobs import RM, SFT
from workbench.training.model import load
from workbench.training.scale import score_scale


@pytest.fixture
def rows():
    return [Row(str(i), "chat", turns(f"tell me about {topic}"), ()) for i, topic in enumerate(TOPICS[:5])]


def test_mean_and_spread_of_the_start_models_answers(tiny, rows, monkeypatch):
    monkeypatch.setattr("workbench.training.scale.NEW_TOKENS", 16)
    judge, start = (
        load(tiny, "reward", make(RM, {"tuning": "full"})),
        load(tiny, "causal", make(SFT, {"tuning": "full"})),
    )
    told = score_scale(judge, start, rows, stops(start.tokenizer), seed=0)
    assert told == score_scale(judge, start, rows, stops(start.tokenizer), seed=0)
    assert told["score_scale"] > 0
    with torch.no_grad():
        judge.score.weight *= 3
    more = score_scale(judge, start, rows, stops(start.tokenizer), seed=0)
    assert more["score_shift"] == pytest.approx(3 * told["score_shift"], rel=1e-4)
    assert more["score_scale"] == pytest.approx(3 * told["score_scale"], rel=1e-4)


def test_without_a_prompt_nothing_is_told(tiny):
    judge = load(tiny, "reward", make(RM, {"tuning": "full"}))
    assert score_scale(judge, judge, [Row("0", "text", [], ())], stops(judge.tokenizer), seed=0) == {}
