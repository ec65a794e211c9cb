"""What the machine has: a limit of the container counts, a GPU only where training can use it."""

import stat
from pathlib import Path

import psutil
import pytest

from workbench.jobs import machine


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    machine.memory.cache_clear()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "version", lambda name: "2.13.0")
    yield
    machine.memory.cache_clear()


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_without_a_gpu_it_is_the_ram_up_to_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool(tmp_path, monkeypatch, "exit 9")
    limits = tmp_path / "memory.max", tmp_path / "nothing"
    monkeypatch.setattr(machine, "LIMITS", limits)
    limits[0].write_text("max\n")
    assert machine.memory() == machine.Memory(psutil.virtual_memory().total, on_gpu=False)
    machine.memory.cache_clear()
    limits[0].write_text("1000000\n")
    assert machine.memory() == machine.Memory(1_000_000, on_gpu=False)
    own = psutil.Process().memory_info().rss
    limits[0].write_text(f"{own + (64 << 20)}\n")
    assert 0 < machine.free_ram() < 128 << 20


def test_the_first_gpu_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool(tmp_path, monkeypatch, "echo 81559; echo 24576")
    assert machine.memory() == machine.Memory(81559 << 20, on_gpu=True)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_gpu_that_training_cannot_use_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hidden: str
) -> None:
    tool(tmp_path, monkeypatch, "echo 81559")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert machine.gpu_bytes() is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(machine, "version", lambda name: "2.13.0+cpu")
    assert machine.gpu_bytes() is None
