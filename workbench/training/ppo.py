"""PPO: rollouts, rewards, advantages, and the updates of policy and value model; logging, stop and resume as elsewhere.

One step is one rollout. Leaves out the arithmetic (`rl`), the drawing (`rollout`) and who the models are (`actors`).
Source: Huang et al. 2024, The N+ Implementation Details of RLHF with PPO, arXiv:2403.17031.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.generation.request import Sampling
from workbench.jobs.folder import Reporter, sync
from workbench.training import checkpoint
from workbench.training.actors import Actors, speaking
from workbench.training.data import Stops
from workbench.training.knobs import PPO
from workbench.training.loop import EVALUATIONS, Diverged, crosses, peak_memory, shown
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
from workbench.training.schedule import adamw, rate

MEASURED = 256  # answers of the reference that say where scores lie
HELD_OUT = 64  # prompts answered at each evaluation
FAR = (0.1, 10.0)  # mean ratio of a mini-batch beyond which a rollout is left


@dataclass
class Norm:
    """Where the scores of each judge lie: z = (r - shift) / scale. Measured before the first update, then fixed."""

    shift: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, raw: Tensor, how: str) -> "Norm":
        """raw (n, judges). How: `ref` mean 0 and deviation 1, `center` mean 0, `none`."""
        ones = torch.ones_like(raw[0])
        shift = raw.mean(0) if how != "none" else 0 * ones
        scale = raw.std(0).clamp_min(1e-6) if how == "ref" else ones
        return cls(shift.tolist(), scale.tolist())

    def __call__(self, raw: Tensor, weights: Sequence[float]) -> Tensor:
        """One normalised score (n,): the mean over judges by weight."""
        shift, scale, weight = (raw.new_tensor(x) for x in (self.shift, self.scale, weights))
        return ((raw - shift) / scale * weight).sum(1) / weight.sum()


@dataclass(frozen=True)
class Rollout:
    """Episodes with everything that stays as it is while they are learnt from; (B, T) unless said."""

    episodes: list[Episode]
    mask: Tensor
    old: Tensor
    ref: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    raw: Tensor  # (B, judges)
    scores: Tensor  # (B,)

    def __getitem__(self, chosen: Sequence[int]) -> "Rollout":
        tensors = {name: getattr(self, name)[chosen] for name in self.__dataclass_fields__ if name != "episodes"}
        return Rollout([self.episodes[i] for i in chosen], **tensors)


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
        self.parts = [list(checkpoint.trained(model).values()) for model in (actors.policy, actors.value)]
        self.step, self.kl_coef, self.norm = 0, hparams.kl_coef, Norm()
        self.last: dict[str, Any] = {}
        self.began, self.started = 0, time.monotonic()

    @property
    def steps(self) -> int:
        answers = min(20 * len(self.train), 20_000)
        return self.hparams.rollouts or max(1, answers // self.hparams.rollout_batch)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, with the metrics cut to where it was written."""
        state = checkpoint.restore(path, self.actors, self.optimizer)
        self.step, self.kl_coef, self.norm = state["step"], state["kl_coef"], Norm(**state["norm"])
        self.last, self.began = state["last"], state["step"]
        checkpoint.forget_after(path)
        with (self.folder / "metrics.jsonl").open("r+b") as lines:
            lines.truncate(state["metrics_bytes"])

    def run(self) -> str | None:
        """Train to the end: None, or why it ended earlier."""
        if self.step == 0:
            self.norm = self.measured()
            self.log(self.evaluate())
        while self.step < self.steps:
            if wish := self.reporter.stop_requested():
                if wish == "save_and_stop" and self.step > self.began:
                    self.save()
                return wish
            told = self.advance()
            evaluate = crosses(self.step, self.steps, EVALUATIONS)
            self.log(told | (self.evaluate() if evaluate else {}))
            if evaluate:
                self.save()
            if self.hparams.kl_limit and told["objective/kl"] > self.hparams.kl_limit:
                self.save()
                return f"objective/kl {told['objective/kl']:.3g} passed kl_limit = {self.hparams.kl_limit:g}"
        return None

    def measured(self) -> Norm:
        """From answers of the start model, which is the reference."""
        asked = [self.train[i % len(self.train)] for i in range(MEASURED)]
        episodes = self.drawn(asked, "norm")
        return Norm.of(self.raw_scores(episodes), self.hparams.score_norm)

    def drawn(self, asked: Sequence[Asked], what: Any, n: int = 1) -> list[Episode]:
        hp = self.hparams
        sampling = Sampling(temperature=hp.temperature, max_new_tokens=hp.max_new_tokens, n=n)
        return roll_out(self.actors.policy, asked, self.stop, sampling, f"{hp.seed}|{what}")

    def advance(self) -> dict[str, Any]:
        """One rollout and what is learnt from it; returns its figures."""
        clock = [time.monotonic()]
        n = self.hparams.samples_per_prompt
        episodes = self.drawn(self.prompts(self.step), self.step, n)
        clock.append(time.monotonic())
        rollout = self.judged(episodes)
        clock.append(time.monotonic())
        learnt = self.update(rollout)
        clock.append(time.monotonic())
        self.step += 1
        figures = self.figures(rollout) | learnt | self.pace(rollout, np.diff(clock))
        if self.hparams.adaptive_kl:
            target, horizon = self.hparams.kl_target, self.hparams.kl_horizon
            facts = {"kl_target": target, "kl_horizon": horizon, "episodes": len(episodes)}
            self.kl_coef = adapted_kl_coef(self.kl_coef, figures["objective/kl"], **facts)
        return figures

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
        return self.passed(episodes, lambda part: self.actors.scores([e.line for e in part]))

    def passed(self, episodes: Sequence[Episode], compute: Any) -> Tensor:
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
        ended = torch.tensor([e.ended for e in episodes], device=mask.device)
        z = self.norm(raw, [judge.weight for judge in actors.judges])
        facts = {"missing_eos": hp.missing_eos, "missing_eos_penalty": hp.missing_eos_penalty}
        scores = final_scores(z, ended, score_clip=hp.score_clip, **facts)
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
        count, sums = batch.mask.sum(), torch.zeros(6, device=batch.mask.device)
        for part in self.actors.policy.deal([(e.line,) for e in batch.episodes]):
            sums += self.gradients(batch[part], count)
        norms = [torch.nn.utils.clip_grad_norm_(part, self.hparams.max_grad_norm) for part in self.parts]
        means = (sums / count).tolist()
        if not np.isfinite([*means, *(norm.item() for norm in norms)]).all():
            raise Diverged(f"rollout {self.step + 1}: a loss or gradient is not finite; lower learning_rate by half")
        lr = rate(self.step, self.steps, self.hparams)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        names = ("loss/policy_avg", "loss/value_avg", "policy/approxkl_avg", "policy/clipfrac_avg")
        names += ("val/clipfrac_avg", "val/ratio")
        return dict(zip(names, means, strict=True)) | {"grad_norm": norms[0].item(), "learning_rate": lr}

    def gradients(self, part: Rollout, count: Tensor) -> Tensor:
        """Backward over one row; sums over its tokens of what `learn` reports."""
        hp, mask, lines = self.hparams, part.mask, [e.line for e in part.episodes]
        width = max(len(line.answer) for line in lines)
        mask, old, gain, returns, before = (
            x[:, :width] for x in (mask, part.old, part.advantages, part.returns, part.values)
        )
        new = self.actors.policy.tokens(lines, hp.temperature)[0]
        acted = policy_loss(new, old, gain, mask, cliprange=hp.cliprange)
        (acted.losses.sum() / count).backward()
        with speaking(self.actors.value):
            guessed = value_loss(
                self.actors.value.values(lines), before, returns, mask, cliprange_value=hp.cliprange_value
            )
            (hp.vf_coef * guessed.losses.sum() / count).backward()
        moved = torch.where(mask, new.detach() - old, 0.0)
        told = (acted.losses, guessed.losses, 0.5 * moved.square(), acted.clipped, guessed.clipped)
        return torch.stack([*(x.detach().sum().float() for x in told), moved.exp()[mask].sum()])

    def figures(self, rollout: Rollout) -> dict[str, Any]:
        """What a rollout says of the policy before it was learnt from."""
        mask, moved = rollout.mask, torch.where(rollout.mask, rollout.old - rollout.ref, 0.0)
        pulled, ended = -self.kl_coef * moved.sum(1), [e.ended for e in rollout.episodes]
        gaps = [
            (rollout.old[i, : len(e.logps)].cpu() - torch.tensor(e.logps)).abs().mean().item()
            for i, e in enumerate(rollout.episodes)
        ]
        left, spread = (x[mask].var(correction=0) for x in (rollout.returns - rollout.values, rollout.returns))
        told = {
            "episode": self.step * len(rollout.episodes),
            "objective/kl": moved.sum(1).mean(),
            "objective/entropy": -torch.where(mask, rollout.old, 0.0).sum(1).mean(),
            "objective/non_score_reward": pulled.mean(),
            "objective/scores": rollout.scores.mean(),
            "objective/rlhf_reward": (pulled + rollout.scores).mean(),
            "objective/score_std": rollout.scores.std(),
            "objective/eos_rate": float(np.mean(ended)),
            "objective/length": mask.sum(1).float().mean(),
            "objective/kl_coef": self.kl_coef,
            "val/num_eos_tokens": int(sum(ended)),
            "val/explained_var": 1 - left / spread if spread > 0 else None,
            "val/sampler_logp_gap": float(np.mean(gaps)),
        }
        for judge, raw in zip(self.actors.judges, rollout.raw.mean(0), strict=True):
            told[f"objective/scores_raw/{judge.name}"] = raw
        return {name: value.item() if isinstance(value, Tensor) else value for name, value in told.items()}

    def pace(self, rollout: Rollout, seconds: np.ndarray) -> dict[str, float]:
        """How fast it goes, and what the time goes into."""
        tokens, (drawing, judging, learning) = int(rollout.mask.sum()), seconds.tolist()
        shares = {"rollout": drawing, "score": judging, "update": learning}
        return {
            "rollout_tokens_per_second": tokens / drawing,
            "update_tokens_per_second": self.hparams.ppo_epochs * tokens / learning,
        } | {f"time/{name}": value / sum(shares.values()) for name, value in shares.items()}

    def evaluate(self) -> dict[str, Any]:
        """Answers to held-out prompts, always drawn with the same numbers: what they score, and some to read."""
        if not self.test:
            return {}
        episodes = self.drawn(self.test, "test")
        raw = self.raw_scores(episodes)
        told = {
            f"eval_scores_raw/{judge.name}": x.item() for judge, x in zip(self.actors.judges, raw.mean(0), strict=True)
        }
        z = self.norm(raw, [judge.weight for judge in self.actors.judges])
        told |= {"eval_scores": z.mean().item(), "eval_eos_rate": float(np.mean([e.ended for e in episodes]))}
        return told | {"eval_length": float(np.mean([len(e.line.answer) for e in episodes]))}

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
