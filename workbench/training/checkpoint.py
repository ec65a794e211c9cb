"""Checkpoints that are whole or absent: written aside, manifest last, then renamed; safetensors and JSON only.

Leaves out when to write one (`loop`) and the final model (`export`).
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from workbench.errors import EngineError
from workbench.jobs.folder import aside, read_json, sha256
from workbench.training.team import spread, whole

KEPT = 2
FORM = 2  # of what is written; to be raised when a run could not go on from older ones
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__}


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name; tied ones once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def tensors(model: nn.Module, optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and moments, each by name and whole; in a team everybody must ask."""
    weights = {name: whole(p.detach()).contiguous() for name, p in trained(model).items()}
    return weights, {name: whole(value).contiguous() for name, value in _moments(model, optimizer).items()}


def save(root: Path, step: int, weights: dict[str, Tensor], moments: dict[str, Tensor], state: dict[str, Any]) -> Path:
    """Write root/step-<step>. `state` is what else is needed to go on: position, counters, length of the metrics."""
    if not all(torch.isfinite(w).all() for w in weights.values()):
        raise EngineError(f"step {step}: weights are not finite, no checkpoint was written")
    final = at(root, step)
    with aside(final) as part, disk_errors():
        save_file(weights, part / "weights.safetensors")
        save_file(moments, part / "optimizer.safetensors")
        (part / "state.json").write_text(json.dumps(state | {"form": FORM}))
        files = {p.name: {"size": p.stat().st_size, "sha256": sha256(p)} for p in sorted(part.iterdir())}
        (part / "manifest.json").write_text(json.dumps({"files": files, "versions": VERSIONS, "finite": True}))
    return final


def at(root: Path, step: int) -> Path:
    return root / f"step-{step:06d}"


@contextmanager
def disk_errors() -> Iterator[None]:
    """Within this, what safetensors says of the disk is an OSError."""
    try:
        yield
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        if not found:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


def prune(root: Path, best: int | None) -> None:
    """Keep the last two and the best."""
    found = sorted(root.glob("step-??????"))
    for path in found[:-KEPT]:
        if path != at(root, best or 0):
            shutil.rmtree(path)


def forget_after(path: Path) -> None:
    """Delete the checkpoints newer than this one: a run that goes on from here writes its own."""
    for other in path.parent.glob("step-??????"):
        if other.name > path.name:
            shutil.rmtree(other)


def newest(root: Path) -> Path | None:
    """The newest checkpoint whose files all match its manifest; damaged ones are passed over, never mended."""
    for path in sorted(root.glob("step-??????"), reverse=True):
        if _whole(path):
            return path
        print(f"checkpoint {path.name} does not match its manifest and is left out", flush=True)
    return None


def restore(path: Path, model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Put weights and optimiser back as they were; returns the state."""
    state = read_json(path / "state.json")
    if state.pop("form", None) != FORM:
        raise EngineError(f"checkpoint {path.name} was written by another version of this program: start a new run")
    put(path, model)
    moments = load_file(path / "optimizer.safetensors")
    for name, parameter in trained(model).items():
        of_name = {k.rpartition("|")[2]: v for k, v in moments.items() if k.startswith(f"{name}|")}
        optimizer.state[parameter] = {
            k: spread(v, parameter) if v.ndim else v.to(parameter.device) for k, v in of_name.items()
        }
    return state


@torch.no_grad()
def put(path: Path, model: nn.Module) -> None:
    """Only the weights of a checkpoint."""
    weights, parameters = load_file(path / "weights.safetensors"), trained(model)
    if weights.keys() != parameters.keys():
        raise EngineError(f"checkpoint {path.name} belongs to another model or tuning")
    for name, parameter in parameters.items():
        parameter.copy_(spread(weights[name], parameter))


def _moments(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}|{key}": value
        for name, parameter in trained(model).items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _whole(path: Path) -> bool:
    try:
        files = read_json(path / "manifest.json")["files"]
        return all(
            (path / name).stat().st_size == fact["size"] and sha256(path / name) == fact["sha256"]
            for name, fact in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
