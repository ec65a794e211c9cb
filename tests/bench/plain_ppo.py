"""PPO as it is mostly written: `generate()`, whole models, padded batches, logits of all positions.

The peer of our loop, with the losses of methods.md 2.3. Leaves out what is measured (`ppo`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

AT_ONCE = 8  # sequences of a batch; gradients of a mini-batch add up over them
Pair = tuple[list[int], list[int]]  # prompt and answer


@dataclass(frozen=True)
class Batch:
    """Prompts padded to the left up to `start`, answers to the right behind it; all (B, width)."""

    ids: Tensor
    real: Tensor
    start: int

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "Batch":
        start, room = max(len(p) for p, _ in pairs), max(len(a) for _, a in pairs)
        rows = [[0] * (start - len(p)) + p + a + [0] * (room - len(a)) for p, a in pairs]
        real = [[0] * (start - len(p)) + [1] * len(p + a) + [0] * (room - len(a)) for p, a in pairs]
        return cls(torch.tensor(rows), torch.tensor(real), start)

    def __getitem__(self, chosen: Any) -> "Batch":
        return Batch(self.ids[chosen], self.real[chosen], self.start)

    @property
    def mask(self) -> Tensor:
        return self.real[:, self.start :].bool()

    @property
    def inputs(self) -> dict[str, Any]:
        positions = (self.real.cumsum(1) - 1).clamp(min=0)
        return {"input_ids": self.ids, "attention_mask": self.real, "position_ids": positions, "use_cache": False}


@dataclass
class Plain:
    """Four whole models, and the knobs of a run."""

    policy: Any
    reference: Any
    reward: Any
    value: Any
    hparams: Any
    stops: list[int]

    def __post_init__(self) -> None:
        hp = self.hparams
        self.parts = [list(model.parameters()) for model in (self.policy, self.value)]
        self.parts[1] = [p for p in self.parts[1] if p.requires_grad]
        facts = {"lr": hp.learning_rate, "weight_decay": hp.weight_decay, "fused": True}
        self.optimizer = torch.optim.AdamW([p for part in self.parts for p in part], **facts)

    @torch.no_grad()
    def drawn(self, prompts: Sequence[list[int]]) -> list[Pair]:
        batch = Batch.of([(p, []) for p in prompts])
        made = self.policy.generate(
            input_ids=batch.ids,
            attention_mask=batch.real,
            do_sample=True,
            temperature=self.hparams.temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=self.hparams.max_new_tokens,
            eos_token_id=self.stops,
            pad_token_id=0,
        )[:, batch.start :].tolist()
        ends = [next((i + 1 for i, t in enumerate(row) if t in self.stops), len(row)) for row in made]
        return [(p, row[:end]) for p, row, end in zip(prompts, made, ends, strict=True)]

    def logps(self, model: Any, batch: Batch) -> Tensor:
        logits = model(**batch.inputs).logits[:, batch.start - 1 : -1] / self.hparams.temperature
        return logits.log_softmax(-1).gather(2, batch.ids[:, batch.start :, None])[..., 0]

    def scores(self, model: Any, batch: Batch) -> Tensor:
        return model.score(model.base_model(**batch.inputs).last_hidden_state)[..., 0]

    def values(self, batch: Batch) -> Tensor:
        return self.scores(self.value, batch)[:, batch.start - 1 : -1]

    @torch.no_grad()
    def judged(self, batch: Batch) -> dict[str, Tensor]:
        """Log-probs, values, advantages and returns (B, T), fixed before the updates."""
        cut = [batch[i : i + AT_ONCE] for i in range(0, len(batch.ids), AT_ONCE)]
        old, ref = (torch.cat([self.logps(m, part) for part in cut]) for m in (self.policy, self.reference))
        values = torch.cat([self.values(part) for part in cut])
        last = batch.start - 1 + batch.mask.sum(1)
        rows = torch.arange(len(last))
        score = torch.cat([self.scores(self.reward, part) for part in cut])[rows, last]
        score = score.clamp(-self.hparams.score_clip, self.hparams.score_clip)
        ended = torch.isin(batch.ids[rows, last], torch.tensor(self.stops))
        rewards = -self.hparams.kl_coef * (old - ref)
        rewards[rows, last - batch.start] += score - self.hparams.missing_eos_penalty * ~ended
        rewards, values = rewards * batch.mask, values * batch.mask
        gains, ahead, after = torch.zeros_like(values), 0.0, 0.0
        for t in reversed(range(values.shape[1])):
            delta = rewards[:, t] + self.hparams.gamma * after - values[:, t]
            ahead = (delta + self.hparams.gamma * self.hparams.lam * ahead) * batch.mask[:, t]
            gains[:, t], after = ahead, values[:, t]
        returns, real = gains + values, gains[batch.mask]
        gains = (gains - real.mean()) / (real.var() + 1e-8).sqrt()
        return {"old": old, "before": values, "gains": gains, "returns": returns}

    def learn(self, batch: Batch, facts: dict[str, Tensor]) -> float:
        """One optimiser step on a mini-batch; its loss."""
        hp, count, total = self.hparams, batch.mask.sum(), 0.0
        for i in range(0, len(batch.ids), AT_ONCE):
            part, given = batch[i : i + AT_ONCE], {name: x[i : i + AT_ONCE] for name, x in facts.items()}
            rho = ((self.logps(self.policy, part) - given["old"]) * part.mask).exp()
            held = rho.clamp(1 - hp.cliprange, 1 + hp.cliprange)
            acted = torch.maximum(-given["gains"] * rho, -given["gains"] * held)
            new, (old, goal) = self.values(part), (given["before"], given["returns"])
            near = new.clamp(old - hp.cliprange_value, old + hp.cliprange_value)
            guessed = 0.5 * torch.maximum((new - goal) ** 2, (near - goal) ** 2)
            loss = ((acted + hp.vf_coef * guessed) * part.mask).sum() / count
            loss.backward()
            total += loss.item()
        for parameters in self.parts:
            torch.nn.utils.clip_grad_norm_(parameters, hp.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total
