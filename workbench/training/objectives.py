"""What one optimiser step computes: units in, a differentiable share of the step's loss and its metrics out.

Every divisor is known before the first backward pass (`Step`), so how a step is cut into micro-batches changes nothing.
Leaves out the formulas (`losses`) and the optimiser (`loop`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import Parameter, signature
from itertools import accumulate

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from workbench.training import losses
from workbench.training.knobs import Training
from workbench.training.logps import PairLogps, SeqLogps
from workbench.training.losses import LossOutput, kto_reference_point, sft_loss
from workbench.training.methods import METHODS, kto_weights
from workbench.training.policy import Policy, Scored
from workbench.training.reference import answer_logps
from workbench.training.team import Team
from workbench.training.units import Unit


@dataclass(frozen=True)
class Step:
    """What a whole step is divided by, KTO's reference point, and the most answers that a unit has."""

    units: int
    targets: int = 0
    kl: Tensor | None = None
    width: int = 0


@dataclass(frozen=True)
class Part:
    """The share of a micro-batch: `loss` sums to the step's loss over its parts.

    metrics   name -> values, or (sums, weights) when the mean is weighted
    answers   (units, answers): D, log-prob or score of each answer, for the table of an evaluation; nan where a
              ranking has fewer answers than the longest of the step
    """

    loss: Tensor
    metrics: dict[str, Tensor | tuple[Tensor, Tensor]]
    answers: Tensor


@dataclass
class Means:
    """Running means of metrics over micro-batches and steps; `min_` and `max_` names keep the extreme."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)

    def add(self, metrics: dict[str, Tensor | tuple[Tensor, Tensor]]) -> None:
        for name, value in metrics.items():
            value, weight = value if isinstance(value, tuple) else (value, torch.ones_like(value))
            if name.startswith(("min_", "max_")):
                extreme = torch.minimum if name.startswith("min_") else torch.maximum
                best = value.min() if name.startswith("min_") else value.max()
                self.sums[name] = extreme(self.sums[name], best) if name in self.sums else best
                self.counts[name] = torch.ones_like(best)
            else:
                self.sums[name] = self.sums.get(name, 0.0) + value.sum()
                self.counts[name] = self.counts.get(name, 0.0) + weight.sum()

    def over(self, team: Team) -> "Means":
        """What all processes of a team have added, together. They meet on the CPU: a GPU is its own process's."""
        told = {name: (value.cpu(), self.counts[name].cpu()) for name, value in self.sums.items()}
        joined = Means()
        for part in team.everybody(told):
            joined.add({name: pair[0] if name.startswith(("min_", "max_")) else pair for name, pair in part.items()})
        return joined

    def take(self) -> dict[str, float | None]:
        """The means, rounded to what a chart can show; starts anew. A mean over nothing is None."""
        out = {n: (s / self.counts[n]).item() if self.counts[n] else None for n, s in self.sums.items()}
        self.sums, self.counts = {}, {}
        if out.get("rewards/chosen") is not None and out.get("rewards/rejected") is not None:
            out.setdefault("rewards/margins", out["rewards/chosen"] - out["rewards/rejected"])
        return out


class Objective:
    """A method bound to its hyper-parameters and a policy. Subclasses say what a unit of their data contributes."""

    def __init__(self, method: str, hparams: Training, policy: Policy, train: Sequence[Unit], team: Team) -> None:
        self.method, self.hparams, self.policy, self.team = METHODS[method], hparams, policy, team
        self.forward: nn.Module = policy  # what gradients are computed through; a team wraps it
        name = self.method.variants.get(getattr(hparams, "loss", ""), self.method.loss)
        self.loss = bound(getattr(losses, name), hparams)
        self.reference = self.method.reference

    def step(self, units: Sequence[Unit]) -> Step:
        return Step(len(units))

    def part(self, units: Sequence[Unit], step: Step) -> Part:
        raise NotImplementedError

    def parts(self, units: Sequence[Unit]) -> list[list[Unit]]:
        """The rows of a step: no more of them than memory asks for, but one for each process of a team."""
        dealt = self.policy.deal([u.lines for u in units], least=self.team.size)
        return [[units[i] for i in part] for part in dealt]

    def table(self, units: Sequence[Unit], answers: Tensor) -> dict[str, float]:
        """Figures that need all rows of an evaluation at once."""
        return {}

    def tensor(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.policy.device)


class Demonstrations(Objective):
    """SFT: every target token counts alike, or every answer."""

    def step(self, units: Sequence[Unit]) -> Step:
        return Step(len(units), sum(u.lines[0].targets for u in units))

    def part(self, units: Sequence[Unit], step: Step) -> Part:
        scored = self.forward([u.lines[0] for u in units])
        by_token = self.hparams.reduce == "token"
        values = self.loss(scored.targets, step.targets / step.units if by_token else scored.targets.tokens).losses
        weights = self.tensor([u.weight for u in units])
        shown = token_metrics(scored, scored) | {"length/chosen": scored.answers.tokens}
        return Part((weights * values).sum() / step.units, shown, scored.answers.mean.detach()[:, None])


class Pairs(Objective):
    """DPO and its relatives: chosen against rejected, and imitation of the chosen answer where wanted."""

    def __init__(self, method: str, hparams: Training, policy: Policy, train: Sequence[Unit], team: Team) -> None:
        super().__init__(method, hparams, policy, train, team)
        self.nll_coef = 1.0 if method == "orpo" else hparams.nll_coef

    def step(self, units: Sequence[Unit]) -> Step:
        return Step(len(units), sum(u.lines[0].targets for u in units))

    def part(self, units: Sequence[Unit], step: Step) -> Part:
        scored = self.forward([line for u in units for line in u.lines])
        policy, both = PairLogps.of(scored.answers), scored.answers
        p, weights = self.tensor([u.p for u in units]), self.tensor([u.weight for u in units])
        ref = SeqLogps(self.tensor([r for u in units for r in u.ref]), both.tokens) if self.reference else None
        out = self.loss(policy, PairLogps.of(ref), p) if ref else self.loss(policy, p)
        loss = (weights * out.losses).sum() / step.units
        shown = pair_metrics(policy) | out.metrics | token_metrics(scored, scored[0::2])
        if self.nll_coef:
            chosen = scored.targets[0::2]
            loss = loss + self.nll_coef * sft_loss(chosen, step.targets).losses.sum()
            shown["nll_loss"] = (-chosen.total.detach(), chosen.tokens)
        if ref:
            shown["ref_accuracy"] = (ref.total[0::2] > ref.total[1::2]).float()
        answers = (both.total - ref.total if ref else both.total).detach()
        return Part(loss, shown, answers.reshape(-1, 2))


class Thumbs(Objective):
    """KTO: single answers, good or bad, against a reference point measured over the whole step beforehand."""

    def __init__(self, method: str, hparams: Training, policy: Policy, train: Sequence[Unit], team: Team) -> None:
        super().__init__(method, hparams, policy, train, team)
        good = sum(u.p for u in train)
        weights = kto_weights(good, len(train) - good)
        if hparams.kto_weights == "manual":
            weights = (hparams.desirable_weight, hparams.undesirable_weight)
        self.loss = partial(self.loss, desirable_weight=weights[0], undesirable_weight=weights[1])

    def step(self, units: Sequence[Unit]) -> Step:
        moved = answer_logps(self.policy, [u.partner for u in units], self.team)
        ref = SeqLogps(self.tensor([u.partner_ref for u in units]), moved.tokens)
        return Step(len(units), kl=kto_reference_point(moved, ref))

    def part(self, units: Sequence[Unit], step: Step) -> Part:
        scored = self.forward([u.lines[0] for u in units])
        p, weights = self.tensor([u.p for u in units]), self.tensor([u.weight for u in units])
        ref = SeqLogps(self.tensor([u.ref[0] for u in units]), scored.answers.tokens)
        out = self.loss(scored.answers, ref, p, step.kl)
        good = p > 0.5
        shown = sides(scored.answers[good], scored.answers[~good]) | out.metrics
        shown |= token_metrics(scored, scored, good.float())
        moved = (scored.answers.total - ref.total).detach()
        return Part((weights * out.losses).sum() / step.units, shown, moved[:, None])


class Scores(Objective):
    """The reward model: one score for each answer, and a comparison of every two that differ. A pair has one."""

    def step(self, units: Sequence[Unit]) -> Step:
        return Step(len(units), width=max(len(u.lines) for u in units))

    def part(self, units: Sequence[Unit], step: Step) -> Part:
        lines = [line for u in units for line in u.lines]
        scores, weights = self.forward(lines), self.tensor([u.weight for u in units])
        better, worse, group, p, margin = (x.to(self.policy.device) for x in compared(units))
        out = self.loss(scores, better, worse, group, p, margin)
        lengths = self.tensor([float(len(line.answer)) for line in lines])
        shown = out.metrics | {"length/chosen": lengths[better], "length/rejected": lengths[worse]}
        answers = scores.new_full((len(units), step.width), torch.nan)
        answers[real(units, step.width).to(scores.device)] = scores.detach()
        return Part((weights * out.losses).sum() / step.units, shown, answers)

    def table(self, units: Sequence[Unit], answers: Tensor) -> dict[str, float]:
        scores = answers[real(units, answers.shape[1])]
        lengths = torch.tensor([float(len(line.answer)) for u in units for line in u.lines])
        figures = {"length_corr": rank_correlation(scores, lengths)}
        better, worse, _, p, _ = compared(units)
        better, worse = better[p > 0.5], worse[p > 0.5]
        margins = scores[better] - scores[worse]
        near = (lengths[better] - lengths[worse]).abs() < 0.1 * torch.maximum(lengths[better], lengths[worse])
        if len(margins):
            figures["ece"] = calibration_error(margins)
        if near.any():
            figures["accuracy_length_matched"] = (margins[near] > 0).float().mean().item()
        return figures


KINDS: dict[str, type[Objective]] = {"demonstrations": Demonstrations, "pairs": Pairs, "thumbs": Thumbs}


def objective(
    method: str, hparams: Training, policy: Policy, train: Sequence[Unit], team: Team | None = None
) -> Objective:
    kind = Scores if policy.kind == "reward" else KINDS[METHODS[method].data]
    return kind(method, hparams, policy, train, team or Team())


def compared(units: Sequence[Unit]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All comparisons of units whose lines stand one after another: places of better and worse, unit, p, margin."""
    starts = accumulate((len(u.lines) for u in units), initial=0)
    rows = [
        (at + c.better, at + c.worse, i, c.p, c.margin)
        for i, (at, u) in enumerate(zip(starts, units, strict=False))
        for c in u.comparisons
    ]
    better, worse, group, p, margin = zip(*rows, strict=True)
    return *(torch.tensor(x) for x in (better, worse, group)), *(
        torch.tensor(x, dtype=torch.float32) for x in (p, margin)
    )


def real(units: Sequence[Unit], width: int) -> Tensor:
    """(units, width), True where the unit has an answer."""
    return torch.arange(width) < torch.tensor([[len(u.lines)] for u in units])


def bound(loss: Callable[..., LossOutput], hparams: Training) -> Callable[..., LossOutput]:
    """The loss with every keyword-only argument taken from the hyper-parameter of that name."""
    named = [n for n, a in signature(loss).parameters.items() if a.kind is Parameter.KEYWORD_ONLY]
    return partial(loss, **{n: getattr(hparams, n) for n in named})


def calibration_error(margins: Tensor, bins: int = 10) -> float:
    """Expected calibration error of sigmoid(|margin|) as the chance to be right, over bins of equal count."""
    confidence, order = torch.sigmoid(margins.abs()).sort()
    right = (margins > 0).float()[order]
    gaps = [
        (c.mean() - r.mean()).abs() * len(c)
        for c, r in zip(confidence.tensor_split(bins), right.tensor_split(bins), strict=True)
        if len(c)
    ]
    return (sum(gaps) / len(margins)).item()


def rank_correlation(a: Tensor, b: Tensor) -> float | None:
    """Spearman's rank correlation; None when one side is constant."""
    if a.unique().numel() < 2 or b.unique().numel() < 2:
        return None
    return float(spearmanr(a.flatten().numpy(), b.flatten().numpy()).statistic)


def sides(chosen: SeqLogps, rejected: SeqLogps) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
    """What is shown of chosen and of rejected answers, whatever the method."""
    return {
        name: value
        for side, x in (("chosen", chosen), ("rejected", rejected))
        for name, value in (
            (f"logps/{side}", x.total.detach()),
            (f"logps_per_token/{side}", x.mean.detach()),
            (f"length/{side}", x.tokens),
        )
    }


def pair_metrics(policy: PairLogps) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
    ranked = (policy.chosen.total > policy.rejected.total).float()
    return {"ranking/accuracy": ranked} | sides(policy.chosen, policy.rejected)


def token_metrics(scored: Scored, liked: Scored, share: Tensor | float = 1.0) -> dict[str, tuple[Tensor, Tensor]]:
    """Entropy over all target tokens; first-choice hits over those of liked answers."""
    return {
        "entropy": (scored.entropy, scored.targets.tokens),
        "mean_token_accuracy": (liked.hits * share, liked.targets.tokens * share),
    }
