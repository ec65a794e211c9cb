"""Attention over packed rows: every completion sees its prompt and itself, nothing else; no padding, no T x T mask.

One function, registered with transformers under the name "shared_prefix", so that stock models run our rows. Leaves out
how rows are made (`rows`). Prefix sharing: arXiv:2410.20305; here prompt keys and values are gathered, not recomputed.
"""

import inspect
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

from workbench.errors import EngineError

NAME = "shared_prefix"


@dataclass(frozen=True)
class Segments:
    """Who sees whom in a row. A segment is a stretch of queries and the keys before and in it, bottom-right aligned.

    lens_q, lens_k   queries and keys of each segment; the queries of all segments, in order, are the row
    kv               (U,) places of the keys in the row, segment after segment, U = sum of lens_k
    """

    lens_q: tuple[int, ...]
    lens_k: tuple[int, ...]
    kv: Tensor
    masks: dict[tuple[int, int, int | None], Tensor] = field(default_factory=dict)

    def mask(self, queries: int, keys: int, window: int | None) -> Tensor:
        """(queries, keys), True where a query sees a key: not later, and less than `window` before."""
        known = (queries, keys, window)
        if known not in self.masks:
            behind = torch.arange(keys - queries, keys, device=self.kv.device)[:, None]
            behind = behind - torch.arange(keys, device=self.kv.device)
            self.masks[known] = (behind >= 0) & (behind < (window or keys))
        return self.masks[known]


def shared_prefix(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: Segments | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The attention of one layer over a row: query (1, H, T, D), key and value (1, K, T, D); returns (1, T, H, D)."""
    if segments is None:
        raise EngineError("the model is set to packed attention but was given no row; use `Policy.stock` to generate")
    if softcap is None and s_aux is None and fits_varlen(query):
        return varlen(query, key, value, segments, scaling, sliding_window), None
    return one_by_one(query, key, value, segments, scaling, sliding_window, softcap, s_aux), None


def one_by_one(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    segments: Segments,
    scaling: float | None,
    window: int | None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Segment after segment, (1, T, H, D).

    One split and one gather each: slicing per segment would make backward write a row of zeros for every slice.
    """
    keys, values = (x.index_select(2, segments.kv).split(segments.lens_k, 2) for x in (k, v))
    parts = zip(q.split(segments.lens_q, 2), keys, values, strict=True)
    out = [attend(*part, segments, scaling, window, softcap, sinks) for part in parts]
    return torch.cat(out, 2).transpose(1, 2)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    segments: Segments,
    scaling: float | None,
    window: int | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """One segment. Soft-capped scores (Gemma 2) and sinks (gpt-oss) are written out, for no fused kernel has them."""
    queries, keys = q.shape[2], k.shape[2]
    biting = window if window is not None and keys > window else None
    if softcap is None and sinks is None:
        mask = None if queries == keys and biting is None else segments.mask(queries, keys, biting)
        shared = q.shape[1] != k.shape[1]
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=shared
        )
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    scores = (q @ k.transpose(2, 3)) * (scaling if scaling is not None else q.shape[-1] ** -0.5)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~segments.mask(queries, keys, biting), float("-inf"))
    if sinks is not None:
        scores = torch.cat([scores, sinks.reshape(1, -1, 1, 1).expand(-1, -1, queries, 1).to(scores.dtype)], -1)
    weights = scores.softmax(-1, dtype=torch.float32).to(q.dtype)[..., :keys]
    return weights @ v


def fits_varlen(query: Tensor) -> bool:
    """Whether one fused kernel can run all segments: on NVIDIA cards from Ampere on, in 16 bits."""
    return query.is_cuda and half(query) is not None and query.shape[-1] <= 256 and ampere(query.device)


def half(x: Tensor) -> torch.dtype | None:
    """The 16-bit type in which attention runs, None when it runs in float32. Norms before it may have widened `x`."""
    kind = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x.dtype
    return kind if kind in (torch.bfloat16, torch.float16) else None


@cache
def ampere(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)


def varlen(q: Tensor, k: Tensor, v: Tensor, segments: Segments, scaling: float | None, window: int | None) -> Tensor:
    """All segments in one kernel call, (1, T, H, D). Head sizes are padded to multiples of 8, values to the keys'."""
    from torch.nn.attention.varlen import varlen_attn

    size, scale = v.shape[-1], scaling if scaling is not None else q.shape[-1] ** -0.5
    width = -(-max(q.shape[-1], size) // 8) * 8
    q, k, v = (F.pad(x[0].transpose(0, 1).to(half(q)), (0, width - x.shape[-1])) for x in (q, k, v))
    ends = [torch.tensor((0, *lens), device=q.device).cumsum(0).int() for lens in (segments.lens_q, segments.lens_k)]
    most = max(segments.lens_q), max(segments.lens_k)
    shared = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}
    reach = (-1 if window is None else window - 1, 0)
    out = varlen_attn(q, k[segments.kv], v[segments.kv], *ends, *most, scale=scale, window_size=reach, **shared)
    return out[None, ..., :size]


AttentionInterface.register(NAME, shared_prefix)
