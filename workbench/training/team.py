"""The processes that train one run together: one, or as many as `accelerate launch` or `torchrun` have started.

Everybody knows all rows of a step and runs its own; sums go over all. Leaves out the steps (`loop`).
"""

import gc
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator, DistributedType
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer


class Team:
    """This process and the others. Made before a model is loaded, for it chooses the device."""

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available()) if self.size > 1 else None
        self.rank = self.accelerator.process_index if self.accelerator else 0
        self.sharded = bool(self.accelerator) and self.accelerator.distributed_type == DistributedType.FSDP

    @property
    def first(self) -> bool:
        """The one that writes files."""
        return self.rank == 0

    def prepare(self, policy: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """The policy whose forward pass adds up gradients over all; sharded or copied as the launcher was told."""
        return self.accelerator.prepare(policy, optimizer) if self.accelerator else (policy, optimizer)

    def share(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of this process. Everybody has equally many; None stands for one that is missing."""
        each = -(-len(rows) // self.size)
        own = list(rows[self.rank :: self.size])
        return own + [None] * (each - len(own))

    def silent(self, module: nn.Module, *, until: bool) -> AbstractContextManager[Any]:
        """Gradients stay here, `until` the last row of a step: its backward pass adds them up."""
        return nullcontext() if until or not self.accelerator else self.accelerator.no_sync(module)

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> Tensor:
        """The norm of the whole gradient, before it is clipped."""
        if not self.accelerator:
            return nn.utils.clip_grad_norm_(parameters, most)
        return whole(self.accelerator.clip_grad_norm_(parameters, most))

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            dist.all_reduce(value := value.clone())
        return value

    def everybody(self, value: Any) -> list[Any]:
        """What each process has, in their order."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def agree(self, value: Any) -> Any:
        """What the first process says."""
        return self.everybody(value)[0]

    def close(self) -> None:
        """End the threads behind the collectives; whoever still holds the model keeps them alive.

        A thread of gloo that frees a tensor asks for Python's lock: while Python ends, that aborts or hangs. So the
        model goes first, and the group, which waits for its threads without the lock, after it.
        """
        if self.accelerator:
            self.accelerator.free_memory()
            gc.unfreeze()
            gc.collect()
            self.accelerator.end_training()


def whole(value: Tensor) -> Tensor:
    """All of a tensor that is spread over processes; everybody must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def spread(value: Tensor, like: Tensor) -> Tensor:
    """The opposite of `whole`: on the device of `like`, and spread as it is."""
    value = value.to(like.device)
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value, like.device_mesh, like.placements)
