"""PPO's arithmetic: the worked trace, an independent plain implementation, and what padding must not do."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training.rl import (
    adapted_kl_coef,
    advantages,
    final_scores,
    kl_rewards,
    policy_loss,
    value_loss,
    whitened,
)

DOUBLE = torch.float64


def row(*values):
    return torch.tensor([values], dtype=DOUBLE)


BOTH = torch.tensor([[True, True]])
SHORT = torch.tensor([[True, True, False]])


def test_the_worked_trace():
    # k = (.1, -.2), z = 1: -.05 * .1 = -.005, .05 * .2 + 1 = 1.01
    rewards = kl_rewards(row(-1.0, -2.0), row(-1.1, -1.8), torch.tensor([1.0], dtype=DOUBLE), BOTH, kl_coef=0.05)
    torch.testing.assert_close(rewards, row(-0.005, 1.01))
    # A_2 = 1.01 - .2 = .81; A_1 = -.005 + .2 - .5 + .95 * .81 = .4645
    found, returns = advantages(rewards, row(0.5, 0.2), BOTH, gamma=1.0, lam=0.95)
    torch.testing.assert_close(found, row(0.4645, 0.81))
    torch.testing.assert_close(returns, row(0.9645, 1.01))
    torch.testing.assert_close(whitened(found, BOTH), row(-(0.5**0.5), 0.5**0.5), atol=1e-6, rtol=0)
    old = row(-1.0, -2.0)
    surrogate = policy_loss(old + row(math.log(1.3), math.log(0.7)), old, found, BOTH, cliprange=0.2)
    torch.testing.assert_close(surrogate.losses, row(-0.4645 * 1.2, -0.81 * 0.7))
    assert surrogate.clipped.tolist() == [[True, False]]
    error = value_loss(row(0.9, 0.2), row(0.5, 0.2), returns, BOTH, cliprange_value=0.2)
    assert error.losses.mean().item() == pytest.approx(0.18151506, abs=1e-8)
    assert (surrogate.losses.mean() + 0.1 * error.losses.mean()).item() == pytest.approx(-0.54404849, abs=1e-8)


def test_the_kl_coefficient_follows_its_target():
    facts = {"kl_target": 6.0, "kl_horizon": 10_000, "episodes": 256}
    assert adapted_kl_coef(0.2, 1.0, **facts) == pytest.approx(0.198976)
    assert adapted_kl_coef(0.2, 60.0, **facts) == pytest.approx(0.2 * (1 + 0.2 * 0.0256))
    assert adapted_kl_coef(0.2, 6.0, **facts) == 0.2


@pytest.mark.parametrize(
    ("missing_eos", "expected"),
    [("subtract", [10.0, 1.0, -11.0]), ("replace", [10.0, -1.0, -1.0]), ("none", [10, 2, -10])],
)
def test_an_answer_that_does_not_end_is_worth_less(missing_eos, expected):
    scores, ended = torch.tensor([12.0, 2.0, -20.0]), torch.tensor([True, False, False])
    found = final_scores(scores, ended, score_clip=10.0, missing_eos=missing_eos, missing_eos_penalty=1.0)
    assert found.tolist() == expected


def plain_advantages(rewards, values, gamma, lam):
    """The double sum of the paper, for one episode."""
    n, ahead = len(rewards), [*values[1:], 0.0]
    delta = [rewards[t] + gamma * ahead[t] - values[t] for t in range(n)]
    return [sum((gamma * lam) ** k * delta[t + k] for k in range(n - t)) for t in range(n)]


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_advantages_equal_the_double_sum(seed, gamma, lam):
    draw, lengths = random.Random(seed), [random.Random(seed + i).randint(1, 9) for i in range(4)]
    rewards, values = ([[draw.gauss(0, 1) for _ in range(n)] for n in lengths] for _ in range(2))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    padded = [torch.full(mask.shape, 1e9, dtype=DOUBLE) for _ in range(2)]
    for x, rows in zip(padded, (rewards, values), strict=True):
        x[mask] = torch.tensor([v for r in rows for v in r], dtype=DOUBLE)
    found, returns = advantages(*padded, mask, gamma=gamma, lam=lam)
    for i, n in enumerate(lengths):
        expected = plain_advantages(rewards[i], values[i], gamma, lam)
        assert found[i, :n].tolist() == pytest.approx(expected, abs=1e-9)
        assert returns[i, :n].tolist() == pytest.approx([a + v for a, v in zip(expected, values[i], strict=True)])
        assert not found[i, n:].any()


def test_padding_enters_nothing():
    clean, dirty = row(0.3, -0.7, 0.0), row(0.3, -0.7, 1e9)
    score = torch.tensor([2.0], dtype=DOUBLE)
    for one in (
        lambda x: kl_rewards(x, x - 0.1, score, SHORT, kl_coef=0.1),
        lambda x: advantages(x, x, SHORT, gamma=0.9, lam=0.9)[0],
        lambda x: whitened(x, SHORT),
        lambda x: whitened(x, SHORT, centred=False),
        lambda x: policy_loss(x, x / 2, x, SHORT, cliprange=0.2).losses,
        lambda x: value_loss(x, x / 2, x + 1, SHORT, cliprange_value=0.2).losses,
    ):
        torch.testing.assert_close(one(clean), one(dirty), rtol=0, atol=0)


def test_whitening_keeps_the_mean_where_asked():
    x, mask = torch.randn(3, 5, dtype=DOUBLE), torch.rand(3, 5) > 0.3
    assert whitened(x, mask, centred=False)[mask].mean().item() == pytest.approx(x[mask].mean().item())
    assert whitened(x, mask)[mask].var().item() == pytest.approx(1.0, abs=1e-6)
    assert whitened(row(3.0, 9.0), torch.tensor([[True, False]])).tolist() == [[0.0, 0.0]]


def test_gradients_flow_through_the_new_values_alone():
    new, old, weight = (torch.randn(2, 3, dtype=DOUBLE, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[True, True, True], [True, False, False]])
    for loss in (
        lambda x: policy_loss(x, old.detach(), weight.detach(), mask, cliprange=0.2).losses,
        lambda x: value_loss(x, old.detach(), weight.detach(), mask, cliprange_value=0.2).losses,
    ):
        assert torch.autograd.gradcheck(loss, new)


def test_a_clipped_token_has_no_gradient():
    new = row(math.log(1.5), math.log(0.5), 0.0).requires_grad_()
    made = policy_loss(
        new, torch.zeros_like(new), row(1.0, -1.0, 1.0), torch.ones(1, 3, dtype=torch.bool), cliprange=0.2
    )
    made.losses.sum().backward()
    assert made.clipped.tolist() == [[True, True, False]]
    assert new.grad.tolist() == [[0.0, 0.0, -1.0]]
