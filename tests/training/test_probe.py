"""The probe by hand, what must hold of any labels, and that it finds labels that were turned round."""

import json
import random

import numpy as np
import pytest
import torch
from transformers import AutoModel

from tests.training.conftest import FORMAL, FRIENDLY, TOPICS, answer, said, turns
from workbench.training import probe
from workbench.training.comparisons import frozen
from workbench.training.probe import chance, crossed, differences, fit


def test_one_state_by_hand():
    # x = 2 for three pairs: m = 4, z = 2 theta = u. Two votes for answer 0, one against:
    # 3 sigmoid(u) - 2 + 0.3 u = 0 at u = 0.4827
    theta = fit(torch.full((3, 1), 2.0), torch.tensor([1.0, 1.0, 0.0]))
    u = 2 * theta.item()
    assert 3 / (1 + np.exp(-u)) - 2 + 0.3 * u == pytest.approx(0, abs=1e-6)
    assert u == pytest.approx(0.4827, abs=1e-3)
    assert chance(torch.tensor([[2.0]]), theta).item() == pytest.approx(1 / (1 + np.exp(-u)))


def drawn(n: int = 300, d: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """States and votes of a linear judge."""
    torch.manual_seed(seed)
    x, meant = torch.randn(n, d), torch.randn(d)
    return x, (torch.rand(n) < torch.sigmoid(2 * x @ meant)).float()


def test_answers_exchanged_give_the_same_probe_and_the_size_of_states_does_not_matter():
    x, p = drawn()
    theta = fit(x, p)
    assert torch.allclose(theta, fit(-x, 1 - p), atol=1e-6)
    assert torch.allclose(theta, 1000 * fit(1000 * x, p), atol=1e-5)
    assert torch.equal(theta, fit(x, p))
    assert fit(x, torch.full_like(p, 0.5)).abs().max() < 1e-9
    assert fit(torch.zeros_like(x), p).abs().max() == 0


def test_a_vote_that_is_split_pulls_half():
    x, p = drawn()
    twice, both = torch.cat([x, x]), torch.cat([p, 1 - p])
    assert fit(twice, both).abs().max() < 1e-6


def test_a_fold_is_judged_by_the_others_only():
    x, p = drawn()
    fold = torch.arange(len(x)) % 5
    found = crossed(x, p, fold)
    here = fold == 2
    assert torch.equal(found[here], chance(x[here], fit(x[~here], p[~here])))
    p[2] = 1 - p[2]  # of that fold
    turned = crossed(x, p, fold)
    assert torch.equal(found[here], turned[here])
    assert not torch.equal(found, turned)


def test_who_knows_no_more_than_a_coin_contradicts_nobody():
    x, p = drawn()
    fold = torch.arange(len(x)) % 5
    torch.manual_seed(1)
    assert crossed(x, torch.randint(0, 2, (len(x),)).float(), fold) is None
    assert crossed(x[:99], p[:99], fold[:99]) is None
    assert crossed(x, p, torch.zeros(len(x))) is None
    assert crossed(x, p, fold) is not None


def pairs(n: int, seed: int = 0) -> tuple[list[dict], torch.Tensor]:
    """Items of a friendly and a formal answer in either order, and where the friendly one stands first."""
    rng, rows, first = random.Random(seed), [], []
    for i in range(n):
        texts = [answer(rng, words, TOPICS[i % len(TOPICS)]) for words in (FRIENDLY, FORMAL)]
        first.append(rng.random() < 0.5)
        prompt = json.dumps(turns(f"tell me about {TOPICS[i % len(TOPICS)]}"))
        candidates = json.dumps([{"messages": said(text)} for text in (texts if first[-1] else texts[::-1])])
        rows.append({"item": i, "form": "chat", "prompt": prompt, "candidates": candidates})
    return rows, torch.tensor(first, dtype=torch.float32)


@pytest.fixture
def base(tiny):
    return frozen({"path": str(tiny), "base_path": None}, "causal")


@pytest.mark.parametrize("packed", [True, False])
def test_states_are_those_of_the_model_itself_at_the_last_token(base, tiny, words, packed):
    base.lay_out(packed=packed)
    rows, _ = pairs(5)
    found = dict(differences(base, rows))
    model, tokenizer = AutoModel.from_pretrained(tiny).eval(), words()
    for row in rows:
        texts = [c["messages"] for c in json.loads(row["candidates"])]
        whole = [
            tokenizer.apply_chat_template([*json.loads(row["prompt"]), *t], tokenize=False).rstrip() for t in texts
        ]
        ids = [tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids for text in whole]
        with torch.no_grad():
            a, b = (model(input_ids=i).last_hidden_state[0, -1] for i in ids)
        assert torch.allclose(found[row["item"]], a - b, atol=1e-4)


def test_labels_that_were_turned_round_are_found(base):
    """15 % of them: by a model that has learnt nothing, whose states only tell which words were there."""
    rows, first = pairs(400)
    turned = torch.tensor(np.random.default_rng(0).random(400) < 0.15)
    label = torch.where(turned, 1 - first, first)
    found = dict(differences(base, rows))
    x = torch.stack([found[i] for i in range(400)])
    p = crossed(x, label, torch.arange(400) % len(TOPICS) % 5)
    against = torch.where(label == 1, p, 1 - p) < 0.5
    precision, recall = turned[against].float().mean(), against[turned].float().mean()
    assert precision > 0.8
    assert recall > 0.8


def test_states_that_are_no_numbers_are_told(base, monkeypatch):
    monkeypatch.setattr(probe, "ends", lambda model, lines: torch.full((len(lines), 4), torch.nan))
    with pytest.raises(probe.EngineError, match="not numbers"):
        list(differences(base, pairs(1)[0]))
