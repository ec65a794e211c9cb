"""A model with its tokenizer, and how lines of tokens go through it: log-probs of targets, or scores.

Leaves out loading (`model`), how lines are laid out (`rows`), and what is done with the numbers (`objectives`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from workbench.training.attention import NAME
from workbench.training.data import Line
from workbench.training.logps import SeqLogps, TokenLogps, chunked_logps, head_of, logps_of
from workbench.training.rows import Layout, blocks, deal_packed, deal_padded, packed, padded

Kind = Literal["causal", "reward"]


@dataclass(frozen=True)
class Scored:
    """Per line: log-probs of the answer and of all targets (prompts may be learnt too), entropy and hits summed."""

    answers: SeqLogps
    targets: SeqLogps
    entropy: Tensor
    hits: Tensor

    def __getitem__(self, index: slice | Tensor) -> "Scored":
        return Scored(self.answers[index], self.targets[index], self.entropy[index], self.hits[index])

    @classmethod
    def joined(cls, parts: Sequence["Scored"]) -> "Scored":
        answers, targets = ([getattr(p, name) for p in parts] for name in ("answers", "targets"))
        return cls(
            SeqLogps(torch.cat([x.total for x in answers]), torch.cat([x.tokens for x in answers])),
            SeqLogps(torch.cat([x.total for x in targets]), torch.cat([x.tokens for x in targets])),
            torch.cat([p.entropy for p in parts]),
            torch.cat([p.hits for p in parts]),
        )


class Policy(nn.Module):
    """Every pass of every method goes through here. Stays in eval mode: dropout would spoil shared and cached values.

    budget      tokens computed at once with gradients
    packed      rows with shared prompts, or one padded line for each answer, and why: `selftest` decides
    own_logits  log-probs from the logits of the model itself, not tile by tile from its hidden states
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Any, kind: Kind, precision: torch.dtype) -> None:
        super().__init__()
        self.model, self.tokenizer, self.kind, self.precision = model.eval(), tokenizer, kind, precision
        self.budget = 1024 if self.device.type == "cpu" else 16384
        self.packed, self.own_logits, self.why_padded = False, False, None
        self.computed = self.padding = 0  # tokens that went through so far, and those among them that were padding
        self._stock = self.plain().config._attn_implementation
        self._no_split_modules = self.plain()._no_split_modules  # what accelerate shards apart: decoder layers

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def adapted(self) -> bool:
        return hasattr(self.model, "peft_config")

    @property
    def layout_name(self) -> str:
        return "packed" if self.packed else "padded"

    def plain(self) -> PreTrainedModel:
        """The transformers model, inside its adapters if there are any; they stay active."""
        return self.model.get_base_model() if self.adapted else self.model

    @property
    def score(self) -> nn.Module:
        """Of a reward model: from a hidden state to a score."""
        return self.plain().score

    def untouched(self) -> AbstractContextManager[Any]:
        """Within this, adapters are off. Without adapters the weights themselves must not have been trained yet."""
        return self.model.disable_adapter() if self.adapted else nullcontext()

    def lay_out(self, *, packed: bool) -> None:
        """Choose how lines are laid out, and the attention that goes with it."""
        self.packed = packed
        self.plain().set_attn_implementation(NAME if packed else self._stock)

    @contextmanager
    def stock(self) -> Iterator[None]:
        """Within this the model attends as it came and keeps its cache: to generate, or to be called directly."""
        recomputed = [layer for layer in self.layers() if layer.training]
        self.plain().set_attn_implementation(self._stock)
        for layer in recomputed:
            layer.training = False  # else it would drop the cache that it is given
        try:
            yield
        finally:
            for layer in recomputed:
                layer.training = True
            self.lay_out(packed=self.packed)

    def layers(self) -> list[GradientCheckpointingLayer]:
        return [module for module in self.plain().modules() if isinstance(module, GradientCheckpointingLayer)]

    def recompute(self, layers: int) -> None:
        """Keep no activations in the first `layers` decoder layers: they run again in the backward pass."""
        self.plain().activation_checkpointing_enable()
        for i, layer in enumerate(self.layers()):
            layer.gradient_checkpointing = layer.training = i < layers

    @contextmanager
    def casting(self) -> Iterator[None]:
        """Mixed precision where it is chosen; inputs of adapters are not widened, which would only cost memory."""
        if self.precision == torch.float32:
            yield
            return
        with ExitStack() as stack:
            stack.enter_context(torch.autocast(self.device.type, self.precision))
            if self.adapted:
                from peft.helpers import disable_input_dtype_casting

                stack.enter_context(disable_input_dtype_casting(self.model))
            yield

    def deal(self, groups: Sequence[Sequence[Line]], room: int | None = None, least: int = 1) -> list[list[int]]:
        """Indices of groups that go through together, at most `room` (else `budget`) tokens at once."""
        return (deal_packed if self.packed else deal_padded)(groups, room or self.budget, least)

    def forward(self, lines: Sequence[Line]) -> Scored | Tensor:
        """`Scored` of a causal model; scores (n,), read at each line's last token, of a reward model."""
        if self.packed:
            return self.run(packed(lines, self.device))
        parts = blocks(lines, self.budget // 32)
        back = torch.tensor(np.argsort(np.concatenate(parts)), device=self.device)
        made = [self.run(padded([lines[i] for i in part], self.device)) for part in parts]
        return torch.cat(made)[back] if self.kind == "reward" else Scored.joined(made)[back]

    def run(self, layout: Layout) -> Scored | Tensor:
        self.computed += layout.ids.numel()
        self.padding += layout.padding
        with self.casting():
            made = self.scores(layout) if self.kind == "reward" else _summed(layout, self.token_logps(layout))
        return made if layout.which is None else made[layout.which]

    def scores(self, layout: Layout) -> Tensor:
        return self.scored(self.states(layout, layout.last))

    def scored(self, states: Tensor) -> Tensor:
        """The scores (n,) of hidden states, in float32: in bfloat16 those near 8 would lie 1/16 apart."""
        with torch.autocast(self.device.type, enabled=False):
            return F.linear(states.float(), self.score.weight.float())[:, 0]

    def token_logps(self, layout: Layout, temperature: float = 1.0) -> TokenLogps:
        if self.own_logits:
            return logps_of(self.logits(layout)[layout.source] / temperature, layout.target)
        states = self.states(layout, layout.source).to(self.precision)
        return chunked_logps(states, head_of(self.plain()).at(temperature), layout.target)

    def tokens(self, lines: Sequence[Line], temperature: float) -> tuple[Tensor, Tensor]:
        """Log-probs and entropies (n, T) of the targets of each line, padded to the right, as they are sampled."""

        def both(layout: Layout) -> Tensor:
            told = self.token_logps(layout, temperature)
            return torch.stack([told.values, told.entropy], -1)

        return self._by_line(lines, both).unbind(-1)

    def values(self, lines: Sequence[Line]) -> Tensor:
        """Scores (n, T), each read where the model is about to say a target, padded to the right."""
        return self._by_line(lines, lambda layout: self.scored(self.states(layout, layout.source)))

    def _by_line(self, lines: Sequence[Line], of: Callable[[Layout], Tensor]) -> Tensor:
        """What `of` says of each target (S, ...), as one row for each line."""
        found: dict[int, Tensor] = {}
        for part in [range(len(lines))] if self.packed else blocks(lines, self.budget // 32):
            layout = (packed if self.packed else padded)([lines[i] for i in part], self.device)
            self.computed += layout.ids.numel()
            self.padding += layout.padding
            with self.casting():
                told = of(layout).split(layout.target_tokens.int().tolist())
            which = range(len(part)) if layout.which is None else layout.which.tolist()
            found |= {i: told[place] for i, place in zip(part, which, strict=True)}
        return pad_sequence([found[i] for i in range(len(lines))], batch_first=True)

    def logits(self, layout: Layout) -> Tensor:
        """The model's own (tokens, V): for small inputs, and where there is no other way."""
        return self.plain()(**_inputs(layout)).logits.flatten(0, 1)

    def states(self, layout: Layout, at: Tensor) -> Tensor:
        """Hidden states (len(at), d) at the given places."""
        return self.plain().base_model(**_inputs(layout)).last_hidden_state.flatten(0, 1).index_select(0, at)


def _inputs(layout: Layout) -> dict[str, Any]:
    """Never a cache: with one, or with a mask, rows would leak into each other without a word."""
    given = {"input_ids": layout.ids, "attention_mask": None, "use_cache": False}
    return given | ({"position_ids": layout.pos, "segments": layout.segments} if layout.segments else {})


def _summed(layout: Layout, tokens: TokenLogps) -> Scored:
    exact = torch.float64 if layout.ids.device.type != "mps" else torch.float32  # which has nothing wider

    def add(values: Tensor) -> Tensor:
        """In order, one after another: in float32 a sum over 400 tokens would be off by 1e-3 nats."""
        found = torch.zeros(len(layout.last), dtype=exact, device=values.device)
        return found.index_add(0, layout.sequence, values.to(exact)).to(values.dtype)

    targets = add(tokens.values)
    whole = torch.equal(layout.answer_tokens, layout.target_tokens)
    answers = targets if whole else add(tokens.values * layout.in_answer)
    return Scored(
        SeqLogps(answers, layout.answer_tokens),
        SeqLogps(targets, layout.target_tokens),
        add(tokens.entropy),
        add(tokens.hits),
    )
