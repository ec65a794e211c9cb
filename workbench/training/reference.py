"""Log-probs under the reference, which is the start model of the run: computed once, before the first step.

Leaves out how they enter a loss (`losses`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from workbench.training.data import Line
from workbench.training.logps import SeqLogps
from workbench.training.policy import Policy
from workbench.training.team import Team


@torch.no_grad()
def answer_logps(policy: Policy, lines: Sequence[Line], team: Team | None = None) -> SeqLogps:
    """Log-probs of many answers under the policy as it is now, without gradient, in the order of `lines`."""
    team, total = team or Team(), torch.zeros(len(lines), device=policy.device)
    for part in team.share(policy.deal([(line,) for line in lines], 4 * policy.budget)):
        made = policy([lines[i] for i in part or [0]]).answers.total
        if part:
            total[part] = made
    total = team.total(total)
    return SeqLogps(total, torch.tensor([float(len(line.answer)) for line in lines], device=policy.device))


def with_reference(policy: Policy, units: Sequence[Any], team: Team | None = None) -> list[Any]:
    """The units with `ref` and `partner_ref` filled. The policy must be untouched, or have its adapters to turn off."""
    lines = [line for u in units for line in u.lines] + [u.partner for u in units if u.partner]
    with policy.untouched():
        known = iter(answer_logps(policy, lines, team).total.tolist())
    units = [replace(u, ref=tuple(next(known) for _ in u.lines)) for u in units]
    return [replace(u, partner_ref=next(known)) if u.partner else u for u in units]
