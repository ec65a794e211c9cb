"""Six steps of seven units with as many processes as torchrun starts: losses, weights and evaluation of the first one.

`torchrun --nproc_per_node N -m tests.parity.together METHOD TUNING HOW MODEL OUT`; HOW is `copied` (DDP) or `sharded`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from tests.training.conftest import written_rows
from workbench.jobs.folder import Reporter
from workbench.training import checkpoint, room
from workbench.training.data import stops
from workbench.training.hparams import make
from workbench.training.loop import Loop
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.objectives import objective
from workbench.training.reference import with_reference
from workbench.training.schedule import adamw
from workbench.training.team import Team
from workbench.training.units import prepare

torch.set_num_threads(1)
FREE = (3_000_000, 2_300_000)  # bytes that each process finds: they must agree on rows of about a hundred tokens
KNOBS = {"units_per_step": 7, "learning_rate": 1e-3, "max_steps": 6, "epochs": 2, "schedule": "constant", "warmup": 0.0}


class Sharded(Team):
    """Shards as FSDP2 does on GPUs; on a CPU accelerate would copy instead."""

    def prepare(self, policy: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        for layer in policy.plain().base_model.layers:
            fully_shard(layer)
        fully_shard(policy)
        return policy, adamw(checkpoint.trained(policy.model).values(), self.hparams)

    def silent(self, module: nn.Module, *, until: bool) -> Any:
        module.set_requires_gradient_sync(until)
        return super().silent(module, until=True)

    def clip(self, parameters: Any, most: float) -> torch.Tensor:
        return nn.utils.clip_grad_norm_(parameters, most).full_tensor()

    def close(self) -> None:
        """Torch's caches of DTensors keep the group and the threads of gloo, so Python may not end in the usual way."""
        super().close()
        sys.stdout.flush()
        os._exit(0)


def main(method: str, tuning: str, how: str, model: str, out: str) -> None:
    team = (Sharded if how == "sharded" else Team)()
    train(team, method, tuning, Path(model), Path(out))
    team.close()
    assert team.size == 1 or not waiting()


def waiting() -> list[str]:
    """The threads of gloo in this process: none may be left when Python ends."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def train(team: Team, method: str, tuning: str, model: Path, folder: Path) -> None:
    hparams = team.hparams = make(METHODS[method].hparams, {**KNOBS, "tuning": tuning})
    policy = load(model, "reward" if method == "rm" else "causal", hparams)
    room.free_memory = lambda device: FREE[team.rank]
    rows = written_rows()[METHODS[method].data]
    data = prepare(method, hparams, rows, policy.tokenizer, stops(policy.tokenizer), limit=128, out=folder)
    if METHODS[method].reference:
        data.train[:] = with_reference(policy, data.train, team=team)
        data.test[:] = with_reference(policy, data.test, team=team)
    loop = Loop(objective(method, hparams, policy, data.train, team), data, hparams, Reporter(folder / str(team.rank)))
    assert len(set(team.everybody(loop.room.plan))) == 1
    print(loop.room.plan, [len(loop.objective.parts(loop.plan.at(s))) for s in range(6)])
    loop.run()
    weights, _ = checkpoint.tensors(policy.model, loop.optimizer)
    if team.first:
        lines = (folder / "0" / "metrics.jsonl").read_text().splitlines()
        (folder / "lines.json").write_text(json.dumps([json.loads(line) for line in lines]))
        save_file(weights, folder / "weights.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
