"""Every loss as a pure function: per-example values and metrics from log-probabilities or scores, checkable by hand.

Leaves out reduction (`loop`), the weights of rows and the likelihood term of pair methods (`objectives`).
Common signs: p is the chance that the chosen answer is truly the better one, 1 unless labels are softened;
D(y) = log pi(y|x) - log ref(y|x); everything in nats, every result of shape (B,).
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.training.logps import PairLogps, SeqLogps


@dataclass(frozen=True)
class LossOutput:
    """Per-example losses (B,), and metrics: values whose mean over all examples they hold is what is logged."""

    losses: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)


def bce(z: Tensor, p: Tensor | float = 1.0) -> Tensor:
    """-p log sigmoid(z) - (1 - p) log sigmoid(-z), stable for any z. At z = 0: log 2."""
    return -p * F.logsigmoid(z) - (1 - p) * F.logsigmoid(-z)


def reward_metrics(chosen: Tensor, rejected: Tensor) -> dict[str, Tensor]:
    """The four charts of every preference method. Equal rewards count as wrong."""
    chosen, rejected = chosen.detach(), rejected.detach()
    return {
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected,
        "rewards/accuracies": (chosen > rejected).to(chosen.dtype),
    }


def mean_logps(policy: PairLogps) -> dict[str, Tensor]:
    """`logps/*` as token means, for the methods that compare means."""
    return {"logps/chosen": policy.chosen.mean.detach(), "logps/rejected": policy.rejected.mean.detach()}


def sft_loss(policy: SeqLogps, tokens: Tensor | float) -> LossOutput:
    """Supervised fine-tuning: negative log-likelihood of the answer.

        loss = -log pi(y|x) / tokens

    tokens   (target tokens in the step) / B makes the mean over B examples the mean over tokens;
             policy.tokens makes it the mean over answers

    Token log-probs (-1,-2,-3) and (-4): 2.5 over tokens, 3 over answers.
    Source: Ouyang et al. 2022, arXiv:2203.02155, section 3.
    """
    return LossOutput(-policy.total / tokens)


def rm_loss(
    chosen: Tensor, rejected: Tensor, p: Tensor | float = 1.0, margin: Tensor | float = 0.0, *, center_coef: float
) -> LossOutput:
    """Reward model: Bradley-Terry on two scores, held near zero.

        loss = -p log sigmoid(r_w - r_l - m) - (1 - p) log sigmoid(r_l - r_w - m) + c (r_w + r_l)^2

    chosen, rejected   scores r, (B,)
    margin             m >= 0, from the strength of the vote
    center_coef        c >= 0: scores are only defined up to a shift, this picks one

    Scores (1, 0) with c = 0: 0.313262. Source: arXiv:2203.02155 Eq. 1; margin: arXiv:2307.09288 Eq. 2;
    centring: arXiv:2312.09244.
    """
    apart = chosen - rejected
    losses = -p * F.logsigmoid(apart - margin) - (1 - p) * F.logsigmoid(-apart - margin)
    losses = losses + center_coef * (chosen + rejected).square()
    shown = reward_metrics(chosen, rejected)
    scores = torch.cat([shown["rewards/chosen"], shown["rewards/rejected"]])
    names = {"accuracy": shown["rewards/accuracies"], "margin": shown["rewards/margins"]}
    return LossOutput(losses, shown | names | {f"{n}_reward": scores for n in ("mean", "min", "max")})


def rm_rank_loss(
    scores: Tensor,
    better: Tensor,
    worse: Tensor,
    group: Tensor,
    p: Tensor | float = 1.0,
    margin: Tensor | float = 0.0,
    *,
    center_coef: float,
) -> LossOutput:
    """Reward model on whole rankings: the mean of `rm_loss` over all pairs of a prompt, each answer scored once.

        loss = mean over compared (i, j) of rm_loss(r_i, r_j, p_ij, m_ij)

    scores           (answers,) of all prompts together
    better, worse    (pairs,) places of the compared answers; p and margin are of this shape too
    group            (pairs,) number of the prompt, 0 to G - 1, each with a pair or more; losses are (G,)

    Ties (p = 0.5) count in the loss, not in the metrics. Two answers: exactly `rm_loss`.
    Scores (2, 1, 0) of one prompt, c = 0: 0.251150. Source: Ouyang et al. 2022, arXiv:2203.02155, Eq. 1.
    """
    out = rm_loss(scores[better], scores[worse], p, margin, center_coef=center_coef)
    strict = torch.as_tensor(p, device=group.device).expand(len(group)) > 0.5
    ordered = {n: v[strict] for n, v in out.metrics.items() if len(v) == len(group)}
    metrics = {name: group_mean(values, group[strict]) for name, values in ordered.items()}
    metrics |= {f"{n}_reward": scores.detach() for n in ("mean", "min", "max")}
    return LossOutput(group_mean(out.losses, group), metrics)


def group_mean(values: Tensor, group: Tensor) -> Tensor:
    """The mean of the values of each group that has any, in the order of the groups' numbers."""
    count = torch.bincount(group)
    sums = values.new_zeros(len(count)).index_add(0, group, values)
    return sums[count > 0] / count[count > 0]


def dpo_loss(policy: PairLogps, ref: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """Direct Preference Optimization: raise the chosen/rejected odds relative to a reference.

        z    = beta (D(w) - D(l))
        loss = -p log sigmoid(z) - (1 - p) log sigmoid(-z)

    policy, ref   summed log-probs
    beta          > 0; larger keeps the policy nearer the reference
    p             label smoothing eps is p = 1 - eps

    At policy == ref the loss is log 2 for every pair.
    Source: Rafailov et al. 2023, arXiv:2305.18290, Eq. 7; p: Mitchell's cDPO note, Eq. 3.
    """
    chosen, rejected = implicit_rewards(policy, ref, beta)
    return LossOutput(bce(chosen - rejected, p), reward_metrics(chosen, rejected))


def dpo_robust_loss(policy: PairLogps, ref: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """Robust DPO: unbiased under labels flipped with rate e = 1 - p (at most 0.45). May be negative.

        loss = [-(1 - e) log sigmoid(z) + e log sigmoid(-z)] / (1 - 2 e)

    Source: Chowdhury et al. 2024, arXiv:2403.00409.
    """
    chosen, rejected = implicit_rewards(policy, ref, beta)
    z = chosen - rejected
    e = (1 - torch.as_tensor(p, dtype=z.dtype, device=z.device)).clamp(max=0.45)
    losses = (-(1 - e) * F.logsigmoid(z) + e * F.logsigmoid(-z)) / (1 - 2 * e)
    return LossOutput(losses, reward_metrics(chosen, rejected))


def dpo_ipo_loss(
    policy: PairLogps, ref: PairLogps, p: Tensor | float = 1.0, *, beta: float, ipo_length_norm: bool = True
) -> LossOutput:
    """IPO: pull the log-odds difference h to 1/(2 beta) instead of to infinity.

        h    = D(w)/n_w - D(l)/n_l          (sums instead of means without ipo_length_norm)
        loss = p (h - c)^2 + (1 - p) (h + c)^2,   c = 1/(2 beta)

    beta is the paper's tau. Source: Azar et al. 2023, arXiv:2310.12036, Eq. 17.
    """
    form = "mean" if ipo_length_norm else "total"
    moved_w = getattr(policy.chosen, form) - getattr(ref.chosen, form)
    moved_l = getattr(policy.rejected, form) - getattr(ref.rejected, form)
    h = moved_w - moved_l
    c = 1 / (2 * beta)
    return LossOutput(
        p * (h - c).square() + (1 - p) * (h + c).square(), reward_metrics(*implicit_rewards(policy, ref, beta))
    )


def dpo_hinge_loss(policy: PairLogps, ref: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """Hinge: p max(0, 1 - z) + (1 - p) max(0, 1 + z). Source: arXiv:2309.06657, arXiv:2305.10425."""
    chosen, rejected = implicit_rewards(policy, ref, beta)
    return LossOutput(hinge(chosen - rejected, p), reward_metrics(chosen, rejected))


def dpo_norm_loss(policy: PairLogps, ref: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """DPO on token means: z = beta (D(w)/n_w - D(l)/n_l). Source: Lambert et al. 2024, arXiv:2411.15124."""
    z = beta * (policy.chosen.mean - ref.chosen.mean - policy.rejected.mean + ref.rejected.mean)
    return LossOutput(bce(z, p), reward_metrics(*implicit_rewards(policy, ref, beta)))


def kto_loss(
    policy: SeqLogps,
    ref: SeqLogps,
    p: Tensor,
    kl: Tensor,
    *,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
) -> LossOutput:
    """Kahneman-Tversky Optimization: gains and losses of single answers against a reference point.

        good: lambda_D (1 - sigmoid(beta (D - kl)))      bad: lambda_U (1 - sigmoid(beta (kl - D)))
        loss = p good + (1 - p) bad

    p     (B,) chance that the answer is good; 1 and 0 for plain labels
    kl    the reference point of the step, without gradient: `kto_reference_point`

    At policy == ref, kl = 0 and weights 1 the loss is 0.5.
    Source: Ethayarajh et al. 2024, arXiv:2402.01306.
    """
    moved = policy.total - ref.total
    rise = torch.sigmoid(beta * (moved - kl))
    losses = p * desirable_weight * (1 - rise) + (1 - p) * undesirable_weight * rise
    rewards, good = (beta * moved).detach(), p > 0.5
    right = ((rewards > beta * kl) == good).to(rewards.dtype)
    metrics = {
        "rewards/chosen": rewards[good],
        "rewards/rejected": rewards[~good],
        "rewards/accuracies": right,
        "kl": kl.detach().reshape(1),
    }
    return LossOutput(losses, metrics)


def kto_reference_point(policy: SeqLogps, ref: SeqLogps) -> Tensor:
    """max(0, mean D) over a whole step of answers paired with prompts they do not belong to, in nats, detached."""
    return (policy.total - ref.total).mean().clamp(min=0).detach()


def cpo_loss(policy: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """Contrastive Preference Optimization: DPO with a uniform reference; imitation is added by `nll_coef`.

        loss = bce(beta (log pi(y_w|x) - log pi(y_l|x)), p)

    Source: Xu et al. 2024, arXiv:2401.08417.
    """
    chosen, rejected = beta * policy.chosen.total, beta * policy.rejected.total
    return LossOutput(bce(chosen - rejected, p), reward_metrics(chosen, rejected))


def cpo_hinge_loss(policy: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """CPO with p max(0, 1 - z) + (1 - p) max(0, 1 + z), z as in `cpo_loss`."""
    chosen, rejected = beta * policy.chosen.total, beta * policy.rejected.total
    return LossOutput(hinge(chosen - rejected, p), reward_metrics(chosen, rejected))


def cpo_ipo_loss(policy: PairLogps, p: Tensor | float = 1.0, *, beta: float) -> LossOutput:
    """CPO with the IPO square on token means: (avg(w) - avg(l) - c)^2, c = 1/(2 beta)."""
    h, c = policy.chosen.mean - policy.rejected.mean, 1 / (2 * beta)
    rewards = reward_metrics(beta * policy.chosen.total, beta * policy.rejected.total)
    return LossOutput(p * (h - c).square() + (1 - p) * (h + c).square(), rewards)


def orpo_loss(policy: PairLogps, p: Tensor | float = 1.0, *, lambda_or: float) -> LossOutput:
    """Odds Ratio Preference Optimization: the comparison term; imitation with weight 1 is added outside.

        LO   = logit(e^avg(w)) - logit(e^avg(l)),   logit(e^a) = a - log(1 - e^a)
        loss = lambda_or bce(LO, p)

    Mean log-probs (-0.5, -1), lambda 0.1: LO = 0.974077, loss 0.032030.
    Source: Hong et al. 2024, arXiv:2403.07691, Eqs. 6 and 7.
    """
    chosen, rejected = policy.chosen.mean, policy.rejected.mean
    odds = (chosen - log1mexp(chosen)) - (rejected - log1mexp(rejected))
    shown = {"log_odds_ratio": F.logsigmoid(odds).detach(), "log_odds_chosen": odds.detach()}
    rewards = reward_metrics(lambda_or * chosen, lambda_or * rejected)
    return LossOutput(lambda_or * bce(odds, p), rewards | shown | mean_logps(policy))


def simpo_loss(policy: PairLogps, p: Tensor | float = 1.0, *, beta: float, gamma_beta_ratio: float) -> LossOutput:
    """Simple Preference Optimization: likelihood per token, with a target margin.

        loss = bce(beta (avg(w) - avg(l)) - gamma, p),   gamma = beta gamma_beta_ratio

    Mean log-probs (-0.5, -1), beta 2, ratio 0.5: z = 0, loss log 2.
    Source: Meng et al. 2024, arXiv:2405.14734, Eq. 6.
    """
    chosen, rejected = beta * policy.chosen.mean, beta * policy.rejected.mean
    losses = bce(chosen - rejected - beta * gamma_beta_ratio, p)
    return LossOutput(losses, reward_metrics(chosen, rejected) | mean_logps(policy))


def implicit_rewards(policy: PairLogps, ref: PairLogps, beta: float) -> tuple[Tensor, Tensor]:
    """beta D(w), beta D(l): what a policy trained against a reference seems to reward."""
    return (
        beta * (policy.chosen.total - ref.chosen.total),
        beta * (policy.rejected.total - ref.rejected.total),
    )


def hinge(z: Tensor, p: Tensor | float) -> Tensor:
    return p * F.relu(1 - z) + (1 - p) * F.relu(1 + z)


def log1mexp(a: Tensor) -> Tensor:
    """log(1 - e^a) for a < 0, exact at both ends; a above -1e-7 counts as -1e-7. At a = -log 2: -log 2."""
    a = a.clamp(max=-1e-7)
    near_zero = a > -math.log(2)
    small, large = torch.where(near_zero, a, -1.0), torch.where(near_zero, -1.0, a)
    return torch.where(near_zero, torch.log(-torch.expm1(small)), torch.log1p(-torch.exp(large)))
