"""Room in memory: how long rows may be and which layers run again, planned before the first step and measured in it.

The arithmetic is in `budget`; leaves out the steps (`loop`).
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from workbench.errors import EngineError
from workbench.jobs.machine import free_ram
from workbench.training.budget import Group, RowPlan, corrected, plan_rows, room_of, shape_of, state_bytes, step_flops
from workbench.training.knobs import Training
from workbench.training.policy import Policy
from workbench.training.team import Team
from workbench.training.units import Prepared, Unit

STATE = 12  # bytes for each weight that learns: its gradient and two moments
NOISE = 64 << 20  # bytes: below this the allocator's own habits are larger than what a row takes
STATUS = Path("/proc/self/status")
PEAK_AT = Path("/proc/self/clear_refs")


class Room:
    """What the rows of one run may take. `plan` holds from the start, `measured` mends it once, `less` on demand.

    All processes of a team plan alike, by the one with the least room: they must cut a step into the same rows.
    """

    def __init__(self, policy: Policy, data: Prepared, hparams: Training, team: Team | None = None) -> None:
        self.policy, self.tuning, self.team = policy, hparams.tuning, team or Team()
        self.shape = shape_of(policy.plain().config.to_dict(), policy.plain().num_parameters())
        self.element = torch.finfo(policy.precision).bits // 8
        self.on_gpu = policy.device.type == "cuda"
        loaded = sum(p.numel() * p.element_size() for p in policy.parameters())
        still = state_bytes(self.shape, hparams.tuning, hparams.lora_r, element=self.element) - loaded
        free = min(self.team.everybody(free_memory(policy.device)))
        longest = max(map(self.tokens_alone, [*data.train, *data.test]))
        self.facts = {
            "room": room_of(free, on_gpu=self.on_gpu) - max(0, still),
            "tuning": self.tuning,
            "element": self.element,
            "longest": longest,
            "step_tokens": hparams.units_per_step * longest,
            "on_gpu": self.on_gpu,
        }
        if policy.kind == "reward":
            self.shape = replace(self.shape, vocabulary=1)  # a row ends in one score, not in a word
        self.plan = plan_rows(self.shape, **self.facts)
        self.use(self.plan)

    def tokens_alone(self, unit: Unit) -> int:
        """What a row must hold at least: a unit is never cut."""
        return tokens_of([unit]) if self.policy.packed else len(unit.lines) * unit.longest

    def use(self, plan: RowPlan) -> None:
        if plan.checkpointed or self.plan.checkpointed:
            self.policy.recompute(plan.checkpointed)
        self.policy.budget, self.plan = plan.tokens, plan

    def measured(self, taken: int, trained: Sequence[Tensor], rows: Sequence[Sequence[Unit]]) -> None:
        """After the gradients of the first step took so many bytes for our rows: plans anew where the formula erred."""
        taken -= sum(p.numel() * p.element_size() for p in trained)
        fullest = max(map(tokens_of, rows), default=0)
        found = [(t, n) for t, n in self.team.everybody((taken, fullest)) if n and t >= NOISE]
        if not found:
            return
        taken, fullest = max(found, key=lambda told: told[0] / told[1])
        try:
            better = corrected(self.plan, self.shape, taken, fullest, **self.facts)
        except EngineError:  # by the formula not even this would fit, but it just did
            better = RowPlan(self.facts["longest"], self.shape.layers)
        print(f"{taken >> 20} MB for a row of {fullest} tokens; rows hold at most {better.tokens}", flush=True)
        self.use(better)

    def less(self) -> str:
        """Shorter rows after one did not fit; at the longest group more layers run again. Says what is now so."""
        tokens, layers = self.plan.tokens // 2, self.plan.checkpointed
        if tokens < self.facts["longest"]:
            tokens, layers = self.facts["longest"], min(self.shape.layers, max(1, 2 * layers))
        self.use(RowPlan(tokens, layers))
        return f"rows of {tokens} tokens, {layers} of {self.shape.layers} layers computed again"

    def flops(self, units: Sequence[Unit]) -> float:
        """Useful ones of a step over these units."""
        return step_flops(self.shape, self.tuning, groups_of(units), scores=self.policy.kind == "reward")


def rows_beside(policy: Policy, learnt: int, tuning: str, longest: int, step_tokens: int) -> RowPlan:
    """How long rows may be beside models that are all loaded, with the state of `learnt` weights still to come."""
    on_gpu = policy.device.type == "cuda"
    return plan_rows(
        shape_of(policy.plain().config.to_dict(), policy.plain().num_parameters()),
        room=room_of(free_memory(policy.device), on_gpu=on_gpu) - STATE * learnt,
        tuning=tuning,
        element=torch.finfo(policy.precision).bits // 8,
        longest=longest,
        step_tokens=step_tokens,
        on_gpu=on_gpu,
    )


def groups_of(units: Sequence[Unit]) -> list[Group]:
    """Each distinct prompt with its distinct completions, in tokens."""
    found: dict[bytes, dict[bytes, int]] = {}
    lengths: dict[bytes, int] = {}
    for line in (line for unit in units for line in unit.lines):
        asked = line.prompt.tobytes()
        lengths[asked] = len(line.prompt)
        found.setdefault(asked, {})[line.answer.tobytes()] = len(line.answer)
    return [(lengths[asked], list(answers.values())) for asked, answers in found.items()]


def tokens_of(units: Sequence[Unit]) -> int:
    return sum(prompt + sum(answers) for prompt, answers in groups_of(units))


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_ram()


@cache
def peak_flops(device: torch.device, size: int = 8192) -> float:
    """FLOPs per second of the card, from a product of two bf16 matrices: what MFU is a share of."""
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        a @ a
        torch.cuda.synchronize(device)
    return 2 * size**3 / (time.perf_counter() - began)


class Peak:
    """Most bytes taken on a device since `Peak(device)`, on top of what was taken then; 0 where nobody can say."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
        else:
            self.before = _resident("VmRSS") if _forgotten() else None

    def taken(self) -> int:
        if self.before is None:
            return 0
        now = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _resident("VmHWM")
        return now - self.before


def _forgotten() -> bool:
    """Let the high-water mark of this process start anew; only Linux can, and not every container may."""
    try:
        PEAK_AT.write_text("5")
        return True
    except OSError:
        return False


def _resident(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) << 10
