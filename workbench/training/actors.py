"""The models of PPO: the policy, its reference, what it expects (value) and what it is given (judges).

With adapters they share one base in memory where they can; else each is a model of its own. Leaves out how they learn
(`ppo`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from workbench.errors import EngineError, ModelError
from workbench.training.data import Line
from workbench.training.knobs import PPO
from workbench.training.model import base_of, load, load_plain, tokenizer_of
from workbench.training.policy import Policy
from workbench.training.selftest import choose_layout

HEAD = "base_model.model.score.weight"  # where the adapter of a reward model keeps its head


class Beside(Policy):
    """Another adapter on the model of a policy, with a head of its own that gives one score."""

    def __init__(self, host: Policy, name: str, head: nn.Module) -> None:
        super().__init__(host.model, host.tokenizer, "reward", host.precision)
        self.name, self.head = name, head
        self.packed, self._stock = host.packed, host._stock

    @property
    def score(self) -> nn.Module:
        return self.head

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Within this our adapter is the active one."""
        before = self.model.active_adapter
        with same_learners(self.model):
            self.model.set_adapter(self.name)
        try:
            yield
        finally:
            with same_learners(self.model):
                self.model.set_adapter(before)


@contextmanager
def same_learners(model: nn.Module) -> Iterator[None]:
    """After this the same parameters learn as before: PEFT's switches let those learn that they switch on."""
    learning = [p for p in model.parameters() if p.requires_grad]
    try:
        yield
    finally:
        model.requires_grad_(False)
        for parameter in learning:
            parameter.requires_grad_(True)


@dataclass(frozen=True)
class Judge:
    """A reward model, and how much its word weighs."""

    name: str
    weight: float
    model: Policy


class Actors(nn.Module):
    """Everybody in PPO. Without a `reference` of its own the policy speaks for it, its adapters off."""

    def __init__(self, policy: Policy, value: Policy, judges: Sequence[Judge], reference: Policy | None) -> None:
        super().__init__()
        self.policy, self.value, self.judges, self.reference = policy, value, judges, reference

    def reference_logps(self, lines: Sequence[Line], temperature: float) -> Tensor:
        if self.reference:
            return self.reference.tokens(lines, temperature)[0]
        with same_learners(self.policy.model), self.policy.untouched():
            return self.policy.tokens(lines, temperature)[0]

    def scores(self, lines: Sequence[Line]) -> Tensor:
        """Raw scores (n, judges)."""
        found = []
        for judge in self.judges:
            with speaking(judge.model):
                told = judge.model(lines)
            if not torch.isfinite(told).all():
                raise EngineError(f"reward model {judge.name} gives a score that is not a number: train it anew")
            found.append(told)
        return torch.stack(found, -1)

    def everyone(self) -> list[Policy]:
        known = [self.policy, self.value, *(judge.model for judge in self.judges)]
        return [*known, self.reference] if self.reference else known


def speaking(model: Policy) -> Any:
    """What `model` computes within this is its own, also when it is an adapter among others."""
    return model.speaking() if isinstance(model, Beside) else nullcontext()


def load_actors(start: Path, judges: Sequence[tuple[str, float, Path]], hparams: PPO) -> Actors:
    """The policy from the start model, reward models from (name, weight, folder), the value model from the first."""
    policy = load(start, "causal", hparams)
    made = [Judge(name, weight, _judge(policy, start, name, folder)) for name, weight, folder in judges]
    for parameter in (p for judge in made for p in judge.model.parameters() if not isinstance(judge.model, Beside)):
        parameter.requires_grad_(False)
    value = _value(policy, start, made[0], judges[0][2], hparams)
    reference = None if policy.adapted else _frozen(deepcopy(policy))
    return Actors(policy, value, made, reference)


def _judge(policy: Policy, start: Path, name: str, folder: Path) -> Policy:
    if tokenizer_of(folder).get_vocab() != policy.tokenizer.get_vocab():
        raise ModelError(f"reward model {name} has another tokenizer than {start.name}: train one on this model")
    if policy.adapted and base_of(folder) == start:
        weights = load_file(folder / "adapter_model.safetensors")
        return _beside(policy, name, LoraConfig.from_pretrained(folder), weights)
    return _apart(policy, load_plain(folder, "reward", policy.precision))


def _value(policy: Policy, start: Path, judge: Judge, folder: Path, hparams: PPO) -> Policy:
    """Expects nothing yet: its head is zero. Its states are those of the first reward model, or of the policy."""
    like_judge = hparams.value_init == "rm"
    if policy.adapted:
        if like_judge and isinstance(judge.model, Beside):
            value = _beside(
                policy, "value", LoraConfig.from_pretrained(folder), load_file(folder / "adapter_model.safetensors")
            )
        else:
            value = _beside(policy, "value", policy.model.peft_config["default"], {})
        for name, parameter in policy.model.named_parameters():
            if ".value." in name:
                parameter.requires_grad_(True)
    else:
        value = _apart(
            policy, load_plain(folder if like_judge else start, "reward", torch.float32).requires_grad_(True)
        )
    nn.init.zeros_(value.score.weight)
    return value


def _beside(policy: Policy, name: str, config: LoraConfig, weights: dict[str, Tensor]) -> Beside:
    """The adapter of a reward model on the base of the policy; a fresh one where there are no weights."""
    plain = LoraConfig(
        r=config.r, lora_alpha=config.lora_alpha, target_modules=config.target_modules, task_type="CAUSAL_LM"
    )
    with same_learners(policy.model):
        policy.model.add_adapter(name, plain)
        layers = {key: value for key, value in weights.items() if "lora_" in key}
        set_peft_model_state_dict(policy.model, layers, adapter_name=name)
    width = policy.plain().config.get_text_config().hidden_size
    head = nn.Linear(width, 1, bias=False, device=policy.device)
    if HEAD in weights:
        head.weight.data.copy_(weights[HEAD])
    return Beside(policy, name, head)


def _apart(policy: Policy, model: Any) -> Policy:
    made = Policy(model.to(policy.device), policy.tokenizer, "reward", policy.precision)
    made.why_padded = choose_layout(made)
    return made


def _frozen(policy: Policy) -> Policy:
    policy.requires_grad_(False)
    return policy
