"""Drawn answers: a seed draws the same ones whatever shares the batch; they end with their stop token or were cut."""

import numpy as np
import pytest
import torch

from tests.training.conftest import TOPICS, turns
from workbench.generation.request import Sampling
from workbench.training.data import Row, prompt_ids, stops
from workbench.training.hparams import make
from workbench.training.knobs import SFT
from workbench.training.model import load
from workbench.training.rollout import Asked, roll_out


@pytest.fixture(scope="module")
def policy(tiny):
    return load(tiny, "causal", make(SFT, {"tuning": "full"}))


@pytest.fixture
def asked(policy):
    texts = [f"tell me about {topic} " * (1 + i % 2) for i, topic in enumerate(TOPICS[:6])]
    rows = [Row(str(i), "chat", turns(text), ()) for i, text in enumerate(texts)]
    return [Asked(row, np.array(prompt_ids(policy.tokenizer, "chat", row.prompt), np.int32)) for row in rows]


def drawn(policy, asked, n=1, seed="0", new_tokens=12):
    sampling = Sampling(temperature=1.0, max_new_tokens=new_tokens, n=n)
    return roll_out(policy, asked, stops(policy.tokenizer), sampling, seed)


def test_a_seed_draws_the_same_answers_whatever_shares_the_batch(policy, asked, monkeypatch):
    whole = drawn(policy, asked, n=2)
    monkeypatch.setattr("workbench.training.rollout.TOKENS_AT_ONCE", 40)
    for a, b in zip(whole, drawn(policy, asked, n=2), strict=True):
        assert a.line.answer.tolist() == b.line.answer.tolist()
    others = [e.line.answer.tolist() for e in drawn(policy, asked, n=2, seed="1")]
    assert others != [e.line.answer.tolist() for e in whole]


def test_answers_stand_in_the_order_of_their_prompts_and_end_once(policy, asked):
    stop = policy.tokenizer.eos_token_id
    for i, episode in enumerate(drawn(policy, asked, n=2)):
        assert episode.asked is asked[i // 2]
        assert (episode.line.answer[-1] == stop) == episode.ended
        assert stop not in episode.said
        assert len(episode.logps) == len(episode.line.answer) <= 12


def test_the_chances_told_are_those_of_the_model(policy, asked):
    episodes = drawn(policy, asked)
    with torch.no_grad():
        scored = policy.tokens([e.line for e in episodes], 1.0)[0]
    for i, episode in enumerate(episodes):
        torch.testing.assert_close(scored[i, : len(episode.logps)], torch.tensor(episode.logps), atol=1e-4, rtol=1e-4)
