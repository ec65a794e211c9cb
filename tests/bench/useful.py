"""FLOPs and bytes a step cannot do without: prompts once, no padding, no recomputation, no reference.

The same number for every engine, so a ratio of useful FLOPs per second is a ratio of speed.
"""

from collections.abc import Iterable
from typing import Any

from tests.bench.shapes import Group


def triangle(n: int) -> int:
    return n * (n + 1) // 2


def attended(group: Group) -> int:
    """Query-key pairs: prompt and first answer causally, every other answer over the prompt and itself."""
    first, *others = group.answers
    return triangle(group.prompt + first) + sum(triangle(c) + c * group.prompt for c in others)


def widths(config: Any) -> tuple[int, int, int]:
    """Model width, width of all queries, width of all keys."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.hidden_size, config.num_attention_heads * head, config.num_key_value_heads * head


def linear_parameters(config: Any) -> int:
    """Weights of all matrices inside the blocks."""
    d, q, k = widths(config)
    return config.num_hidden_layers * (2 * d * q + 2 * d * k + 3 * d * config.intermediate_size)


def step_flops(config: Any, groups: Iterable[Group], mode: str, *, head: bool = True) -> int:
    """Forward and backward of a step. With adapters the weights get no gradient: two of three products."""
    d, q, _ = widths(config)
    times = 3 if mode == "full" else 2
    total = 0.0
    for group in groups:
        scored = sum(group.answers)
        total += times * 2 * linear_parameters(config) * (group.prompt + scored)
        total += 3.5 * 4 * config.num_hidden_layers * q * attended(group)
        total += times * 2 * config.vocab_size * d * scored * head
    return round(total)


def saved_bytes_per_token(config: Any, element: int) -> int:
    """What the forward pass keeps for the backward pass, of `element` bytes each, without checkpointing."""
    d, q, k = widths(config)
    return config.num_hidden_layers * (element * (4 * d + 2 * q + 2 * k + 4 * config.intermediate_size) + 16 * d)
