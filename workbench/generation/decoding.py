"""Token by token, many rows at once: each row with its own random numbers, stop ids and adapter.

What a row says depends on its own prompt and seed, not on its neighbours in the batch. Leaves out text (`sampler`).
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from workbench.generation.request import Sampling

SHRINK = 0.75  # ended rows leave the batch when fewer than this share of it goes on


@dataclass(frozen=True)
class Row:
    """One answer to draw: prompt ids, the ids that end it, the seed of its random numbers, its adapter if any."""

    prompt: list[int]
    stops: frozenset[int]
    seed: int
    adapter: str | None = None


@dataclass
class Answer:
    """Token ids so far, without the stop id, and the log-prob with which each was drawn, that of the stop id last."""

    ids: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    stop: int | None = None
    done: bool = False


@torch.inference_mode()
def decode(model: Any, rows: Sequence[Row], sampling: Sampling) -> Iterator[list[Answer]]:
    """The answers after each step, the same list every time, until all are done."""
    answers = [Answer() for _ in rows]
    uniforms = _uniforms(rows, sampling.max_new_tokens).to(model.device)
    ids, mask = _left_padded([row.prompt for row in rows], model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache, live = None, list(range(len(rows)))  # row i of the batch is rows[live[i]]
    known = _known(model)
    for step in range(sampling.max_new_tokens):
        out = _forward(model, ids, mask, positions, cache, [rows[i].adapter for i in live], known)
        chosen, chances = choose(out.logits[:, -1], uniforms[live, step], sampling)
        for i, token, logp in zip(live, chosen.tolist(), chances.log().tolist(), strict=True):
            _extend(answers[i], token, logp, rows[i].stops, sampling.max_new_tokens)
        yield answers
        going = [place for place, i in enumerate(live) if not answers[i].done]
        if not going:
            return
        cache = out.past_key_values if cache else _with_room(out.past_key_values, sampling.max_new_tokens)
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        if len(going) < SHRINK * len(live):
            keep = torch.tensor(going, device=model.device)
            mask = _kept(cache, mask, keep)
            ids, positions, live = ids[keep], positions[keep], [live[place] for place in going]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def choose(logits: Tensor, uniform: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """One token per row, and the chance that it had.

    logits   (rows, vocabulary)
    uniform  (rows,) in [0, 1): the place on the cumulative distribution; 0.5 takes its median token

    top_p keeps the fewest likeliest tokens that reach that probability together, at least one.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1), logits.new_ones(len(logits))
    p = torch.softmax(logits.float() / sampling.temperature, -1)
    if sampling.top_p == 1:
        found = _inverse(p, uniform)[:, None]
        return found[:, 0], p.gather(-1, found)[:, 0]
    p, order = p.sort(-1, descending=True)
    p = p.masked_fill(p.cumsum(-1) - p >= sampling.top_p, 0.0)
    found = _inverse(p, uniform)[:, None]
    return order.gather(-1, found)[:, 0], (p.gather(-1, found) / p.sum(-1, keepdim=True))[:, 0]


def _inverse(p: Tensor, uniform: Tensor) -> Tensor:
    """The first token whose cumulative probability is beyond `uniform` of the whole."""
    total = p.cumsum(-1)
    found = torch.searchsorted(total, (uniform * total[:, -1])[:, None], right=True)[:, 0]
    return found.clamp(max=p.shape[-1] - 1)


def _uniforms(rows: Sequence[Row], steps: int) -> Tensor:
    return torch.stack([torch.rand(steps, generator=torch.Generator().manual_seed(row.seed)) for row in rows])


def _left_padded(prompts: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(map(len, prompts))
    ids = [[0] * (width - len(p)) + p for p in prompts]
    mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


class Roomy(DynamicLayer):
    """Keys and values of a layer with room for the tokens to come, so that no step copies all those before it."""

    def __init__(self, full: DynamicLayer, more: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized, self.more = full.dtype, full.device, True, more
        self.hold(full.keys, full.values)

    def hold(self, *both: Tensor) -> None:
        """Nothing but these keys and values (rows, heads, tokens, d), and `more` tokens that may follow."""
        self.rooms = [torch.cat([x, x.new_empty(*x.shape[:2], self.more, x.shape[3])], 2) for x in both]
        self.keys, self.values = (room[:, :, : x.shape[2]] for room, x in zip(self.rooms, both, strict=True))

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        start, new = self.keys.shape[2], key_states.shape[2]
        for room, x in zip(self.rooms, (key_states, value_states), strict=True):
            room[:, :, start : start + new] = x
        self.keys, self.values = (room[:, :, : start + new] for room in self.rooms)
        self.more -= new
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self.hold(self.keys[indices], self.values[indices])


def _with_room(cache: Cache, more: int) -> Cache:
    """The cache of a prompt, made ready for answers where its layers are of the plain kind."""
    for i, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[i] = Roomy(layer, more)
    return cache


def _kept(cache: Cache, mask: Tensor, rows: Tensor) -> Tensor:
    """Of cache and mask these rows alone, and no longer what only a longer prompt needed to its left."""
    mask = mask[rows]
    if not all(isinstance(layer, Roomy) for layer in cache.layers):
        cache.batch_select_indices(rows)
        return mask
    start = int(mask.any(0).int().argmax())
    for layer in cache.layers:
        layer.hold(layer.keys[rows, :, start:], layer.values[rows, :, start:])
    return mask[:, start:]


def _known(model: Any) -> set[str]:
    """Which of the optional inputs a model knows."""
    plain = model.get_base_model() if hasattr(model, "peft_config") else model
    return {"position_ids", "logits_to_keep"} & set(inspect.signature(plain.forward).parameters)


def _forward(
    model: Any, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, adapters: list[str | None], known: set[str]
) -> Any:
    given = {"position_ids": positions, "logits_to_keep": 1}
    extra = {name: value for name, value in given.items() if name in known}
    if hasattr(model, "peft_config") and model.active_adapters != list(set(adapters)):  # else it is on for all rows
        extra["adapter_names"] = [name or "__base__" for name in adapters]
    return model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)


def _extend(answer: Answer, token: int, logp: float, stops: frozenset[int], longest: int) -> None:
    if answer.done:
        return
    answer.logps.append(logp)
    if token in stops:
        answer.stop, answer.done = token, True
    else:
        answer.ids.append(token)
        answer.done = len(answer.ids) == longest
