"""Answers to a few held-out prompts before and after training, for people to read. Leaves out serving them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from workbench.jobs.folder import read_lines
from workbench.training.cache import replacing
from workbench.training.data import Row, Stops, prompt_ids
from workbench.training.model import length_limit
from workbench.training.policy import Policy

PROMPTS = 4
NEW_TOKENS = 128
TEMPERATURE = 0.7


def chosen_prompts(rows: Sequence[Row]) -> list[Row]:
    """The first few distinct prompts. Implicit pairs of plain text have none: nothing to answer."""
    distinct: dict[str, Row] = {}
    for row in rows:
        if row.prompt:
            distinct.setdefault(str(row.prompt), row)
    return list(distinct.values())[:PROMPTS]


@torch.no_grad()
def sample(policy: Policy, rows: Sequence[Row], stop: Stops, seed: int) -> list[dict[str, Any]]:
    """One answer per prompt with a fixed seed; the global random state is left as it was."""
    tokenizer, room = policy.tokenizer, max(1, length_limit(policy) - NEW_TOKENS)
    ids = [prompt_ids(tokenizer, row.form, row.prompt)[-room:] for row in rows]
    width = max(map(len, ids))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stop.append
    block = torch.tensor([[pad] * (width - len(x)) + x for x in ids], device=policy.device)
    mask = torch.tensor([[0] * (width - len(x)) + [1] * len(x) for x in ids], device=policy.device)
    with torch.random.fork_rng(), policy.stock(), policy.casting():
        torch.manual_seed(seed)
        out = policy.model.generate(
            input_ids=block,
            attention_mask=mask,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            top_p=1.0,
            max_new_tokens=min(NEW_TOKENS, max(1, length_limit(policy) - width)),
            eos_token_id=sorted(stop.ids),
            pad_token_id=pad,
        )
    return [
        {
            "prompt": row.prompt[-1]["content"],
            "text": tokenizer.decode(_until(new.tolist(), stop), skip_special_tokens=True),
        }
        for row, new in zip(rows, out[:, width:], strict=True)
    ]


def keep(folder: Path, step: int, made: Sequence[dict[str, Any]]) -> None:
    """Into samples.jsonl, beside those of earlier steps; those of an attempt that was broken off here go."""
    path = folder / "samples.jsonl"
    lines = [line for line in read_lines(path)[0] if line["step"] < step]
    lines += [{"step": step, **line} for line in made]
    with replacing(path) as part:
        part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def _until(ids: list[int], stop: Stops) -> list[int]:
    end = next((i for i, t in enumerate(ids) if t in stop.ids), len(ids))
    return ids[:end]
