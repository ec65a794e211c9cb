"""A step's loss and gradients do not depend on how it is cut; metrics are means over what they count."""

from dataclasses import replace

import pytest
import torch

from workbench.training.data import stops
from workbench.training.hparams import make
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.objectives import Means, bound, calibration_error, objective, rank_correlation
from workbench.training.reference import answer_logps, with_reference
from workbench.training.snapshot import read
from workbench.training.units import Unit, prepare

VARIANTS = [
    ("sft", {}),
    ("sft", {"reduce": "example"}),
    ("sft", {"loss_on": "all"}),
    ("rm", {}),
    ("dpo", {"nll_coef": 0.5}),
    ("dpo", {"loss": "robust", "label_smoothing": 0.1}),
    ("dpo", {"loss": "ipo"}),
    ("kto", {}),
    ("cpo", {}),
    ("orpo", {"nll_scope": "sequence"}),
    ("simpo", {"nll_coef": 0.2}),
]


def bind(method, tiny, rows, words, tmp_path, ranked=None, **values):
    """An objective over twelve units whose policy has moved away from its reference."""
    hparams = make(METHODS[method].hparams, {"tuning": "full", "units_per_step": 2, "seed": 1} | values)
    policy = load(tiny, "reward" if method == "rm" else "causal", hparams)
    table = rows(14)[METHODS[method].data][:14]
    if ranked:
        table = table[:5] + ranked
    for i, row in enumerate(table):
        row["weight"] = 1.0 + i % 3
    data = prepare(method, hparams, table, policy.tokenizer, stops(policy.tokenizer), limit=128, out=tmp_path)
    units = with_reference(policy, data.train) if METHODS[method].reference else data.train
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return objective(method, hparams, policy, units), units


def gradients(bound_to, units, budget):
    bound_to.policy.budget = budget
    bound_to.policy.zero_grad()
    step, total, means = bound_to.step(units), 0.0, Means()
    parts = bound_to.parts(units)
    for part in parts:
        made = bound_to.part(part, step)
        made.loss.backward()
        total += made.loss.item()
        means.add(made.metrics)
    grads = torch.cat([p.grad.flatten() for p in bound_to.policy.parameters() if p.grad is not None])
    return total, grads, means.take(), len(parts)


@pytest.mark.parametrize(("method", "values"), VARIANTS, ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_cutting_a_step_changes_nothing(method, values, tiny, rows, words, tmp_path):
    bound_to, units = bind(method, tiny, rows, words, tmp_path, **values)
    whole, grads, shown, parts = gradients(bound_to, units, 10**6)
    assert parts == 1
    for budget in (1, 60, 100):
        loss, other, means, parts = gradients(bound_to, list(reversed(units)), budget)
        assert parts > 1
        assert loss == pytest.approx(whole, abs=1e-6 * max(1, whole))
        assert (other - grads).norm() <= 1e-5 * grads.norm()
        assert means == pytest.approx(shown, abs=1e-4)


@pytest.fixture
def ranked(snapshot_of, rankings, tmp_path):
    """Eight rankings of two and of four answers to train on."""
    return read(snapshot_of(tmp_path / "ranked", rankings(10)), "rm")[10:]


def test_cutting_a_step_of_pairs_and_rankings_changes_nothing(tiny, rows, words, tmp_path, ranked):
    bound_to, units = bind("rm", tiny, rows, words, tmp_path, ranked, ties="half")
    assert {len(u.lines) for u in units} == {2, 4}
    whole, grads, shown, _ = gradients(bound_to, units, 10**6)
    for budget in (1, 100):
        loss, other, means, parts = gradients(bound_to, list(reversed(units)), budget)
        assert parts > 1
        assert loss == pytest.approx(whole, abs=1e-6)
        assert (other - grads).norm() <= 1e-5 * grads.norm()
        assert means == pytest.approx(shown, abs=1e-4)


def test_a_ranking_is_the_mean_over_its_pairs(tiny, rows, words, tmp_path, ranked):
    bound_to, units = bind("rm", tiny, rows, words, tmp_path, ranked, center_coef=0.02)
    unit = next(u for u in units if len(u.lines) == 4)
    part = bound_to.part([replace(unit, weight=1.0)], bound_to.step([unit]))
    pairs = [
        Unit("", "", (unit.lines[c.better], unit.lines[c.worse]), p=c.p, margin=c.margin) for c in unit.comparisons
    ]
    apart = bound_to.part(pairs, bound_to.step(pairs))
    assert part.loss.item() == pytest.approx(apart.loss.item(), abs=1e-6)
    assert part.metrics["margin"].mean().item() == pytest.approx(apart.metrics["margin"].mean().item(), abs=1e-6)


def test_answers_of_rankings_stand_in_one_table(tiny, rows, words, tmp_path, ranked):
    bound_to, units = bind("rm", tiny, rows, words, tmp_path, ranked, ties="half")
    step = bound_to.step(units)
    parts = bound_to.parts(units)
    answers = torch.cat([bound_to.part(part, step).answers for part in parts])
    seen = [u for part in parts for u in part]
    assert answers.shape == (len(units), 4)
    assert answers.isnan().sum(1).tolist() == [4 - len(u.lines) for u in seen]
    scores = bound_to.policy([line for u in seen for line in u.lines])
    torch.testing.assert_close(answers[~answers.isnan()], scores, atol=1e-5, rtol=1e-5)
    figures = bound_to.table(seen, answers.detach())
    assert set(figures) == {"ece", "length_corr", "accuracy_length_matched"}
    tied = [replace(u, p=0.5, ranked=()) for u in units if len(u.lines) == 2]
    assert set(bound_to.table(tied, torch.ones(len(tied), 2))) == {"length_corr"}


def test_every_knob_of_a_loss_comes_from_the_hyper_parameters():
    def loss(policy, p=1.0, *, beta, gamma_beta_ratio):
        return beta, gamma_beta_ratio

    hparams = make(METHODS["simpo"].hparams, {"beta": 3.0})
    assert bound(loss, hparams)(None) == (3.0, 0.5)


def test_kto_takes_its_reference_point_over_the_whole_step(tiny, rows, words, tmp_path):
    bound_to, units = bind("kto", tiny, rows, words, tmp_path)
    moved = answer_logps(bound_to.policy, [u.partner for u in units]).total - torch.tensor(
        [u.partner_ref for u in units]
    )
    step = bound_to.step(units)
    assert step.kl.item() == pytest.approx(max(0.0, moved.mean().item()), abs=1e-5)
    assert not step.kl.requires_grad


def test_kto_weights_balance_the_training_rows(tiny, rows, words, tmp_path):
    hparams = make(METHODS["kto"].hparams, {"tuning": "full", "units_per_step": 2})
    policy = load(tiny, "causal", hparams)
    table = [r for i, r in enumerate(rows(20)["thumbs"]) if r["label"] or i % 8 == 1]
    data = prepare("kto", hparams, table, policy.tokenizer, stops(policy.tokenizer), limit=128, out=tmp_path)
    good = sum(u.p for u in data.train)
    made = objective("kto", hparams, policy, data.train).loss.keywords
    ratio = made["desirable_weight"] * good / (made["undesirable_weight"] * (len(data.train) - good))
    assert 1 <= ratio <= 4 / 3 + 1e-9


def test_the_reference_is_measured_before_training(tiny, rows, words, tmp_path):
    bound_to, units = bind("dpo", tiny, rows, words, tmp_path)
    fresh = load(tiny, "causal", bound_to.hparams)
    again = answer_logps(fresh, [line for u in units for line in u.lines]).total.reshape(-1, 2)
    torch.testing.assert_close(torch.tensor([u.ref for u in units]), again, atol=1e-5, rtol=1e-5)


def test_means_weigh_count_and_keep_extremes():
    means = Means()
    means.add(
        {"a": torch.tensor([1.0, 2.0]), "min_r": torch.tensor([3.0, 1.0]), "n": (torch.tensor(6.0), torch.tensor(4.0))}
    )
    means.add({"a": torch.tensor([6.0]), "min_r": torch.tensor([2.0]), "empty": torch.zeros(0)})
    assert means.take() == {"a": 3.0, "min_r": 1.0, "n": 1.5, "empty": None}
    assert means.take() == {}


def test_calibration_error_of_sure_and_of_honest_scores():
    margins = torch.full((100,), 4.6)  # sigmoid = 0.99
    margins[:30] *= -1
    assert calibration_error(margins[torch.randperm(100, generator=torch.manual_seed(0))]) == pytest.approx(
        0.29, abs=0.12
    )
    assert calibration_error(torch.full((100,), 30.0)) == pytest.approx(0.0, abs=1e-6)


def test_rank_correlation():
    a = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert rank_correlation(a, a.exp()) == pytest.approx(1.0)
    assert rank_correlation(a, -a) == pytest.approx(-1.0)
    assert rank_correlation(a, torch.ones(2, 2)) is None
