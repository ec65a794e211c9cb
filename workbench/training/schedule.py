"""Which units each optimiser step takes, and at which learning rate. Leaves out what a step computes (`objectives`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.optim import AdamW

from workbench.training.knobs import Training
from workbench.training.units import Unit, order


@dataclass(frozen=True)
class Plan:
    """Which units each step takes: slices of a seeded permutation per epoch."""

    units: Sequence[Unit]
    per_step: int
    epochs: int
    max_steps: int
    seed: int
    balanced: bool
    kept: dict[int, list[int]] = field(default_factory=dict, init=False, repr=False)

    @property
    def per_epoch(self) -> int:
        return math.ceil(len(self.units) / self.per_step)

    @property
    def steps(self) -> int:
        total = self.per_epoch * self.epochs
        return min(total, self.max_steps) if self.max_steps else total

    def line(self, epoch: int) -> list[int]:
        """The order of an epoch; the last one asked for is kept."""
        if epoch not in self.kept:
            self.kept.clear()
            self.kept[epoch] = order(self.units, self.seed, epoch, balanced=self.balanced)
        return self.kept[epoch]

    def at(self, step: int) -> list[Unit]:
        epoch, place = divmod(step, self.per_epoch)
        return [self.units[i] for i in self.line(epoch)[place * self.per_step : (place + 1) * self.per_step]]


def rate(step: int, steps: int, hparams: Training) -> float:
    """Learning rate of a step (0-based): linear warm-up, then the schedule over what is left."""
    warm = round(steps * hparams.warmup)
    if step < warm:
        return hparams.learning_rate * (step + 1) / warm
    left = 1 - (step - warm) / max(1, steps - warm)
    share = {"constant": 1.0, "linear": left, "cosine": 0.1 + 0.45 * (1 - math.cos(math.pi * left))}
    return hparams.learning_rate * share[hparams.schedule]


def adamw(parameters: Sequence[torch.nn.Parameter], hparams: Training) -> AdamW:
    """AdamW (0.9, 0.999, 1e-8); weight decay leaves biases and norms alone."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": hparams.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW([g for g in groups if g["params"]], lr=hparams.learning_rate, fused=True)
