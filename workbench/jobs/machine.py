"""How much memory training finds on this machine, asked without torch. Leaves out what is free on a GPU (`room`)."""

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import psutil

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
ASK = ("--query-gpu=memory.total", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Memory:
    """Bytes in all: of the first GPU, or of the RAM that this process may use."""

    total: int
    on_gpu: bool


@cache
def memory() -> Memory:
    """Asked once: what a machine has does not change while the server runs."""
    if gpu := gpu_bytes():
        return Memory(gpu, on_gpu=True)
    return Memory(min([psutil.virtual_memory().total, *limits()]), on_gpu=False)


def free_ram() -> int:
    """Bytes that this process may still take, also inside a container."""
    own = psutil.Process().memory_info().rss
    return min([psutil.virtual_memory().available, *(limit - own for limit in limits())])


def gpu_bytes() -> int | None:
    """None where training cannot use a GPU: there is none, it is hidden, or torch was built without."""
    tool = shutil.which("nvidia-smi")
    if not tool or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or version("torch").endswith("+cpu"):
        return None
    try:
        said = subprocess.run([tool, *ASK], capture_output=True, text=True, timeout=10, check=True).stdout
        return int(said.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def limits() -> list[int]:
    """What a container may use; empty where nothing limits it."""
    found = []
    for path in LIMITS:
        with suppress(OSError, ValueError):
            found.append(int(path.read_text()))
    return found
