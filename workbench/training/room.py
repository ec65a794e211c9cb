"""Room in memory: how long rows may be and which layers run again, planned before the first step and measured in it.

The arithmetic is in `budget`; leaves out the steps (`loop`).
"""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from workbench.training.budget import Group, RowPlan, corrected, plan_rows, room_of, shape_of, state_bytes, step_flops
from workbench.training.methods import Training
from workbench.training.policy import Policy
from workbench.training.units import Prepared, Unit

NOISE = 64 << 20  # bytes: below this the allocator's own habits are larger than what a row takes
STATUS = Path("/proc/self/status")
PEAK_AT = Path("/proc/self/clear_refs")


class Room:
    """What the rows of one run may take. `plan` holds from the start, `measured` mends it once, `less` on demand."""

    def __init__(self, policy: Policy, data: Prepared, hparams: Training) -> None:
        self.policy, self.tuning = policy, hparams.tuning
        self.shape = shape_of(policy.plain().config.to_dict(), policy.plain().num_parameters())
        self.element = torch.finfo(policy.precision).bits // 8
        self.on_gpu = policy.device.type == "cuda"
        units = [*data.train, *data.test]
        loaded = sum(p.numel() * p.element_size() for p in policy.parameters())
        still = state_bytes(self.shape, hparams.tuning, hparams.lora_r, element=self.element) - loaded
        self.facts = {
            "room": room_of(free_memory(policy.device), on_gpu=self.on_gpu) - max(0, still),
            "tuning": self.tuning,
            "element": self.element,
            "longest": max(tokens_of([unit]) for unit in units),
            "step_tokens": hparams.units_per_step * max(tokens_of([unit]) for unit in units),
            "on_gpu": self.on_gpu,
        }
        self.plan = plan_rows(self.shape, **self.facts)
        self.use(self.plan)

    def use(self, plan: RowPlan) -> None:
        if plan.checkpointed or self.plan.checkpointed:
            self.policy.recompute(plan.checkpointed)
        self.policy.budget, self.plan = plan.tokens, plan

    def measured(self, taken: int, trained: Sequence[Tensor], rows: Sequence[Sequence[Unit]]) -> None:
        """After the gradients of the first step took so many bytes: plans anew where the formula erred."""
        taken -= sum(p.numel() * p.element_size() for p in trained)
        if taken < NOISE:
            return
        fullest = max(map(tokens_of, rows))
        better = corrected(self.plan, self.shape, taken, fullest, **self.facts)
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
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) << 10


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
    """Most bytes taken on a device since `Peak(device)`, on top of what was taken then."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
        else:
            PEAK_AT.write_text("5")
            self.before = _resident("VmRSS")

    def taken(self) -> int:
        now = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _resident("VmHWM")
        return now - self.before


def _resident(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) << 10
