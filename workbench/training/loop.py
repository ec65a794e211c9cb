"""The training loop of every method but PPO: steps, schedule, evaluation, logging, stop and resume.

One reduction over the whole optimiser step. Leaves out what a step computes (`objectives`), and run states (`worker`).
"""

import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from workbench.errors import EngineError
from workbench.jobs.folder import Reporter, read_json, sync, write_json
from workbench.training import checkpoint
from workbench.training.budget import RowPlan
from workbench.training.knobs import Training
from workbench.training.objectives import Means, Objective
from workbench.training.room import Peak, Room, peak_flops
from workbench.training.schedule import Plan, adamw, rate
from workbench.training.units import Prepared, Unit, order

LOGS = 500
EVALUATIONS = 10
MOST_TEST_UNITS = 1000
MEMORY_TRIES = 4
SHORTER = "rows.json"  # what the next attempt begins with, after a team had too little memory


class Diverged(Exception):
    """Loss or gradient is not a finite number; the optimiser did not take this step."""


class TooLong(torch.OutOfMemoryError):
    """A row did not fit in one process of a team, and all of them know: they start the step again together."""


class Loop:
    """One run from its first step, or from a checkpoint, to its last."""

    def __init__(
        self, objective: Objective, data: Prepared, hparams: Training, reporter: Reporter, room: Room | None = None
    ) -> None:
        self.objective, self.data, self.hparams, self.reporter = objective, data, hparams, reporter
        self.room = room or Room(objective.policy, data, hparams, objective.team)
        self.policy, self.team, self.folder = objective.policy, objective.team, reporter.folder
        self.test = [data.test[i] for i in order(data.test, hparams.seed, 0)[:MOST_TEST_UNITS]]
        thumbs = objective.method.data == "thumbs"
        self.plan = Plan(
            data.train, hparams.units_per_step, hparams.epochs, hparams.max_steps, hparams.seed, balanced=thumbs
        )
        optimizer = adamw(checkpoint.trained(self.policy.model).values(), hparams)
        objective.forward, self.optimizer = self.team.prepare(self.policy, optimizer)
        self.parameters = list(checkpoint.trained(self.policy.model).values())
        self.step = self.tokens = self.computed = self.rows = 0
        self.lr = self.flops = 0.0
        self.best: dict[str, Any] = {}  # the line of the evaluation with the lowest loss
        self.worse = 0  # evaluations since then
        self.means, self.last = Means(), {}
        self.clock, self.started, self.began = 0.0, time.monotonic(), 0

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, with the metrics cut to where it was written."""
        state = checkpoint.restore(path, self.policy.model, self.optimizer)
        self.step, self.last = state["step"], state["last"]
        self.tokens, self.computed = state["tokens"], state["computed"]
        self.best, self.worse = state["best"], state["worse"]
        self.room.use(RowPlan(**state["rows"]))
        self.began = self.step
        if self.team.first:
            checkpoint.forget_after(path)
            with (self.folder / "metrics.jsonl").open("r+b") as lines:
                lines.truncate(state["metrics_bytes"])

    def run(self) -> str | None:
        """Train to the end: None, or the wish that stopped it early."""
        steps = self.plan.steps
        shorter = read_json(self.folder / SHORTER)
        if shorter and shorter["tokens"] <= self.room.plan.tokens:
            self.room.use(RowPlan(**shorter))
        if self.step == 0:
            self.log(self.evaluate())
        while self.step < steps and not self.settled:
            if wish := self.team.agree(self.reporter.stop_requested()):
                if wish == "save_and_stop" and self.step > self.began:
                    self.save()
                return wish
            self.advance()
            evaluate = crosses(self.step, steps, EVALUATIONS)
            if evaluate or crosses(self.step, steps, LOGS):
                self.log(self.evaluate() if evaluate else {})
            if evaluate:
                self.compare()
                self.save()
        if self.final is not self.last:
            checkpoint.put(self.result(), self.policy.model)
        return None

    @property
    def settled(self) -> bool:
        """Whether the evaluation loss has not fallen for as long as one is willing to wait."""
        return 0 < self.hparams.early_stopping <= self.worse

    def compare(self) -> None:
        """The line just logged with the best one so far."""
        if (loss := self.last.get("eval_loss")) is None:
            return
        better = not self.best or loss < self.best["eval_loss"]
        self.best, self.worse = (self.last, 0) if better else (self.best, self.worse + 1)

    @property
    def final(self) -> dict[str, Any]:
        """The line of the step whose weights the run is for: the best, where one stops early, else the last."""
        return self.best if self.hparams.early_stopping and self.best else self.last

    def result(self) -> Path:
        """The checkpoint of `final`."""
        print(f"the model is the one of step {self.final['step']}", flush=True)
        return checkpoint.at(self.folder / "checkpoints", self.final["step"])

    def advance(self) -> None:
        """One optimiser step; it is not taken when loss or gradient are not finite."""
        began, units = time.monotonic(), self.plan.at(self.step)
        loss, metrics = self.gradients_that_fit(units)
        norm = self.team.clip(self.parameters, self.hparams.max_grad_norm)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise Diverged(
                f"step {self.step + 1}: loss {loss.item():g}, gradient {norm.item():g}; "
                f"lower learning_rate ({self.hparams.learning_rate:g}) by half, or look for broken rows"
            )
        self.lr = rate(self.step, self.plan.steps, self.hparams)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.tokens += sum(len(line) for u in units for line in u.lines)
        self.flops += self.room.flops(units) / self.team.size if self.room.on_gpu else 0.0
        self.rows += len(units)
        for figures in metrics:
            self.means.add(figures)
        self.means.add(
            {n: (v * len(units), v.new_tensor(len(units))) for n, v in (("loss", loss), ("grad_norm", norm))}
        )
        self.means.add({"padding_share": (torch.tensor(self.policy.padding), torch.tensor(self.policy.computed))})
        self.clock += time.monotonic() - began

    def gradients_that_fit(self, units: list[Unit]) -> tuple[torch.Tensor, list[dict[str, Any]]]:
        """`gradients`; too little memory makes rows shorter and starts the step again, with the same result.

        A process that leaves its team in the middle of a shared pass cannot come back: it ends, and the next attempt
        at this run begins with shorter rows.
        """
        again = TooLong if self.team.size > 1 else torch.OutOfMemoryError
        for attempt in range(MEMORY_TRIES + 1):
            self.policy.padding = self.policy.computed = 0
            peak = Peak(self.policy.device) if self.step == 0 else None
            try:
                made = self.gradients(units)
                if peak and not attempt:
                    own = [row for row in self.team.share(self.objective.parts(units)) if row]
                    self.room.measured(peak.taken(), self.parameters, own)
                return made
            except again:
                if attempt == MEMORY_TRIES:
                    raise
            except torch.OutOfMemoryError:
                self.room.less()
                write_json(self.folder / SHORTER, asdict(self.room.plan))
                raise
            self.optimizer.zero_grad()
            torch.cuda.empty_cache()
            print(f"step {self.step + 1}: out of memory, now {self.room.less()}", flush=True)
        raise AssertionError("the last try returns or raises")

    def gradients(self, units: list[Unit]) -> tuple[torch.Tensor, list[dict[str, Any]]]:
        """Backward over all rows of a step: its loss, and the metrics of the rows that were ours.

        Where one process of a team has too little memory, all of them leave before the last row, which they share.
        """
        step, team, metrics = self.objective.step(units), self.team, []
        total, short = torch.zeros((), device=self.policy.device), False
        rows, spare = team.share(self.objective.parts(units)), [min(units, key=lambda u: u.longest)]
        for i, row in enumerate(rows):
            last = i == len(rows) - 1
            if last and team.size > 1 and team.total(torch.tensor(float(short), device=total.device)):
                raise TooLong("a row of this step does not fit in one process of the team")
            try:
                with team.silent(self.objective.forward, until=last):
                    made = self.objective.part(row or spare, step)
                    (made.loss * (team.size if row else 0)).backward()
            except torch.OutOfMemoryError:
                if last or team.size == 1 or team.sharded:
                    raise
                short = True
            if row and not short:
                total = total + made.loss.detach()
                metrics.append(made.metrics)
        return team.total(total), metrics

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """The objective over the test rows as one step; the rows go to eval_rows/<step>.parquet."""
        if not self.test:
            return {}
        step, means, seen, answers = self.objective.step(self.test), Means(), [], []
        spare = [min(self.test, key=lambda u: u.longest)]
        for row in self.team.share(self.objective.parts(self.test)):
            made = self.objective.part(row or spare, step)
            if row:
                means.add(made.metrics | {"loss": (made.loss, made.loss.new_tensor(1.0))})
                seen += row
                answers.append(made.answers.cpu())
        means, found = means.over(self.team), self.team.everybody((seen, answers))
        seen = [unit for part in found for unit in part[0]]
        table, loss = torch.cat([rows for part in found for rows in part[1]]), means.sums["loss"].item()
        figures = means.take() | {"loss": loss} | self.objective.table(seen, table)
        if self.objective.method.name == "sft":
            figures["perplexity"] = math.exp(min(loss, 50.0))
        if self.step == 0 and self.objective.reference:
            figures["rewards/accuracies"] = None  # every reward is rounding
            self.check_reference(seen, table)
        if self.team.first:
            write_rows(self.folder / "eval_rows" / f"{self.step:06d}.parquet", seen, table)
        return {f"eval_{name}": value for name, value in figures.items()}

    def check_reference(self, units: list[Unit], moved: torch.Tensor) -> None:
        """Before the first step the policy must equal its reference, up to rounding."""
        per_token = moved.abs() / torch.tensor([[len(line.answer) for line in u.lines] for u in units])
        most = 1e-3 if self.policy.precision == torch.float32 else 2e-2
        if per_token.max() > most:
            raise EngineError(
                f"the reference is not the start model: log-probs differ by {per_token.max():.3g} per token before "
                f"training (at most {most:g}); delete cache/reference in the home and start the run anew"
            )

    def log(self, evaluated: dict[str, Any]) -> None:
        """One line of metrics.jsonl: what was trained since the last one, what was evaluated, and how fast it goes."""
        now, steps = time.monotonic(), self.plan.steps
        self.means = self.means.over(self.team)
        line: dict[str, Any] = {"step": self.step, "epoch": round(self.step / self.plan.per_epoch, 4)}
        if self.step:
            self.computed += int(self.means.counts["padding_share"])
            line |= self.means.take() | {"learning_rate": self.lr}
            line |= {"num_tokens": self.tokens, "num_tokens_computed": self.computed}
            tokens = self.tokens - self.last.get("num_tokens", 0)
            line |= {"examples_per_second": self.rows / self.clock, "tokens_per_second": tokens / self.clock}
            if self.flops:
                line["mfu"] = self.flops / self.clock / peak_flops(self.policy.device)
            self.clock, self.rows, self.flops = 0.0, 0, 0.0
        line |= {"peak_memory_mb": peak_memory(self.policy.device)} | evaluated
        line = {name: shown(value) for name, value in line.items()}
        fresh = self.step - self.began
        eta = round((now - self.started) / fresh * (steps - self.step), 1) if fresh else None
        self.last = line
        self.reporter.metric(line | {"eta_s": eta}, step=self.step, steps=steps, eta_s=eta)

    def save(self) -> None:
        """A checkpoint here. The metrics it counts on are on the disk before it is."""
        if self.means.sums:
            self.log({})
        state = {
            "step": self.step,
            "tokens": self.tokens,
            "computed": self.computed,
            "last": self.last,
            "best": self.best,
            "worse": self.worse,
            "rows": asdict(self.room.plan),
            "metrics_bytes": (self.folder / "metrics.jsonl").stat().st_size,
        }
        root, tensors = self.folder / "checkpoints", checkpoint.tensors(self.policy.model, self.optimizer)
        if self.team.first:
            sync(self.folder / "metrics.jsonl")
            path = checkpoint.save(root, self.step, *tensors, state)
            checkpoint.prune(root, self.best.get("step"))
            self.reporter.status(checkpoint=path.name)
        self.team.agree(None)  # nobody goes on before it is written


def crosses(step: int, steps: int, times: int) -> bool:
    """Whether one of `times` even marks of the run lies at this step."""
    return step * times // steps > (step - 1) * times // steps


def shown(value: Any) -> Any:
    """A number with six digits; what is not finite has no place in JSON."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def peak_memory(device: torch.device) -> int:
    """Megabytes: of the GPU where there is one, else of this process, which macOS counts in bytes and Linux in KB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def write_rows(path: Path, units: Sequence[Unit], answers: torch.Tensor) -> None:
    """Row id, the value of each answer, best first, and the lead of the first, so that flipped pairs can be listed."""
    path.parent.mkdir(exist_ok=True)
    columns: dict[str, Any] = {"id": [u.id for u in units]}
    values = {f"answer_{i}": answers[:, i] for i in range(answers.shape[1])}
    if answers.shape[1] > 1:
        values["margin"] = answers[:, 0] - answers[:, 1]
    columns |= {
        name: pa.array(value.numpy(), from_pandas=True) for name, value in values.items()
    }  # NaN: no such answer
    pq.write_table(pa.table(columns), path)
