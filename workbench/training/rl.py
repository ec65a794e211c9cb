"""The arithmetic of PPO: scores, rewards per token, advantages, whitening, clipped losses, the KL coefficient.

Episodes are rows of (B, T) tensors, padded to the right; `mask` says which tokens are real, and what stands elsewhere
changes nothing. Leaves out models and sampling (`ppo`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def final_scores(
    scores: Tensor, ended: Tensor, *, score_clip: float, missing_eos: str, missing_eos_penalty: float
) -> Tensor:
    """What an episode is given at its end (B,): the clipped score, less where no stop token was sampled.

    scores   (B,) normalised scores of the reward model
    ended    (B,) bool, whether a stop token was sampled
    missing_eos   `subtract` the penalty, `replace` the score by -1, or `none`

    A score of 12, clipped to 10, of an answer that does not end: 9 with a penalty of 1.
    Source: Huang et al. 2024, arXiv:2403.17031, "EOS trick", for `replace`.
    """
    clipped = scores.clamp(-score_clip, score_clip)
    if missing_eos == "none":
        return clipped
    unended = clipped - missing_eos_penalty if missing_eos == "subtract" else torch.full_like(clipped, -1.0)
    return torch.where(ended, clipped, unended)


def kl_rewards(old: Tensor, ref: Tensor, scores: Tensor, mask: Tensor, *, kl_coef: float) -> Tensor:
    """Reward of each token (B, T): a pull towards the reference everywhere, the score at the last real token.

        r_t = -kl_coef * (log pi_old(y_t) - log ref(y_t)),   r_T += score

    Log-prob ratios (.1, -.2) and a score of 1 under kl_coef .05 give (-.005, 1.01).
    Source: Ziegler et al. 2019, arXiv:1909.08593, Eq. 2.
    """
    rewards = torch.where(mask, -kl_coef * (old - ref), 0.0)
    last = mask.sum(1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores[:, None].to(rewards.dtype))


def advantages(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns, (B, T) each, zero beyond the mask.

        delta_t = r_t + gamma * V_{t+1} - V_t,   A_t = delta_t + gamma * lam * A_{t+1},   R_t = A_t + V_t

    After the last real token V and A are 0, also where an answer was cut: nothing is bootstrapped.
    Rewards (-.005, 1.01) and values (.5, .2) under gamma 1, lam .95: A = (.4645, .81), R = (.9645, 1.01).
    Source: Schulman et al. 2015, arXiv:1506.02438, Eq. 16.
    """
    rewards, values = (torch.where(mask, x, 0.0) for x in (rewards, values))
    found, ahead, value_ahead = torch.zeros_like(values), values.new_zeros(len(values)), values.new_zeros(len(values))
    for t in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * value_ahead - values[:, t]
        ahead = torch.where(mask[:, t], delta + gamma * lam * ahead, 0.0)
        found[:, t], value_ahead = ahead, values[:, t]
    return found, found + values


def whitened(x: Tensor, mask: Tensor, *, centred: bool = True) -> Tensor:
    """x (B, T) with variance 1 over the real tokens, and mean 0 unless not `centred`; unbiased variance.

    (.4645, .81) becomes (-.707107, .707107). A single token has no variance and becomes 0.
    """
    real = x[mask]
    mean = real.mean()
    variance = real.var() if len(real) > 1 else real.new_zeros(())
    scaled = (x - mean) * torch.rsqrt(variance + 1e-8)
    return torch.where(mask, scaled if centred else scaled + mean, 0.0)


@dataclass(frozen=True)
class Clipped:
    """A loss of each token (B, T), zero beyond the mask, and where clipping took effect (B, T)."""

    losses: Tensor
    clipped: Tensor


def policy_loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *, cliprange: float) -> Clipped:
    """PPO's clipped surrogate, to be averaged over real tokens.

        rho = exp(new - old),   loss = max(-A * rho, -A * clip(rho, 1 - cliprange, 1 + cliprange))

    new, old   log-probs (B, T) at the sampling temperature; gradients flow through `new` alone
    A = (.4645, .81) and rho = (1.3, .7) under .2: (-.5574, -.567).
    Source: Schulman et al. 2017, arXiv:1707.06347, Eq. 7, with the sign of a loss.
    """
    rho = torch.where(mask, new - old, 0.0).exp()
    weight = torch.where(mask, advantages, 0.0)
    free, held = -weight * rho, -weight * rho.clamp(1 - cliprange, 1 + cliprange)
    return Clipped(torch.maximum(free, held), (held > free) & mask)


def value_loss(new: Tensor, old: Tensor, returns: Tensor, mask: Tensor, *, cliprange_value: float) -> Clipped:
    """Squared error of the values, which may move `cliprange_value` at once; to be averaged over real tokens.

        loss = 0.5 * max((V - R)^2, (clip(V, V_old - c, V_old + c) - R)^2)

    V = (.9, .2), V_old = (.5, .2), R = (.9645, 1.01) under .2: mean .18151506.
    Source: Schulman et al. 2017 as in OpenAI's baselines; arXiv:2403.17031, detail "value clipping".
    """
    new, old, returns = (torch.where(mask, x, 0.0) for x in (new, old, returns))
    free = (new - returns).square()
    held = (new.clamp(old - cliprange_value, old + cliprange_value) - returns).square()
    return Clipped(0.5 * torch.maximum(free, held), (held > free) & mask)


def adapted_kl_coef(kl_coef: float, kl: float, *, kl_target: float, kl_horizon: int, episodes: int) -> float:
    """The KL coefficient after a rollout whose KL per episode was `kl`: up when above the target, down when below.

    .2 after a KL of 1 over 256 episodes, target 6, horizon 10000: .198976.
    Source: Ziegler et al. 2019, arXiv:1909.08593, section 2.2 and code.
    """
    error = min(max(kl / kl_target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * episodes / kl_horizon)
