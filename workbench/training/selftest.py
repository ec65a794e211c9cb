"""Whether a model reads packed rows as it reads separate sequences: asked of the real model before every run.

Models that carry state along the row (convolutions, linear attention, state spaces) run packed rows without an error
and wrongly, by less than the rounding of a good model in 16 bits. So the test changes inputs and looks what moves.
"""

import numpy as np
import torch
from torch import Tensor

from workbench.training.data import Line
from workbench.training.logps import logps_of
from workbench.training.policy import Policy
from workbench.training.rows import Layout, packed, padded

LENGTHS = {"P": 33, "A": 17, "B": 21, "Q": 12, "D": 9}
LEAK = {torch.float32: 1e-6, torch.bfloat16: 1e-3}  # of the largest state; expert batches round differently in bf16
SIGHT = 1e-3
NEAR = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # nats a token, on average


class Unfit(Exception):
    """Why a layout does not fit a model."""


@torch.no_grad()
def choose_layout(policy: Policy) -> str | None:
    """Packed rows where the model reads them rightly; else padded lines, and why."""
    try:
        policy.lay_out(packed=True)
        _isolated(policy)
        _agrees(policy)
        return None
    except Exception as error:  # whatever a stranger's model raises, the other layout may still be right
        reason = str(error) if isinstance(error, Unfit) else f"{type(error).__name__}: {error}"
    policy.lay_out(packed=False)
    try:
        _agrees(policy)
    except Exception:  # no hidden states, or a head that is not the one we know
        policy.own_logits = policy.kind == "causal"
    return reason


def probe(policy: Policy, changed: str = "") -> list[Line]:
    """Lines P A, P B, Q D of random tokens; the one named in `changed` gets other tokens."""
    config = policy.plain().config.get_text_config()
    window, lengths = getattr(config, "sliding_window", None), dict(LENGTHS)
    if window and window <= 4096 and policy.device.type == "cuda":
        lengths["P"] = window + 16
    draw = {
        name: np.random.default_rng([i, name == changed]).integers(0, config.vocab_size, n, dtype=np.int32)
        for i, (name, n) in enumerate(lengths.items())
    }
    return [Line.of(draw[prompt], draw[answer]) for prompt, answer in ("PA", "PB", "QD")]


def _isolated(policy: Policy) -> None:
    """In the row P A B Q D nobody sees an answer but itself, and B sees P."""
    first, second, _ = probe(policy)
    a = slice(len(first.prompt), len(first))
    b = slice(len(first), len(first) + len(second.answer))
    plain = _states(policy)
    for name, own in (("A", a), ("B", b)):
        moved = (_states(policy, name) - plain).abs().amax(-1)
        moved[own] = 0
        leak = (moved.max() / plain.abs().max()).item()
        if not leak <= LEAK[policy.precision]:
            raise Unfit(f"it carries state along the row: other answers change what it reads, by {leak:.1e}")
    seen = (_states(policy, "P") - plain)[b].abs().max().item()
    if not seen > SIGHT:
        raise Unfit(f"a second answer does not see its prompt: another one changes it by {seen:.1e}")


def _states(policy: Policy, changed: str = "") -> Tensor:
    layout = packed(probe(policy, changed), policy.device)
    with policy.casting():
        return policy.states(layout, torch.arange(layout.ids.numel(), device=policy.device)).float()


def _agrees(policy: Policy) -> None:
    """Our log-probs or scores are those that the model itself gives: in the same layout, and one sequence at a time."""
    lines = probe(policy)
    layout = (packed if policy.packed else padded)(lines, policy.device)
    with policy.casting():
        ours = policy.scores(layout) if policy.kind == "reward" else policy.token_logps(layout).values
        own = _own(policy, layout)
        with policy.stock():
            alone = torch.cat([_own(policy, padded([line], policy.device)) for line in lines])
    for values, fault in ((own, "its head is not the one we know"), (alone, "it reads single sequences differently")):
        gap = (ours - values).abs().mean().item()
        if not gap <= NEAR[policy.precision]:
            raise Unfit(f"{fault}: by {gap:.1e} a token")


def _own(policy: Policy, layout: Layout) -> Tensor:
    """Log-probs from the model's own logits; of a reward model the scores that its head gives."""
    if policy.kind == "reward":
        return policy.scores(layout)
    return logps_of(policy.logits(layout)[layout.source], layout.target).values
