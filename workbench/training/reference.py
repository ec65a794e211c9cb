"""Log-probs under the reference, which is the start model of the run: computed once, before the first step.

What a home already knows of this model and these tokens is not computed again. Leaves out how they enter a loss
(`losses`) and how they are kept (`cache`).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.training.budget import NO_GRAD
from workbench.training.cache import CHUNK, LogpCache, hashes, named
from workbench.training.checkpoint import VERSIONS
from workbench.training.data import Line
from workbench.training.logps import SeqLogps, head_of
from workbench.training.model import base_of
from workbench.training.policy import Policy
from workbench.training.team import Team


def answer_logps(policy: Policy, lines: Sequence[Line], team: Team | None = None) -> SeqLogps:
    """Log-probs of many answers under the policy as it is now, without gradient, in the order of `lines`.

    Rows that do not fit are cut anew, half as long, down to those that fit with gradients; a team cannot do that.
    """
    team, room = team or Team(), NO_GRAD * policy.budget
    while True:
        try:
            total = _totals(policy, lines, team, room)
            break
        except torch.OutOfMemoryError:
            if team.size > 1 or room <= policy.budget:
                raise
        room //= 2
        torch.cuda.empty_cache()
        print(f"out of memory without gradients, now rows of {room} tokens", flush=True)
    return SeqLogps(total, torch.tensor([float(len(line.answer)) for line in lines], device=policy.device))


@torch.no_grad()
def _totals(policy: Policy, lines: Sequence[Line], team: Team, room: int) -> Tensor:
    total = torch.zeros(len(lines), device=policy.device)
    for part in team.share(policy.deal([(line,) for line in lines], room, team.size)):
        made = policy([lines[i] for i in part or [0]]).answers.total
        if part:
            total[part] = made
    return team.total(total)


def with_reference(
    policy: Policy, units: Sequence[Any], cache: LogpCache | None = None, team: Team | None = None
) -> list[Any]:
    """The units with `ref` and `partner_ref` filled. The policy must be untouched, or have its adapters to turn off."""
    lines = [line for u in units for line in u.lines] + [u.partner for u in units if u.partner]
    rows, team = [row_hash(line) for line in lines], team or Team()
    known = team.agree(cache.read() if cache and team.first else {})
    missing = {row: line for row, line in zip(rows, lines, strict=True) if row not in known}
    if cache:
        print(f"reference: {len(missing)} answers to compute of {len(set(rows))}", flush=True)
    with policy.untouched():
        for start in range(0, len(missing), CHUNK):
            known |= _computed(policy, dict(list(missing.items())[start : start + CHUNK]), cache, team)
    values = iter([known[row] for row in rows])
    units = [replace(u, ref=tuple(next(values) for _ in u.lines)) for u in units]
    return [replace(u, partner_ref=next(values)) if u.partner else u for u in units]


def _computed(policy: Policy, lines: dict[bytes, Line], cache: LogpCache | None, team: Team) -> dict[bytes, float]:
    made = answer_logps(policy, list(lines.values()), team).total.tolist()
    fine = [(row, value, len(line.answer)) for (row, line), value in zip(lines.items(), made, strict=True)]
    fine = [told for told in fine if math.isfinite(told[1])]
    if cache and fine and team.first:
        cache.add(*zip(*fine, strict=True))
    return dict(zip(lines, made, strict=True))


def row_hash(line: Line) -> bytes:
    """16 bytes that name a prompt and its completion."""
    head = len(line.prompt).to_bytes(8, "little")
    ids = line.prompt.astype("<i4", copy=False).tobytes() + line.answer.astype("<i4", copy=False).tobytes()
    return hashlib.blake2b(head + ids, digest_size=16).digest()


def reference_cache(root: Path, folder: Path, policy: Policy, base: Path | None = None) -> LogpCache:
    """Where log-probs of the model in `folder` (and its base, if it is an adapter) are kept, as the policy has them.

    New adapters, seed, method and their knobs are not in the name: under all of them the start model is the same.
    """
    base = base or base_of(folder)
    files = [p for place in (base or folder, *([folder] if base else [])) for p in _model_files(place)]
    model, head = policy.plain(), head_of(policy.plain())
    facts = (
        [p.name for p in files],
        hashes(files, root / "weights.json"),
        [str(policy.precision), str(model.dtype), bool(getattr(model, "is_quantized", False))],
        policy.layout_name,
        [head.scale, head.cap, head.bias is not None],
        VERSIONS,
    )
    return LogpCache(root / named(*facts))


def _model_files(folder: Path) -> list[Path]:
    """The weights, and what says how they are used."""
    return sorted([*folder.glob("*.safetensors"), *folder.glob("config.json"), *folder.glob("adapter_config.json")])
