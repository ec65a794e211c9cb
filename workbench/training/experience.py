"""What PPO learns from: answers with what they were given, and what a rollout says of the policy that drew it.

Leaves out drawing (`rollout`), the models (`actors`) and the updates (`ppo`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.training.actors import Judge
from workbench.training.rollout import Episode


@dataclass
class Norm:
    """Where the scores of each judge lie: z = (r - shift) / scale. Measured before the first update, then fixed."""

    shift: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, raw: Tensor, how: str) -> "Norm":
        """raw (n, judges). How: `ref` mean 0 and deviation 1, `center` mean 0, `none`."""
        ones = torch.ones_like(raw[0])
        shift = raw.mean(0) if how != "none" else 0 * ones
        scale = raw.std(0).clamp_min(1e-6) if how == "ref" else ones
        return cls(shift.tolist(), scale.tolist())

    def of_each(self, raw: Tensor) -> Tensor:
        """Normalised scores (n, judges)."""
        return (raw - raw.new_tensor(self.shift)) / raw.new_tensor(self.scale)

    def __call__(self, raw: Tensor, weights: Sequence[float]) -> Tensor:
        """One normalised score (n,): the mean over judges by weight."""
        weight = raw.new_tensor(weights)
        return (self.of_each(raw) * weight).sum(1) / weight.sum()


@dataclass(frozen=True)
class Rollout:
    """Episodes with everything that stays as it is while they are learnt from; (B, T) unless said."""

    episodes: list[Episode]
    mask: Tensor
    old: Tensor
    ref: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    raw: Tensor  # (B, judges)
    scores: Tensor  # (B,)

    def __getitem__(self, chosen: Sequence[int]) -> "Rollout":
        tensors = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__ if name != "episodes"}
        return Rollout([self.episodes[i] for i in chosen], **tensors)


def figures(rollout: Rollout, judges: Sequence[Judge], kl_coef: float) -> dict[str, Any]:
    """What a rollout says of the policy before it was learnt from, under the names that methods.md 2.3 gives."""
    mask, moved = rollout.mask, torch.where(rollout.mask, rollout.old - rollout.ref, 0.0)
    pulled, ended = -kl_coef * moved.sum(1), [e.ended for e in rollout.episodes]
    left, spread = (x[mask].var(correction=0) for x in (rollout.returns - rollout.values, rollout.returns))
    told = {
        "objective/kl": moved.sum(1).mean(),
        "objective/entropy": -torch.where(mask, rollout.old, 0.0).sum(1).mean(),
        "objective/non_score_reward": pulled.mean(),
        "objective/scores": rollout.scores.mean(),
        "objective/rlhf_reward": (pulled + rollout.scores).mean(),
        "objective/score_std": rollout.scores.std(correction=0),
        "objective/eos_rate": float(np.mean(ended)),
        "objective/length": mask.sum(1).float().mean(),
        "objective/kl_coef": kl_coef,
        "val/num_eos_tokens": int(sum(ended)),
        "val/explained_var": 1 - left / spread if spread > 0 else None,
        "val/sampler_logp_gap": sampler_gap(rollout),
    }
    for judge, raw in zip(judges, rollout.raw.mean(0), strict=True):
        told[f"objective/scores_raw/{judge.name}"] = raw
    return {name: value.item() if isinstance(value, Tensor) else value for name, value in told.items()}


def sampler_gap(rollout: Rollout) -> float:
    """Mean over answers of |log-prob when drawn - log-prob when scored|, nats per token."""
    return float(
        np.mean(
            [
                (rollout.old[i, : len(e.logps)].cpu() - torch.tensor(e.logps)).abs().mean().item()
                for i, e in enumerate(rollout.episodes)
            ]
        )
    )


def held_out(
    episodes: Sequence[Episode], raw: Tensor, scores: Tensor, norm: Norm, judges: Sequence[Judge]
) -> dict[str, float]:
    """What answers to held-out prompts score, how long they are and whether they end."""
    each = norm.of_each(raw)
    told = {
        "objective/scores": scores.mean().item(),
        "objective/score_std": scores.std(correction=0).item(),
        "objective/eos_rate": float(np.mean([e.ended for e in episodes])),
        "objective/length": float(np.mean([len(e.line.answer) for e in episodes])),
    }
    for i, judge in enumerate(judges):
        told[f"objective/scores_raw/{judge.name}"] = raw[:, i].mean().item()
        if not judge.weight:
            told[f"watching/{judge.name}"] = each[:, i].mean().item()
    return {f"eval_{name}": value for name, value in told.items()}
