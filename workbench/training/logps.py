"""Log-probabilities of given tokens from hidden states, tile by tile, so that no full logits ever exist.

Leaves out which tokens (`rows`) and what is done with the sums (`losses`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workbench.training.budget import CPU_KEPT, head_tile


@dataclass(frozen=True)
class SeqLogps:
    """Summed log-probs (B,) in nats and the number of tokens (B,) they are summed over."""

    total: Tensor
    tokens: Tensor

    @property
    def mean(self) -> Tensor:
        return self.total / self.tokens

    def __getitem__(self, index: slice | Tensor) -> "SeqLogps":
        return SeqLogps(self.total[index], self.tokens[index])


@dataclass(frozen=True)
class PairLogps:
    chosen: SeqLogps
    rejected: SeqLogps

    @classmethod
    def of(cls, both: SeqLogps) -> "PairLogps":
        """From sequences that alternate chosen, rejected, chosen, ..."""
        return cls(both[0::2], both[1::2])


@dataclass(frozen=True)
class Head:
    """How hidden states become logits: z = scale * (h W^T) + bias, then cap * tanh(z / cap) when there is a cap."""

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None

    def at(self, temperature: float) -> "Head":
        """The head whose logits are these over `temperature`."""
        bias, cap = self.bias, self.cap
        return Head(
            self.weight,
            bias if bias is None else bias / temperature,
            self.scale / temperature,
            cap and cap / temperature,
        )


def head_of(model: nn.Module) -> Head:
    """The output head of a causal model, with the scale and cap its family applies to the logits."""
    layer, config = model.get_output_embeddings(), model.config.get_text_config()
    scale = 1.0 / getattr(config, "logits_scaling", 1.0)  # Granite
    scale *= getattr(config, "logit_scale", None) or 1.0  # Cohere
    scale *= getattr(config, "lm_head_multiplier", 1.0)  # Falcon-H1
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma
    return Head(layer.weight, getattr(layer, "bias", None), scale, cap)


@dataclass(frozen=True)
class TokenLogps:
    """One value per scored token: log-prob, and without gradient the entropy and whether it was the first choice."""

    values: Tensor
    entropy: Tensor
    hits: Tensor


def chunked_logps(hidden: Tensor, head: Head, target: Tensor, *, tile: int | None = None) -> TokenLogps:
    """log pi(target | hidden) for hidden (S, d) and target (S,), in float32 (float64 stays).

    Memory is tile * V instead of S * V.
    tile   tokens at a time; default `head_tile`
    """
    tile = tile or head_tile(head.weight.shape[0], on_gpu=hidden.device.type != "cpu")
    given = (hidden, head.weight, head.bias)
    if not torch.is_grad_enabled():  # which `needs_input_grad` does not know
        given = tuple(x if x is None else x.detach() for x in given)
    with torch.autocast(hidden.device.type, enabled=False):
        return TokenLogps(*_Chunked.apply(*given, target, head.scale, head.cap, tile))


def logps_of(logits: Tensor, target: Tensor) -> TokenLogps:
    """The same from whole logits (S, V), for a model whose head `head_of` does not describe."""
    logits = logits.float()
    logp = logits.log_softmax(-1)
    with torch.no_grad():
        entropy, hits = -(logp.exp() * logp).sum(-1), (logits.argmax(-1) == target).float()
    return TokenLogps(logp.gather(1, target[:, None])[:, 0], entropy, hits)


class _Chunked(torch.autograd.Function):
    """Forward walks the tiles and, while a tile is hot, computes d logp / d hidden; backward only scales it.

    The head's own gradient needs the probabilities again: kept while they fit CPU_KEPT on a CPU, else recomputed.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, target, scale, cap, tile):
        wide = torch.promote_types(hidden.dtype, torch.float32)
        needs_hidden, needs_head = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
        matrix = weight.to(hidden.dtype)
        room = CPU_KEPT if hidden.device.type == "cpu" else 0
        values, entropy, hits, slopes, kept = [], [], [], [], []
        for start in range(0, len(hidden), tile):
            h, y = hidden[start : start + tile], target[start : start + tile]
            z, bend = _logits(h, matrix, bias, scale, cap, wide)
            chances, lse, top = _softmax(z)
            said = z.gather(1, y[:, None])[:, 0]
            values.append(said - lse)
            entropy.append(lse - torch.linalg.vecdot(chances, z))
            hits.append((said == top).to(wide))
            if not (needs_hidden or needs_head):
                continue
            slope = _slope(chances, y, bend, scale)
            if needs_hidden:
                slopes.append(slope.to(h.dtype) @ matrix)
            room -= slope.numel() * slope.element_size()
            kept.append(slope if needs_head and room >= 0 else None)
        empty = hidden.new_zeros(0, dtype=wide)
        values, entropy, hits = (torch.cat(x) if x else empty for x in (values, entropy, hits))
        ctx.settings, ctx.kept = (scale, cap, tile, wide), kept
        ctx.save_for_backward(hidden, weight, bias, target, torch.cat(slopes) if slopes else None)
        ctx.mark_non_differentiable(entropy, hits)
        return values, entropy, hits

    @staticmethod
    def backward(ctx, grad, *_):
        hidden, weight, bias, target, slopes = ctx.saved_tensors
        scale, cap, tile, wide = ctx.settings
        to_hidden = (grad[:, None] * slopes).to(hidden.dtype) if ctx.needs_input_grad[0] else None
        if not any(ctx.needs_input_grad[1:3]):
            return to_hidden, None, None, None, None, None, None
        matrix = weight.to(hidden.dtype)
        to_weight = torch.zeros_like(weight, dtype=wide)
        to_bias = torch.zeros_like(bias, dtype=wide) if bias is not None else None
        for i, start in enumerate(range(0, len(hidden), tile)):
            h, g = hidden[start : start + tile], grad[start : start + tile, None]
            slope = ctx.kept[i]
            if slope is None:
                z, bend = _logits(h, matrix, bias, scale, cap, wide)
                slope = _slope(_softmax(z)[0], target[start : start + tile], bend, scale)
            if h.dtype == wide:
                to_weight.addmm_(slope.t(), g * h)
            else:
                to_weight += (slope * g).to(h.dtype).t() @ h
            if to_bias is not None:
                to_bias += (slope.t() @ g).flatten() / scale
        return to_hidden, to_weight.to(weight.dtype), to_bias, None, None, None, None


def _logits(h: Tensor, weight: Tensor, bias: Tensor | None, scale: float, cap: float | None, wide: torch.dtype):
    """Logits (t, V) in at least float32, and d capped / d uncapped where there is a cap."""
    z = (h @ weight.t()).to(wide)
    if scale != 1.0:
        z = z * scale
    if bias is not None:
        z = z + bias.to(wide)
    if not cap:
        return z, None
    squashed = torch.tanh(z / cap)
    return cap * squashed, 1 - squashed.square()


def _softmax(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """softmax(z) (t, V), logsumexp and maximum (t,), with one exponential for each logit."""
    top, chances = z.amax(-1), z.softmax(-1)
    return chances, top - chances.amax(-1).log(), top


def _slope(chances: Tensor, target: Tensor, bend: Tensor | None, scale: float) -> Tensor:
    """d logp / d (h W^T), (t, V), from softmax, which it overwrites."""
    slope = chances.neg_()
    slope[torch.arange(len(target), device=target.device), target] += 1
    if bend is not None:
        slope *= bend
    return slope.mul_(scale) if scale != 1.0 else slope
