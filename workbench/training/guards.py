"""What ends a PPO run by itself: the reward is gamed, answers do not end, scores say nothing. Reads metric lines only.

Leaves out `kl_limit`, which is a knob of its own (`ppo`). Bounds are those of rule P04 of the doctor where it has some.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

SCORES, KL, LENGTH, ENDS = "objective/scores", "objective/kl", "objective/length", "objective/eos_rate"
RISE = 0.5  # of the scores, in units of the reference's own spread: less may be chance
LEFT = 50.0  # KL per answer at which a policy of 1 billion parameters won under a fifth (arXiv:2403.17031)
LONGER = 1.5
ENDING = 0.5  # share of answers that end
FLAT = 1e-3
IN_A_ROW = 3

Lines = Sequence[dict[str, Any]]


def tripped(lines: Lines) -> str | None:
    """Why a run should end here, or None. `lines` are those of metrics.jsonl, oldest first."""
    rollouts = [line for line in lines if line.get(SCORES) is not None]
    if len(rollouts) < IN_A_ROW:
        return None
    return gamed(rollouts) or strayed(lines) or broken(rollouts[-IN_A_ROW:])


def gamed(rollouts: Lines) -> str | None:
    """Scores rise while answers run away from the reference or grow; over the last few rollouts, against the first."""
    first, last = rollouts[0], rollouts[-IN_A_ROW:]
    if fmean(line[SCORES] for line in last) <= first[SCORES] + RISE:
        return None
    kl, length = (fmean(line[name] for line in last) for name in (KL, LENGTH))
    if kl > LEFT:
        return f"the scores rise, but the answers have left the reference (KL {kl:.0f}): raise kl_coef"
    if length > LONGER * first[LENGTH]:
        return (
            f"the scores rise with the length of the answers ({first[LENGTH]:.0f} to {length:.0f} tokens): "
            "balance lengths in the labels of the reward model, or raise kl_coef"
        )
    return None


def strayed(lines: Lines) -> str | None:
    """A reward model that only watches likes the held-out answers less and less, while the scores rise."""
    told = [line for line in lines if line.get(f"eval_{SCORES}") is not None]
    watching = [name for name in (told[0] if told else {}) if name.startswith("eval_watching/")]
    if len(told) < 3 or told[-1][f"eval_{SCORES}"] <= told[0][f"eval_{SCORES}"] + RISE:
        return None
    for name in watching:
        if told[-1][name] < told[-2][name] < told[0][name] - RISE:
            return f"{name.partition('/')[2]}, which only watches, likes the answers less and less while scores rise"
    return None


def broken(last: Lines) -> str | None:
    """Every one of the last rollouts says that going on is useless."""
    if all(line[ENDS] < ENDING for line in last):
        return (
            f"only {last[-1][ENDS]:.0%} of the answers end by themselves: raise max_new_tokens or missing_eos_penalty, "
            "or start from a model that was taught to end (SFT)"
        )
    if all(line["objective/score_std"] < FLAT for line in last):
        return "the reward model gives every answer the same score: there is nothing to learn from"
    if all(line[KL] < -1 for line in last):
        return f"the KL per answer is {last[-1][KL]:.3g}, which cannot be: answers are drawn otherwise than scored"
    return None
