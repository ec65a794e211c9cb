"""Hand-worked numbers of every loss, then what must hold for any numbers."""

import math

import pytest
import torch

from workbench.training import losses
from workbench.training.logps import PairLogps, SeqLogps
from workbench.training.losses import (
    bce,
    cpo_hinge_loss,
    cpo_ipo_loss,
    cpo_loss,
    dpo_hinge_loss,
    dpo_ipo_loss,
    dpo_loss,
    dpo_norm_loss,
    dpo_robust_loss,
    kto_loss,
    kto_reference_point,
    log1mexp,
    orpo_loss,
    rm_loss,
    rm_rank_loss,
    sft_loss,
    simpo_loss,
)
from workbench.training.methods import METHODS

torch.set_num_threads(1)


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def near(request):
    """Compare the one loss of an output with a hand value, in both precisions."""
    old = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield lambda value: pytest.approx(value, abs=1e-6 if request.param == torch.float64 else 1e-5)
    torch.set_default_dtype(old)


def seq(total, tokens=1):
    total = torch.as_tensor(total, dtype=torch.get_default_dtype()).reshape(-1)
    return SeqLogps(total, torch.as_tensor(tokens).expand(len(total)).to(total))


def pair(chosen, rejected, tokens=(1, 1)):
    return PairLogps(seq(chosen, tokens[0]), seq(rejected, tokens[1]))


def moved(chosen, rejected, tokens=(4, 2)):
    """A policy and a reference with D(w) = chosen, D(l) = rejected."""
    return pair(chosen - 7, rejected - 5, tokens), pair(-7, -5, tokens)


def test_every_entry_names_losses_that_exist():
    for entry in (m for m in METHODS.values() if m.loss):
        for name in (entry.loss, *entry.variants.values()):
            assert callable(getattr(losses, name))


def test_sft(near):
    answers = seq([-6.0, -4.0], torch.tensor([3, 1]))
    assert sft_loss(answers, 4 / 2).losses.mean().item() == near(2.5)
    assert sft_loss(answers, answers.tokens).losses.mean().item() == near(3.0)


@pytest.mark.parametrize(
    ("kwargs", "value"),
    [
        ({}, 0.313262),
        ({"margin": 1.0}, 0.693147),
        ({"center_coef": 0.01}, 0.323262),
        ({"p": 0.5}, 0.813262),
        ({"p": 0.836}, 0.477262),
    ],
)
def test_reward_model(near, kwargs, value):
    out = rm_loss(torch.ones(1), torch.zeros(1), **{"center_coef": 0.0, **kwargs})
    assert out.losses.item() == near(value)
    assert out.metrics["accuracy"].item() == 1.0
    assert sorted(out.metrics["mean_reward"].tolist()) == [0.0, 1.0]


ALL_PAIRS = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])


@pytest.mark.parametrize(
    ("kwargs", "value"),
    [
        ({}, 0.251150),
        ({"margin": torch.tensor([1.0, 2.0, 1.0])}, 0.693147),
        ({"center_coef": 0.01}, 0.251150 + 0.01 * (9 + 4 + 1) / 3),
    ],
)
def test_a_ranking_of_three(near, kwargs, value):
    # (2, 1, 0): the mean of -log sigmoid of 1, 2 and 1, (0.313262 + 0.126928 + 0.313262) / 3
    better, worse = ALL_PAIRS
    group = torch.zeros(3, dtype=torch.long)
    out = rm_rank_loss(torch.tensor([2.0, 1.0, 0.0]), better, worse, group, **{"center_coef": 0.0, **kwargs})
    assert out.losses.tolist() == [near(value)]
    assert out.metrics["margin"].tolist() == [near(4 / 3)]


def test_two_answers_are_a_pair():
    torch.manual_seed(0)
    scores, p, margin = torch.randn(16), torch.rand(8) / 2 + 0.5, torch.rand(8)
    pairs = torch.arange(16).reshape(8, 2)
    one = rm_loss(scores[0::2], scores[1::2], p, margin, center_coef=0.01)
    other = rm_rank_loss(scores, pairs[:, 0], pairs[:, 1], torch.arange(8), p, margin, center_coef=0.01)
    assert torch.equal(one.losses, other.losses)
    assert set(one.metrics) == set(other.metrics)
    assert all(torch.equal(one.metrics[n], v) for n, v in other.metrics.items() if not n.endswith("_reward"))


def test_rankings_of_different_length_count_once_each_and_ties_have_no_order():
    scores = torch.tensor([2.0, 1.0, 0.0, 5.0, 5.5], dtype=torch.float64)
    better, worse = torch.tensor([0, 0, 1, 3]), torch.tensor([1, 2, 2, 4])
    group, p = torch.tensor([0, 0, 0, 1]), torch.tensor([1.0, 1.0, 1.0, 0.5])
    out = rm_rank_loss(scores, better, worse, group, p, center_coef=0.0)
    s = torch.nn.functional.softplus
    by_hand = [(s(-scores[0] + scores[1]) + s(-scores[0] + scores[2]) + s(-scores[1] + scores[2])) / 3]
    by_hand.append((s(torch.tensor(0.5)) + s(torch.tensor(-0.5))) / 2)
    assert out.losses.tolist() == pytest.approx([x.item() for x in by_hand], abs=1e-7)
    assert out.metrics["accuracy"].tolist() == [1.0]
    assert out.metrics["max_reward"].max() == 5.5


@pytest.mark.parametrize(
    ("loss", "kwargs", "value"),
    [
        (dpo_loss, {}, 0.554355),
        (dpo_loss, {"p": 0.9}, 0.584355),
        (dpo_robust_loss, {"p": 0.9}, 0.516855),
        (dpo_hinge_loss, {}, 0.7),
        (dpo_ipo_loss, {}, 16.0),
        (dpo_ipo_loss, {"ipo_length_norm": False}, 4.0),
        (dpo_ipo_loss, {"p": 0.9}, 18.0),
        (dpo_norm_loss, {}, 0.644397),
    ],
)
def test_dpo(near, loss, kwargs, value):
    out = loss(*moved(2.0, -1.0), beta=0.1, **kwargs)
    assert out.losses.item() == near(value)
    assert out.metrics["rewards/chosen"].item() == near(0.2)
    assert out.metrics["rewards/margins"].item() == near(0.3)


def test_dpo_with_imitation(near):
    imitation = sft_loss(seq(-8.0, 4), 4).losses
    assert (dpo_loss(*moved(2.0, -1.0), beta=0.1).losses + 0.1 * imitation).item() == near(0.754355)


def test_dpo_starts_at_log_two(near):
    assert dpo_loss(*moved(0.0, 0.0), beta=0.3).losses.item() == near(math.log(2))


def kto(good, bad, kl, **weights):
    p = torch.tensor([1.0, 0.0])
    weights = {"desirable_weight": 1.0, "undesirable_weight": 1.0} | weights
    return kto_loss(seq([good - 3, bad - 3]), seq([-3, -3]), p, kl, beta=0.1, **weights)


def test_kto(near):
    kl = kto_reference_point(seq([-2.5]), seq([-3.0]))
    out = kto(2.0, 1.0, kl)
    assert out.losses.tolist() == [near(0.462570), near(0.512497)]
    assert out.losses.mean().item() == near(0.487534)
    assert kto(2.0, 1.0, kl, desirable_weight=4 / 3).losses.mean().item() == near(0.564629)
    assert kto_reference_point(seq([-6.0]), seq([-3.0])).item() == 0
    assert out.metrics["rewards/chosen"].tolist() == [near(0.2)]
    assert out.metrics["rewards/rejected"].tolist() == [near(0.1)]
    assert out.metrics["rewards/accuracies"].tolist() == [1.0, 0.0]


def test_kto_soft_label_mixes_both_sides(near):
    kl, weights = torch.tensor(0.5), {"beta": 0.1, "desirable_weight": 1.5, "undesirable_weight": 0.7}
    sides = [kto_loss(seq(2), seq(0), torch.tensor([p]), kl, **weights).losses.item() for p in (1.0, 0.0, 0.3)]
    assert sides[2] == near(0.3 * sides[0] + 0.7 * sides[1])


def test_cpo(near):
    policy = pair(-10.0, -12.0, (5, 5))
    compared = cpo_loss(policy, beta=0.1).losses
    assert compared.item() == near(0.598139)
    assert (compared + sft_loss(policy.chosen, 5).losses).item() == near(2.598139)
    assert cpo_hinge_loss(policy, beta=0.1).losses.item() == near(0.8)
    assert cpo_ipo_loss(policy, beta=0.1).losses.item() == near((0.4 - 5) ** 2)


def test_orpo(near):
    out = orpo_loss(pair(-0.5, -1.0), lambda_or=0.1)
    assert out.metrics["log_odds_chosen"].item() == near(0.974077)
    assert out.metrics["log_odds_ratio"].item() == near(-0.320300)
    assert out.losses.item() == near(0.032030)
    assert (out.losses + sft_loss(seq(-0.5), 1).losses).item() == near(0.532030)


def test_simpo(near):
    policy = pair(-1.0, -2.0, (2, 2))
    assert simpo_loss(policy, beta=2.0, gamma_beta_ratio=0.5).losses.item() == near(0.693147)
    assert simpo_loss(policy, beta=2.0, gamma_beta_ratio=0.25).losses.item() == near(0.474077)


def test_log1mexp_is_exact_at_both_ends():
    a = torch.tensor([-1e-6, -0.1, -math.log(2), -5.0, -40.0], dtype=torch.float64)
    exact = [math.log(-math.expm1(x)) if x > -1 else math.log1p(-math.exp(x)) for x in a.tolist()]
    assert log1mexp(a).tolist() == pytest.approx(exact, rel=1e-12)
    assert torch.isfinite(log1mexp(torch.zeros(1)))


def free(*shape):
    return (-torch.rand(*shape, dtype=torch.float64) * 3 - 0.2).requires_grad_()


N = torch.tensor([3.0, 1.0, 5.0], dtype=torch.float64)
P = torch.tensor([1.0, 0.8, 0.6], dtype=torch.float64)
PAIR_LOSSES = {
    "dpo": lambda pi, p: dpo_loss(pi, fixed(), p, beta=0.3),
    "robust": lambda pi, p: dpo_robust_loss(pi, fixed(), p, beta=0.3),
    "ipo": lambda pi, p: dpo_ipo_loss(pi, fixed(), p, beta=0.3),
    "ipo_sum": lambda pi, p: dpo_ipo_loss(pi, fixed(), p, beta=0.3, ipo_length_norm=False),
    "hinge": lambda pi, p: dpo_hinge_loss(pi, fixed(), p, beta=0.3),
    "norm": lambda pi, p: dpo_norm_loss(pi, fixed(), p, beta=0.3),
    "cpo": lambda pi, p: cpo_loss(pi, p, beta=0.3),
    "cpo_hinge": lambda pi, p: cpo_hinge_loss(pi, p, beta=0.3),
    "cpo_ipo": lambda pi, p: cpo_ipo_loss(pi, p, beta=0.3),
    "orpo": lambda pi, p: orpo_loss(pi, p, lambda_or=0.3),
    "simpo": lambda pi, p: simpo_loss(pi, p, beta=2.0, gamma_beta_ratio=0.3),
    "simpo_no_margin": lambda pi, p: simpo_loss(pi, p, beta=2.0, gamma_beta_ratio=0.0),
}


def fixed():
    torch.manual_seed(1)
    return PairLogps(SeqLogps(free(3).detach(), N), SeqLogps(free(3).detach(), N + 1))


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_gradients_of_pair_losses(name):
    torch.manual_seed(0)
    run = PAIR_LOSSES[name]
    chosen, rejected = free(3), free(3)
    assert torch.autograd.gradcheck(
        lambda w, r: run(PairLogps(SeqLogps(w * N, N), SeqLogps(r * N, N + 1)), P).losses, (chosen, rejected)
    )


@pytest.mark.parametrize("name", ["dpo", "ipo", "hinge", "norm", "cpo", "cpo_hinge", "cpo_ipo"])
def test_swapping_sides_and_certainty_changes_nothing(name):
    torch.manual_seed(2)
    run, n = PAIR_LOSSES[name], N
    policy = PairLogps(SeqLogps(free(3), n), SeqLogps(free(3), n))
    p = torch.full((3,), 0.7, dtype=torch.float64)
    ref = fixed()
    swapped_ref = PairLogps(ref.rejected, ref.chosen)
    loss = {"dpo": dpo_loss, "ipo": dpo_ipo_loss, "hinge": dpo_hinge_loss, "norm": dpo_norm_loss}.get(name)
    swapped = PairLogps(policy.rejected, policy.chosen)
    if loss:
        there, back = loss(policy, ref, p, beta=0.3), loss(swapped, swapped_ref, 1 - p, beta=0.3)
    else:
        there, back = run(policy, p), run(swapped, 1 - p)
    torch.testing.assert_close(there.losses, back.losses)


def test_dpo_gradient_is_the_paper_s():
    policy, ref = moved(torch.tensor(2.0, requires_grad=True), -1.0)
    (slope,) = torch.autograd.grad(dpo_loss(policy, ref, beta=0.1).losses.sum(), policy.chosen.total)
    assert slope.item() == pytest.approx(-0.1 / (1 + math.exp(0.3)))


def test_gradients_of_scores_and_of_kto():
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(lambda w, r: rm_loss(w, r, P, N / 10, center_coef=0.01).losses, (free(3), free(3)))
    weights = {"beta": 0.3, "desirable_weight": 1.2, "undesirable_weight": 0.9}
    kl, ref = torch.tensor(0.4, dtype=torch.float64), SeqLogps(free(3).detach(), N)
    assert torch.autograd.gradcheck(lambda y: kto_loss(SeqLogps(y, N), ref, P, kl, **weights).losses, (free(3),))
    other = free(3)
    assert not kto_reference_point(SeqLogps(other, N), ref).requires_grad


def test_far_from_zero_nothing_overflows():
    z = torch.tensor([-1e4, 1e4])
    assert torch.isfinite(bce(z, 0.7)).all()
    assert torch.isfinite(orpo_loss(pair([-1e-9], [-80.0]), lambda_or=0.1).losses).all()


def test_metrics_carry_no_gradient():
    policy = PairLogps(SeqLogps(free(3), N), SeqLogps(free(3), N))
    for run in PAIR_LOSSES.values():
        assert not any(m.requires_grad for m in run(policy, P).metrics.values())
    assert not any(m.requires_grad for m in rm_loss(free(3), free(3), center_coef=0.0).metrics.values())
