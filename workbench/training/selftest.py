"""Whether a model reads packed rows as it reads separate sequences: asked of the real model before every run.

Models that carry state along the row (convolutions, linear attention, state spaces) run packed rows without an error
and wrongly, by less than the rounding of a good model in 16 bits. So the test changes inputs and looks what moves.
"""

import numpy as np
import torch
from torch import Tensor

from workbench.errors import ModelError
from workbench.training.data import Line
from workbench.training.logps import logps_of
from workbench.training.policy import Policy
from workbench.training.rows import Layout, packed, padded

LENGTHS = {"P": 33, "A": 17, "B": 21, "Q": 12, "D": 9}
LEAK = {torch.float32: 1e-6, torch.bfloat16: 1e-3}  # of the largest state; expert batches round differently in bf16
SIGHT = 1e-3
HEAD = {torch.float32: 1e-5, torch.bfloat16: 2e-2}  # nats a token, on average, in the same layout
NEAR = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # the same one sequence at a time; of scores, a share of their size


class Unfit(Exception):
    """Why a layout does not fit a model."""


@torch.no_grad()
def choose_layout(policy: Policy) -> str | None:
    """Packed rows where the model reads them rightly; else padded lines, and why.

    Raises ModelError for broken weights, and for a reward model whose scores come out wrong either way.
    """
    reason = _fault(policy, packed=True)
    if reason is None:
        return None
    if not all(torch.isfinite(p).all() for p in policy.parameters()):
        raise ModelError("the weights of the start model hold numbers that are not finite: take another copy of it")
    if (fault := _fault(policy, packed=False)) is None:
        return reason
    if policy.kind == "reward":
        raise ModelError(
            f"the scores of this {type(policy.plain()).__name__} cannot be computed as it does itself: {fault}; "
            "start from another model, or choose precision = float32"
        )
    policy.own_logits = True  # it gives no hidden states, or its head is not the one we know
    return reason


def _fault(policy: Policy, *, packed: bool) -> str | None:
    """Why a layout does not fit the model, None when it does."""
    try:
        policy.lay_out(packed=packed)
        if packed:
            _isolated(policy)
        _agrees(policy)
    except Unfit as error:
        return str(error)
    except Exception as error:  # whatever a stranger's model raises, the other layout may still be right
        return f"{type(error).__name__}: {error}"
    return None


def probe(policy: Policy, changed: str = "") -> list[Line]:
    """Lines P A, P B, Q D of random tokens; the one named in `changed` gets other tokens.

    None is padding, for a reward model called directly scores the last token that is not.
    """
    config = policy.plain().config.get_text_config()
    pad = getattr(config, "pad_token_id", None)
    window, lengths = getattr(config, "sliding_window", None), dict(LENGTHS)
    if window and window <= 4096 and policy.device.type == "cuda":
        lengths["P"] = window + 16
    draw = {
        name: np.random.default_rng([i, name == changed]).integers(0, config.vocab_size - 1, n, dtype=np.int32)
        for i, (name, n) in enumerate(lengths.items())
    }
    draw = {name: ids + (pad is not None and ids >= pad) for name, ids in draw.items()}
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
    """Our log-probs are those of the model's own logits; they, or our scores, are those of each sequence by itself."""
    lines, reward = probe(policy), policy.kind == "reward"
    layout = (packed if policy.packed else padded)(lines, policy.device)
    with policy.casting():
        ours = policy.scores(layout) if reward else policy.token_logps(layout).values
        own = ours if reward else _own(policy, layout)
        with policy.stock():
            alone = torch.cat([_own(policy, padded([line], policy.device)) for line in lines])
    size = max(1.0, alone.abs().mean().item()) if reward else 1.0  # the last norm decides how large scores are
    checks = (own, HEAD, "its head is not the one we know"), (alone, NEAR, "it reads single sequences differently")
    for values, tolerance, fault in checks:
        gap = (ours - values).abs().mean().item() / size
        if not gap <= tolerance[policy.precision]:
            raise Unfit(f"{fault}: by {gap:.1e} a {'score' if reward else 'token'}")


def _own(policy: Policy, layout: Layout) -> Tensor:
    """Log-probs from the model's own logits; of a reward model, the score of one sequence."""
    logits = policy.logits(layout)
    return logits.float() if policy.kind == "reward" else logps_of(logits[layout.source], layout.target).values
