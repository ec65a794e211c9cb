"""What a step costs: CPU seconds and resident memory of this process, or time and memory of a GPU.

Leaves out what runs in between (`cell`).
"""

import ctypes
import gc
import re
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import torch

MB = 1 << 20


class Meter:
    """`begin` before the first step, `mark` after each."""

    def begin(self) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
        self.before = status_kb("VmRSS")
        self.marks = [self.now()]

    def now(self) -> float:
        """CPU seconds, user and system, of all threads: wall time says more about the neighbours."""
        return time.process_time()

    def mark(self) -> None:
        self.marks.append(self.now())

    def seconds(self) -> list[float]:
        return [after - before for before, after in pairwise(self.marks)]

    def growth_mb(self, kept: Iterable[torch.Tensor]) -> float:
        """How far memory rose over where it stood before the first step."""
        return (status_kb("VmHWM") - self.before) / 1024


class GpuMeter(Meter):
    """Wall time, synchronised. Weights and optimiser state (`kept`) do not count as growth."""

    def begin(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self.marks = [self.now()]

    def now(self) -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    def growth_mb(self, kept: Iterable[torch.Tensor]) -> float:
        held = sum(t.numel() * t.element_size() for t in kept if t.is_cuda)
        return (torch.cuda.max_memory_allocated() - held) / MB


def status_kb(name: str) -> int:
    """A figure of /proc/self/status."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1])
