"""A linear probe: which of two answers people prefer, told from what a frozen model thinks at the end of each.

Bradley-Terry on differences of hidden states. Leaves out which labels it learns from (`scoring`, `worth`).
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.errors import EngineError
from workbench.training.comparisons import dealt
from workbench.training.data import Line
from workbench.training.policy import Policy
from workbench.training.rows import blocks, packed, padded

RIDGE = 0.3
STEPS, FLAT = 500, 1e-7
LEAST = 100  # labels behind a probe that may contradict one


@torch.no_grad()
def differences(model: Policy, rows: list[dict[str, Any]]) -> Iterator[tuple[int, Tensor]]:
    """Of each pair that the model can read, its number and h_0 - h_1 (d,), float32."""
    for part in dealt(model, rows):
        states = ends(model, [line for _, lines in part for line in lines])
        if not torch.isfinite(states).all():
            raise EngineError("the model gives states that are not numbers: take another")
        yield from zip((row["item"] for row, _ in part), states[0::2] - states[1::2], strict=True)


def ends(model: Policy, lines: list[Line]) -> Tensor:
    """The hidden state (n, d) at the last token of each line; the mean over an answer told less in a trial."""
    found: dict[int, Tensor] = {}
    for part in [range(len(lines))] if model.packed else blocks(lines, model.budget // 32):
        layout = (packed if model.packed else padded)([lines[i] for i in part], model.device)
        with model.casting():
            states = model.states(layout, layout.last).float()
        states = states if layout.which is None else states[layout.which]
        found |= dict(zip(part, states.cpu(), strict=True))
    return torch.stack([found[i] for i in range(len(lines))])


def fit(x: Tensor, p: Tensor) -> Tensor:
    """The probe theta (d,), float64: x theta is the log-odds that answer 0 is better.

        min  sum_i -p_i log sigmoid(z_i) - (1 - p_i) log sigmoid(-z_i) + RIDGE / 2 * m |theta|^2,   z = x theta

    x       (n, d) differences of hidden states
    p       (n,) in [0, 1]: share of votes for answer 0
    m       mean of |x_i|^2: whatever the size of the states, a pair's log-odds have prior variance 1 / RIDGE

    No intercept: with the answers exchanged, x and p mirrored, theta is the same. All p = 1/2 give 0.
    """
    size = x.double().square().sum(1).mean().sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    scaled, p = x.double() / size, p.double()
    theta = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([theta], max_iter=STEPS, tolerance_grad=FLAT, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        cost = F.binary_cross_entropy_with_logits(scaled @ theta, p, reduction="sum") + RIDGE / 2 * theta.dot(theta)
        cost.backward()
        return cost

    search.step(loss)
    return theta.detach() / size


def chance(x: Tensor, theta: Tensor) -> Tensor:
    """(n,) that answer 0 is better."""
    return torch.sigmoid(x.double() @ theta)


def crossed(x: Tensor, p: Tensor, fold: Tensor) -> Tensor | None:
    """(n,) chance that answer 0 is better, by probes that have not seen the labels of its fold.

    None where too few labels, or probes that tell no more than a coin, could contradict anybody.
    """
    if len(x) < LEAST or len(fold.unique()) < 2:
        return None
    found = torch.empty(len(x), dtype=torch.float64)
    for k in fold.unique():
        here = fold == k
        found[here] = chance(x[here], fit(x[~here], p[~here]))
    coin = torch.full_like(found, 0.5)
    better = F.binary_cross_entropy(found, p.double()) < F.binary_cross_entropy(coin, p.double())
    return found if better else None
