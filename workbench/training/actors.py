"""The models of PPO: the policy, its reference, what it expects (value) and what it is given (judges).

With adapters they share one base in memory where they can; else each is a model of its own. Leaves out how they learn
(`ppo`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from workbench.errors import EngineError, ModelError
from workbench.training.checkpoint import trained
from workbench.training.data import Dropped, Line, encode, fit, stops, with_template
from workbench.training.hparams import JudgeAt, Place
from workbench.training.knobs import PPO
from workbench.training.model import base_of, length_limit, load, load_plain, tokenizer_of
from workbench.training.policy import Kind, Policy
from workbench.training.rollout import Episode
from workbench.training.selftest import choose_layout

VALUE = "value-model"  # the adapter of the value model; `value` alone may be the name of a module
SCORE = "base_model.model.score.weight"  # where the adapter of a reward model keeps its head


class Beside(Policy):
    """Another adapter on the model of a policy, with a head of its own that gives one score."""

    def __init__(self, host: Policy, name: str, head: nn.Module) -> None:
        super().__init__(host.model, host.tokenizer, "reward", host.precision)
        self.name, self.head = name, head
        self.packed, self._stock = host.packed, host._stock

    @property
    def score(self) -> nn.Module:
        return self.head

    def own(self) -> list[nn.Parameter]:
        """What is not the base, nor anybody else's."""
        adapter = [p for name, p in self.model.named_parameters() if f".{self.name}." in name]
        return [*adapter, *self.head.parameters()]

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
    """A reward model, and how much its word weighs. With `as_text` it reads text, in tokens and template of its own."""

    name: str
    weight: float
    model: Policy
    as_text: bool = False

    def lines(self, episodes: Sequence[Episode], policy: Policy) -> list[Line]:
        """The answers as this model reads them."""
        if not self.as_text:
            return [e.line for e in episodes]
        texts = policy.tokenizer.batch_decode([e.said for e in episodes], skip_special_tokens=True)
        rows = [
            replace(e.asked.row, answers=([{"role": "assistant", "content": text}],))
            for e, text in zip(episodes, texts, strict=True)
        ]
        tokenizer = self.model.tokenizer
        stop, limit = stops(tokenizer), length_limit(self.model)
        try:
            read = [
                fit(made, row, limit, "keep_start", tokenizer, stop)
                for row, made in zip(rows, encode(tokenizer, rows, stop, empty="keep"), strict=True)
            ]
        except Dropped as reason:
            raise EngineError(f"reward model {self.name} cannot read an answer: {' '.join(reason.args)}") from None
        return [
            Line.of(r.prompt, r.answers[0] if e.ended or len(r.answers[0]) == 1 else r.answers[0][:-1])  # cut: no stop
            for e, r in zip(episodes, read, strict=True)
        ]


class Actors(nn.Module):
    """Everybody in PPO. Without a `reference` of its own the policy speaks for it, its adapters off."""

    def __init__(self, policy: Policy, value: Policy, judges: Sequence[Judge], reference: Policy | None) -> None:
        super().__init__()
        self.policy, self.value, self.judges, self.reference = policy, value, judges, reference

    def learners(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """What learns of the policy, and of the value model, which may share a base."""
        value = self.value.own() if isinstance(self.value, Beside) else list(trained(self.value).values())
        known = {id(p) for p in value}
        return [p for p in trained(self.policy).values() if id(p) not in known], value

    def reference_logps(self, lines: Sequence[Line], temperature: float) -> Tensor:
        if self.reference:
            return self.reference.tokens(lines, temperature)[0]
        with same_learners(self.policy.model), self.policy.untouched():
            return self.policy.tokens(lines, temperature)[0]

    def scores(self, episodes: Sequence[Episode]) -> Tensor:
        """Raw scores (n, judges)."""
        found = []
        for judge in self.judges:
            with speaking(judge.model):
                told = judge.model(judge.lines(episodes, self.policy))
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


def load_actors(start: Place, judges: Sequence[JudgeAt], hparams: PPO, reference: Place | None = None) -> Actors:
    """The policy from the start model; the value model from the first reward model that counts, where they are alike.

    The reference is the start model unless another is named.
    """
    policy = load(Path(start.path), "causal", hparams, _base(start))
    made = [_judge(policy, start, judge, hparams) for judge in judges]
    for judge in made:
        if not isinstance(judge.model, Beside):
            judge.model.requires_grad_(False)
    first = next(i for i, judge in enumerate(judges) if judge.weight)
    value = _value(policy, start, made[first], judges[first], hparams)
    return Actors(policy, value, made, _reference(policy, reference))


def _reference(policy: Policy, other: Place | None) -> Policy | None:
    if other:
        if not _same_words(tokenizer_of(Path(other.path), _base(other)), policy):
            raise ModelError(
                f"the reference {other.name} has another tokenizer than the policy: name one of its family"
            )
        model = load_plain(Path(other.path), "causal", policy.precision, _base(other))
        return _apart(policy, model, "causal").requires_grad_(False)
    return None if policy.adapted else deepcopy(policy).requires_grad_(False)


def _judge(policy: Policy, start: Place, judge: JudgeAt, hparams: PPO) -> Judge:
    folder, base = Path(judge.path), _base(judge)
    if not folder.is_dir():
        raise ModelError(f"reward model {judge.name} is gone: there is no folder {folder}")
    tokenizer, as_text = tokenizer_of(folder, base), hparams.scored_as == "text"
    if as_text:
        with_template(tokenizer)
    elif not _same_words(tokenizer, policy):
        raise ModelError(
            f"reward model {judge.name} has another tokenizer than {start.name}: train one on this model, "
            "or set scored_as = text"
        )
    if not as_text and policy.adapted and (base or base_of(folder)) == Path(start.path):
        weights = load_file(folder / "adapter_model.safetensors")
        model = _beside(policy, _adapter_name(judge.name), LoraConfig.from_pretrained(folder), weights)
    else:
        model = _apart(policy, load_plain(folder, "reward", policy.precision, base, scores=True), "reward", tokenizer)
    return Judge(judge.name, judge.weight, model, as_text)


def _same_words(tokenizer: Any, policy: Policy) -> bool:
    return tokenizer.get_vocab() == policy.tokenizer.get_vocab()


def _value(policy: Policy, start: Place, judge: Judge, at: JudgeAt, hparams: PPO) -> Policy:
    """Expects nothing yet: its head is zero. Its states are those of the reward model, or of the policy."""
    like_judge = hparams.value_init == "rm" and not judge.as_text
    if policy.adapted:
        if like_judge and isinstance(judge.model, Beside):
            folder = Path(at.path)
            weights = load_file(folder / "adapter_model.safetensors")
            value = _beside(policy, VALUE, LoraConfig.from_pretrained(folder), weights)
        else:
            value = _beside(policy, VALUE, policy.model.peft_config["default"], {})
        for parameter in value.own():
            parameter.requires_grad_(True)
    else:
        place = at if like_judge else start
        model = load_plain(Path(place.path), "reward", torch.float32, _base(place)).requires_grad_(True)
        value = _apart(policy, model, "reward")
    nn.init.zeros_(value.score.weight)
    return value


def _beside(policy: Policy, name: str, config: LoraConfig, weights: dict[str, Tensor]) -> Beside:
    """The adapter of a reward model on the base of the policy; a fresh one where there are no weights."""
    plain = replace(config, task_type="CAUSAL_LM", modules_to_save=None, lora_dropout=0.0, inference_mode=False)
    with same_learners(policy.model):
        policy.model.add_adapter(name, plain)
        layers = {key: value for key, value in weights.items() if "lora_" in key}
        set_peft_model_state_dict(policy.model, layers, adapter_name=name)
    width = policy.plain().config.get_text_config().hidden_size
    head = nn.Linear(width, 1, bias=False, device=policy.device)
    if SCORE in weights:
        head.weight.data.copy_(weights[SCORE])
    head.requires_grad_(False)
    return Beside(policy, name, head)


def _apart(policy: Policy, model: Any, kind: Kind, tokenizer: Any = None) -> Policy:
    made = Policy(model.to(policy.device), tokenizer or policy.tokenizer, kind, policy.precision)
    made.why_padded = choose_layout(made)
    return made


def _base(place: Place) -> Path | None:
    return Path(place.base_path) if place.base_path else None


def _adapter_name(name: str) -> str:
    return "judge-" + name.replace(".", "_")  # module names have no dots
