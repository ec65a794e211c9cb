"""PPO: rollouts, rewards, advantages, and the updates of policy and value model; logging, stop and resume as elsewhere.

One step is one rollout. Leaves out the arithmetic (`rl`), the drawing (`rollout`) and who the models are (`actors`).
Source: Huang et al. 2024, The N+ Implementation Details of RLHF with PPO, arXiv:2403.17031.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.errors import EngineError
from workbench.generation.request import Sampling
from workbench.jobs.folder import Reporter, read_json, read_lines, sync
from workbench.training import checkpoint
from workbench.training.actors import Actors, speaking
from workbench.training.budget import RowPlan
from workbench.training.data import Stops
from workbench.training.experience import Norm, Rollout, figures, held_out
from workbench.training.guards import tripped
from workbench.training.knobs import PPO
from workbench.training.loop import EVALUATIONS, Diverged, crosses, peak_memory, shown
from workbench.training.policy import Policy
from workbench.training.rl import (
    adapted_kl_coef,
    advantages,
    final_scores,
    kl_rewards,
    policy_loss,
    value_loss,
    whitened,
)
from workbench.training.rollout import Asked, Episode, roll_out
from workbench.training.room import rows_beside
from workbench.training.samples import keep
from workbench.training.schedule import adamw, rate

FLAT = 1e-4  # spread of raw scores below which they are rounding
MEASURED = 256  # answers of the reference that say where scores lie
HELD_OUT = 64  # prompts answered at each evaluation
TO_READ = 8  # of these answers
LEARNT = ("loss/policy_avg", "loss/value_avg", "policy/approxkl_avg", "policy/clipfrac_avg", "val/clipfrac_avg")
LEARNT += ("policy/entropy_avg", "val/ratio")
FAR = (0.1, 10.0)  # mean ratio of a mini-batch beyond which a rollout is left


class Trainer:
    """One PPO run from its first rollout, or from a checkpoint, to its last."""

    def __init__(
        self,
        actors: Actors,
        train: Sequence[Asked],
        test: Sequence[Asked],
        stop: Stops,
        hparams: PPO,
        reporter: Reporter,
    ) -> None:
        self.actors, self.train, self.test, self.stop = actors, train, test[:HELD_OUT], stop
        self.hparams, self.reporter, self.folder = hparams, reporter, reporter.folder
        self.optimizer = adamw(list(checkpoint.trained(actors).values()), hparams)
        self.weights = [judge.weight for judge in actors.judges]
        self.parts = actors.learners()
        self.step, self.kl_coef, self.norm = 0, hparams.kl_coef, Norm()
        self.last: dict[str, Any] = {}
        self.tripped: str | None = None  # why it ended by itself
        self.began, self.started = 0, time.monotonic()
        longest = max(len(one.ids) for one in train) + hparams.max_new_tokens
        learnt = sum(p.numel() for part in self.parts for p in part)
        self.rows = rows_beside(actors.policy, learnt, hparams.tuning, longest, hparams.rollout_batch * longest)
        self.use(self.rows)

    def use(self, rows: RowPlan) -> None:
        self.rows = rows
        for model in self.actors.everyone():
            model.budget = rows.tokens
        if rows.checkpointed:
            self.actors.policy.recompute(rows.checkpointed)
            self.actors.value.recompute(rows.checkpointed)

    @property
    def steps(self) -> int:
        return self.hparams.steps(len(self.train))

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, with the metrics cut to where it was written."""
        state = checkpoint.restore(path, self.actors, self.optimizer)
        self.step, self.kl_coef, self.norm = state["step"], state["kl_coef"], Norm(**state["norm"])
        self.last, self.began = state["last"], state["step"]
        self.use(RowPlan(**state["rows"]))
        checkpoint.forget_after(path)
        with (self.folder / "metrics.jsonl").open("r+b") as lines:
            lines.truncate(state["metrics_bytes"])

    def run(self) -> str | None:
        """Train to the end, or until a guard trips: None. Else the wish that stopped it."""
        if not self.norm.shift:
            self.norm = self.measured()
            self.log(self.evaluate())
            self.save()
        while self.step < self.steps:
            if wish := self.reporter.stop_requested():
                if wish == "save_and_stop" and self.step > self.began:
                    self.save()
                return wish
            if (told := self.advance()) is None:
                continue
            evaluate = crosses(self.step, self.steps, EVALUATIONS)
            self.log(told | (self.evaluate() if evaluate else {}))
            if reason := self.guarded(told["objective/kl"]):
                self.return_to_before(reason)
                return None
            if evaluate:
                self.save()
        return None

    def guarded(self, kl: float) -> str | None:
        """Why the run should end here, or None."""
        if self.hparams.kl_limit and kl > self.hparams.kl_limit:
            return f"the KL per answer, {kl:.3g}, passed kl_limit = {self.hparams.kl_limit:g}"
        return tripped(read_lines(self.folder / "metrics.jsonl")[0]) if self.hparams.guards else None

    def return_to_before(self, reason: str) -> None:
        """Let the model be the one of the last checkpoint, from before the guard tripped, and say so."""
        path = checkpoint.newest(self.folder / "checkpoints")
        checkpoint.put(path, self.actors)
        self.last = read_json(path / "state.json")["last"]
        self.tripped = f"ended after rollout {self.step}: {reason}; the model is the one of rollout {self.last['step']}"

    def measured(self) -> Norm:
        """From answers of the reference, which is the policy unless another was named."""
        asked = [self.train[i % len(self.train)] for i in range(MEASURED)]
        raw = self.raw_scores(self.drawn(asked, "norm", speaker=self.actors.reference or self.actors.policy))
        for judge, spread in zip(self.actors.judges, raw.std(0).tolist(), strict=True):
            if judge.weight and spread < FLAT:
                raise EngineError(f"reward model {judge.name} gives every answer the same score: train it anew")
        return Norm.of(raw, self.hparams.score_norm)

    def drawn(self, asked: Sequence[Asked], what: Any, n: int = 1, speaker: Policy | None = None) -> list[Episode]:
        """Answers of the policy, or of another `speaker`."""
        hp = self.hparams
        sampling = Sampling(temperature=hp.temperature, max_new_tokens=hp.max_new_tokens, n=n)
        return roll_out(speaker or self.actors.policy, asked, self.stop, sampling, f"{hp.seed}|{what}")

    def advance(self) -> dict[str, Any] | None:
        """One rollout and what is learnt from it: its figures, or None when asked to stop before it was learnt from."""
        clock = [time.monotonic()]
        n = self.hparams.samples_per_prompt
        episodes = self.drawn(self.prompts(self.step), self.step, n=n)
        if self.reporter.stop_requested():
            return None
        clock.append(time.monotonic())
        rollout = self.judged(episodes)
        clock.append(time.monotonic())
        learnt = self.update(rollout)
        clock.append(time.monotonic())
        self.step += 1
        told = {"episode": self.step * len(episodes)} | figures(rollout, self.actors.judges, self.kl_coef)
        if self.hparams.adaptive_kl:
            target, horizon = self.hparams.kl_target, self.hparams.kl_horizon
            facts = {"kl_target": target, "kl_horizon": horizon, "episodes": len(episodes)}
            self.kl_coef = adapted_kl_coef(self.kl_coef, told["objective/kl"], **facts)
        return told | learnt | self.pace(rollout, np.diff(clock))

    def prompts(self, step: int) -> list[Asked]:
        """The prompts of a rollout: slices of a permutation of each epoch, so that each is asked equally often."""
        each = max(1, self.hparams.rollout_batch // self.hparams.samples_per_prompt)
        found: list[Asked] = []
        for place in range(step * each, (step + 1) * each):
            epoch, i = divmod(place, len(self.train))
            found.append(self.train[np.random.default_rng([self.hparams.seed, epoch]).permutation(len(self.train))[i]])
        return found

    @torch.no_grad()
    def raw_scores(self, episodes: Sequence[Episode]) -> Tensor:
        return self.passed(episodes, self.actors.scores)

    def passed(self, episodes: Sequence[Episode], compute: Callable[[list[Episode]], Tensor]) -> Tensor:
        """`compute` over rows of episodes, its results in the order of the episodes, padded to the right."""
        found: dict[int, Tensor] = {}
        for part in self.actors.policy.deal([(e.line,) for e in episodes]):
            found |= dict(zip(part, compute([episodes[i] for i in part]), strict=True))
        return pad_sequence([found[i] for i in range(len(episodes))], batch_first=True)

    @torch.no_grad()
    def judged(self, episodes: list[Episode]) -> Rollout:
        """Everything that is fixed about episodes before they are learnt from."""
        hp, actors = self.hparams, self.actors
        lengths = torch.tensor([len(e.line.answer) for e in episodes], device=actors.policy.device)
        mask = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
        old = self.passed(episodes, lambda part: actors.policy.tokens([e.line for e in part], hp.temperature)[0])
        ref = self.passed(episodes, lambda part: actors.reference_logps([e.line for e in part], hp.temperature))
        with speaking(actors.value):
            values = self.passed(episodes, lambda part: actors.value.values([e.line for e in part]))
        raw = self.raw_scores(episodes)
        scores = self.final(episodes, raw)
        rewards = kl_rewards(old, ref, scores, mask, kl_coef=self.kl_coef)
        if hp.whiten_rewards:
            rewards = whitened(rewards, mask, centred=False)
        found, returns = advantages(rewards, values, mask, gamma=hp.gamma, lam=hp.lam)
        if hp.whiten_advantages:
            found = whitened(found, mask)
        return Rollout(episodes, mask, old, ref, values, found, returns, raw, scores)

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Several passes over a rollout, an optimiser step for each mini-batch; the means of what they said."""
        told: list[dict[str, float]] = []
        for passing in range(self.hparams.ppo_epochs):
            for chosen in self.mini_batches(len(rollout.episodes), passing):
                told.append(self.learn(rollout[chosen]))
                limit = self.hparams.target_kl_update
                if not FAR[0] <= told[-1]["val/ratio"] <= FAR[1] or 0 < limit < told[-1]["policy/approxkl_avg"]:
                    return averaged(told)
        return averaged(told)

    def mini_batches(self, n: int, passing: int) -> Iterator[list[int]]:
        order = np.random.default_rng([self.hparams.seed, self.step, passing]).permutation(n)
        yield from (part.tolist() for part in np.array_split(order, min(n, self.hparams.num_mini_batches)))

    def learn(self, batch: Rollout) -> dict[str, float]:
        """One optimiser step; every mean is over the real tokens of the mini-batch, however it is cut into rows."""
        count, sums = batch.mask.sum(), self.gradients_that_fit(batch)
        norms = [torch.nn.utils.clip_grad_norm_(part, self.hparams.max_grad_norm) for part in self.parts]
        means = (sums / count).tolist()
        if not np.isfinite([*means, *(norm.item() for norm in norms)]).all():
            raise Diverged(f"rollout {self.step + 1}: a loss or gradient is not finite; lower learning_rate by half")
        lr = rate(self.step, self.steps, self.hparams)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        return dict(zip(LEARNT, means, strict=True)) | {"grad_norm": norms[0].item(), "learning_rate": lr}

    def gradients_that_fit(self, batch: Rollout) -> Tensor:
        """Backward over a mini-batch; too little memory makes rows shorter and starts again, with the same result."""
        count, policy = batch.mask.sum(), self.actors.policy
        while True:
            try:
                rows = policy.deal([(e.line,) for e in batch.episodes])
                return sum(self.gradients(batch[part], count) for part in rows)
            except torch.OutOfMemoryError:
                if len(rows) == len(batch.episodes):
                    raise
            self.optimizer.zero_grad()
            torch.cuda.empty_cache()
            self.use(RowPlan(self.rows.tokens // 2, self.rows.checkpointed))
            print(f"rollout {self.step + 1}: out of memory, rows hold {self.rows.tokens} tokens now", flush=True)

    def gradients(self, part: Rollout, count: Tensor) -> Tensor:
        """Backward over one row; sums over its tokens of what `learn` reports."""
        hp, mask, lines = self.hparams, part.mask, [e.line for e in part.episodes]
        width = max(len(line.answer) for line in lines)
        mask, old, gain, returns, before = (
            x[:, :width] for x in (mask, part.old, part.advantages, part.returns, part.values)
        )
        new, entropy = self.actors.policy.tokens(lines, hp.temperature)
        acted = policy_loss(new, old, gain, mask, cliprange=hp.cliprange)
        (acted.losses.sum() / count).backward()
        with speaking(self.actors.value):
            guessed = value_loss(
                self.actors.value.values(lines), before, returns, mask, cliprange_value=hp.cliprange_value
            )
            (hp.vf_coef * guessed.losses.sum() / count).backward()
        moved = torch.where(mask, new.detach() - old, 0.0)
        told = (acted.losses, guessed.losses, 0.5 * moved.square(), acted.clipped, guessed.clipped, entropy * mask)
        return torch.stack([*(x.detach().sum().float() for x in told), moved.exp()[mask].sum()])

    def pace(self, rollout: Rollout, seconds: np.ndarray) -> dict[str, float]:
        """How fast it goes, and what the time goes into."""
        tokens, (drawing, judging, learning) = int(rollout.mask.sum()), seconds.tolist()
        shares = {"rollout": drawing, "score": judging, "update": learning}
        return {
            "rollout_tokens_per_second": tokens / drawing,
            "update_tokens_per_second": self.hparams.ppo_epochs * tokens / learning,
        } | {f"time/{name}": value / sum(shares.values()) for name, value in shares.items()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Answers to held-out prompts, always drawn with the same numbers: what they score, and some to read.

        Without held-out prompts there is no figure, but there are answers to read.
        """
        episodes = self.drawn(self.test or self.train[:TO_READ], "test")
        raw = self.raw_scores(episodes)
        scores = self.final(episodes, raw)
        self.show(episodes[:TO_READ], scores.tolist())
        return held_out(episodes, raw, scores, self.norm, self.actors.judges) if self.test else {}

    def final(self, episodes: Sequence[Episode], raw: Tensor) -> Tensor:
        """What each answer is given at its end (n,): normalised, weighed, clipped, less where it does not end."""
        hp, ended = self.hparams, torch.tensor([e.ended for e in episodes], device=raw.device)
        facts = {"missing_eos": hp.missing_eos, "missing_eos_penalty": hp.missing_eos_penalty}
        return final_scores(self.norm(raw, self.weights), ended, score_clip=hp.score_clip, **facts)

    def show(self, episodes: Sequence[Episode], scores: Sequence[float]) -> None:
        """Answers to read, with what they were given."""
        texts = self.actors.policy.tokenizer.batch_decode([e.said for e in episodes], skip_special_tokens=True)
        asked = [e.asked.row.prompt[-1]["content"] for e in episodes]
        lines = [
            {"prompt": prompt, "text": text, "score": shown(score)}
            for prompt, text, score in zip(asked, texts, scores, strict=False)
        ]
        keep(self.folder, self.step, lines)

    def log(self, told: dict[str, Any]) -> None:
        line = {"step": self.step} | told | {"peak_memory_mb": peak_memory(self.actors.policy.device)}
        fresh = self.step - self.began
        left = round((time.monotonic() - self.started) / fresh * (self.steps - self.step), 1) if fresh else None
        self.last = {name: shown(value) for name, value in line.items()}
        self.reporter.metric(self.last | {"eta_s": left}, step=self.step, steps=self.steps, eta_s=left)

    def save(self) -> None:
        """A checkpoint here: all that learns, and all that the next rollout depends on."""
        state = {
            "step": self.step,
            "kl_coef": self.kl_coef,
            "rows": asdict(self.rows),
            "norm": {"shift": self.norm.shift, "scale": self.norm.scale},
            "last": self.last,
            "metrics_bytes": (self.folder / "metrics.jsonl").stat().st_size,
        }
        sync(self.folder / "metrics.jsonl")
        root = self.folder / "checkpoints"
        path = checkpoint.save(root, self.step, *checkpoint.tensors(self.actors, self.optimizer), state)
        checkpoint.prune(root, None)
        self.reporter.status(checkpoint=path.name)


def averaged(told: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over the mini-batches of a rollout, and how far their ratios lay apart."""
    means = {name: float(np.mean([one[name] for one in told])) for name in told[0]}
    return means | {"val/ratio_var": float(np.var([one["val/ratio"] for one in told]))}
