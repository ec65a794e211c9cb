"""Comparisons from a Parquet file as a frozen model reads them. Leaves out what is made of what it says.

A row has `item`, `form`, and `prompt` and `candidates` as the store keeps them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from workbench.training.data import Dropped, Line, Messages, Row, Stops, encode, fit, stops, with_template
from workbench.training.model import length_limit, load_plain, tokenizer_of
from workbench.training.policy import Kind, Policy
from workbench.training.selftest import choose_layout

Read = tuple[dict[str, Any], list[Line]]


def frozen(place: dict[str, Any], kind: Kind) -> Policy:
    """The model that lies at `path`, an adapter on `base_path`, as it is; of a reward model it must score."""
    folder, base = Path(place["path"]), Path(place["base_path"]) if place["base_path"] else None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    precision = torch.bfloat16 if half else torch.float32
    tokenizer = tokenizer_of(folder, base)
    with_template(tokenizer)
    model = load_plain(folder, kind, precision, base, scores=kind == "reward").to(device)
    policy = Policy(model, tokenizer, kind, precision)
    policy.why_padded = choose_layout(policy)
    return policy


def dealt(model: Policy, rows: list[dict[str, Any]]) -> Iterator[list[Read]]:
    """The rows whose answers could all be read, in parts that go through the model at once."""
    stop, limit = stops(model.tokenizer), length_limit(model)
    asked = [(row, text) for row in rows if (text := text_of(row))]
    encoded = encode(model.tokenizer, [text for _, text in asked], stop, empty="keep")
    found = [(row, lines_of(model, text, made, limit, stop)) for (row, text), made in zip(asked, encoded, strict=True)]
    found = [(row, lines) for row, lines in found if lines]
    for part in model.deal([lines for _, lines in found]):
        yield [found[i] for i in part]


def text_of(row: dict[str, Any]) -> Row | None:
    """Prompt and candidates of an item; None where tools are called, which a model cannot be told of."""
    prompt, *answers = json.loads(row["prompt"]), *(c["messages"] for c in json.loads(row["candidates"]))
    spoken = [m for messages in (prompt, *answers) for m in messages]
    if any(m["role"] == "tool" or "tool_calls" in (m.get("extra") or {}) for m in spoken):
        return None
    return Row(str(row["item"]), row["form"], plain(prompt), tuple(map(plain, answers)))


def plain(messages: list[dict[str, Any]]) -> Messages:
    return [{"role": m["role"], "content": m["content"]} for m in messages]


def lines_of(model: Policy, row: Row, encoded: Any, limit: int, stop: Stops) -> list[Line]:
    """The answers as the model reads them; none when the prompt alone is too long or is not one."""
    try:
        read = fit(encoded, row, limit, "keep_start", model.tokenizer, stop)
        return [Line.of(read.prompt, answer) for answer in read.answers]
    except Dropped:
        return []
