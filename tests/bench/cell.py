"""One engine on one set of batches, in a process of its own: seconds of each step, memory growth, losses.

`python -m tests.bench.cell CASE RESULT` reads a case and writes what was measured, both JSON. Leaves out how cells
are repeated and compared (`rounds`, `report`).
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tests.bench.batches import AGREED, LONGEST, Fixed, answers_per_prompt, prepared, text_rows
from tests.bench.meter import GpuMeter, Meter
from tests.bench.models import SIZES, save_start, tokenizer_of
from tests.bench.shapes import SHAPES, Group, steps_of
from workbench.jobs.folder import Reporter
from workbench.training.budget import Shape, Tuning, shape_of, step_flops
from workbench.training.hparams import make
from workbench.training.knobs import Training
from workbench.training.loop import Loop
from workbench.training.methods import METHODS
from workbench.training.model import Policy, load
from workbench.training.objectives import objective
from workbench.training.reference import with_reference
from workbench.training.units import Prepared, Unit

RATE = 1e-4


@dataclass(frozen=True)
class Case:
    """What is trained. `dropped` steps come first and are not timed."""

    method: str
    shape: str
    size: str
    mode: Tuning
    batches: str
    k: int
    steps: int
    dropped: int

    def groups(self) -> list[list[Group]]:
        return steps_of(
            SHAPES[self.shape],
            answers=answers_per_prompt(self.method, self.k),
            batches=self.batches,
            steps=self.dropped + self.steps,
        )


@dataclass(frozen=True)
class Bench:
    """Everything that stands ready before the first step."""

    case: Case
    policy: Policy
    hparams: Training
    data: Prepared
    batches: list[list[Unit]]
    meter: Meter
    out: Path


def measure(case: Case, engine: str, models: Path, out: Path) -> dict[str, Any]:
    """Seconds of the timed steps, growth in MB and the loss of every step of `case` under `engine`."""
    groups = case.groups()
    bench = ready(case, groups, save_start(models / case.size, case.size), out)
    losses, kept = ours(bench) if engine == "ours" else trl(bench, patched=engine == "trl_patched")
    shape, scores = shape_of(bench.policy.plain().config.to_dict()), bench.policy.kind == "reward"
    return {
        "seconds": bench.meter.seconds()[case.dropped :],
        "growth_mb": bench.meter.growth_mb(kept),
        "losses": losses,
        "useful_flops": [useful(shape, case.mode, step, scores=scores) for step in groups[case.dropped :]],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def useful(shape: Shape, mode: Tuning, step: Sequence[Group], *, scores: bool = False) -> int:
    """FLOPs that no engine can do without: the same number for each, so a ratio of rates is a ratio of speed."""
    return round(step_flops(shape, mode, [(group.prompt, group.answers) for group in step], scores=scores))


def ready(case: Case, groups: list[list[Group]], start: Path, out: Path) -> Bench:
    hparams = knobs(case)
    policy = load(start, "reward" if case.method == "rm" else "causal", hparams)
    policy.tokenizer = tokenizer_of(start)
    rows = text_rows(case.method, groups, SIZES[case.size].vocab_size)
    data, batches = prepared(case.method, hparams, rows, policy.tokenizer, out)
    return Bench(case, policy, hparams, data, batches, GpuMeter() if torch.cuda.is_available() else Meter(), out)


def knobs(case: Case) -> Training:
    shape = SHAPES[case.shape]
    units = shape.pairs * (case.k * (case.k - 1) // 2 if METHODS[case.method].data == "pairs" else 2)
    values = {"learning_rate": RATE, "schedule": "constant", "warmup": 0, "epochs": 1, "tuning": case.mode}
    values |= {"units_per_step": units, "max_length": LONGEST} | AGREED.get(case.method, {})
    return make(METHODS[case.method].hparams, values)


def ours(bench: Bench) -> tuple[list[float], Iterator[torch.Tensor]]:
    """The loop of this package: its losses, and the tensors that stay."""
    method, policy, batches, losses = bench.case.method, bench.policy, bench.batches, []
    if METHODS[method].reference:
        batches = [with_reference(policy, units) for units in batches]
    loop = Loop(
        objective(method, bench.hparams, policy, bench.data.train), bench.data, bench.hparams, Reporter(bench.out)
    )
    loop.plan = Fixed(batches)
    bench.meter.begin()
    for _ in batches:
        loop.advance()
        bench.meter.mark()
        losses.append(loop.means.take()["loss"])
    return losses, kept(policy.model, loop.optimizer)


def trl(bench: Bench, *, patched: bool) -> tuple[list[float], Iterator[torch.Tensor]]:
    """The same of TRL at its best, over the same token ids."""
    from transformers import TrainerCallback

    from tests.bench import peer

    class Watch(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            bench.meter.begin()

        def on_step_end(self, *args: Any, optimizer: Any = None, **kwargs: Any) -> None:
            bench.meter.mark()
            self.optimizer = optimizer

    bench.policy.lay_out(packed=False)  # the attention that the model came with
    if patched:
        peer.score_completions_only()
    on_gpu, watch, method = torch.cuda.is_available(), Watch(), bench.case.method
    losses, _ = peer.train(
        peer.PEERS[method],
        bench.policy.model,
        bench.policy.tokenizer,
        [peer.tokenised(method, unit) for units in bench.batches for unit in units],
        per_step=len(bench.batches[0]),
        out=bench.out,
        tokenised=True,
        callbacks=[watch],
        learning_rate=RATE,
        **peer.best(method, bench.case.batches) | {"use_cpu": not on_gpu, "bf16": on_gpu},
    )
    return losses, kept(bench.policy.model, watch.optimizer)


def kept(model: torch.nn.Module, optimizer: Any) -> Iterator[torch.Tensor]:
    """Weights and optimiser state."""
    yield from model.parameters()
    inner = getattr(optimizer, "optimizer", optimizer)
    for state in inner.state.values():
        yield from (value for value in state.values() if isinstance(value, torch.Tensor))


def main(case: str, result: str) -> None:
    asked = json.loads(case)
    torch.set_num_threads(asked["threads"])
    with tempfile.TemporaryDirectory() as folder:
        made = measure(Case(**asked["case"]), asked["engine"], Path(asked["models"]), Path(folder))
    Path(result).write_text(json.dumps({"case": asked["case"], "engine": asked["engine"]} | made))


def asked(case: Case, engine: str, models: Path, threads: int) -> str:
    """What `main` reads."""
    return json.dumps({"case": asdict(case), "engine": engine, "models": str(models), "threads": threads})


if __name__ == "__main__":
    main(*sys.argv[1:])
