"""A model with its tokenizer, and how lines of tokens go through it: log-probs of targets, or scores.

`Padded` is the one place that knows how lines are laid out for the model. Leaves out what is done with the numbers.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from workbench.errors import ModelError
from workbench.training.data import Line
from workbench.training.logps import SeqLogps, TokenLogps, chunked_logps, head_of
from workbench.training.methods import Training

Kind = Literal["causal", "reward"]
SAFE = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}


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


class Padded:
    """Lines as one right-padded block. Causal attention never looks right, so no mask is needed."""

    def __init__(self, lines: Sequence[Line], device: torch.device) -> None:
        width = max(map(len, lines))
        ids = np.zeros((len(lines), width), dtype=np.int64)
        for i, line in enumerate(lines):
            ids[i, : len(line)] = np.concatenate([line.prompt, line.answer])
        rows = np.repeat(np.arange(len(lines)), [line.targets for line in lines])
        columns = np.concatenate([np.arange(line.first, len(line)) for line in lines])
        starts = np.array([len(line.prompt) for line in lines])
        ends = np.array([len(line) for line in lines])
        put = lambda x: torch.as_tensor(x, device=device)  # noqa: E731
        self.ids = put(ids)
        self.tokens = int(ends.sum())
        self.sequence = put(rows)
        self.source = put(rows * width + columns - 1)
        self.target = put(ids[rows, columns])
        self.in_answer = put(columns >= starts[rows])
        self.last = put(np.arange(len(lines)) * width + ends - 1)
        self.answer_tokens = put((ends - starts).astype(np.float32))
        self.target_tokens = put(np.array([line.targets for line in lines], dtype=np.float32))

    def states(self, base: nn.Module, at: Tensor) -> Tensor:
        """Hidden states (len(at), d) at the given places of the block."""
        hidden = base(input_ids=self.ids, attention_mask=None, use_cache=False).last_hidden_state
        return hidden.flatten(0, 1).index_select(0, at)


class Policy(nn.Module):
    """Every pass of every method goes through here. Stays in eval mode: dropout would spoil cached values."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, kind: Kind, precision: torch.dtype) -> None:
        super().__init__()
        self.model, self.tokenizer, self.kind, self.precision = model.eval(), tokenizer, kind, precision
        self.budget = 8192 if self.device.type == "cpu" else 16384  # padded tokens per micro-batch
        self.real = self.computed = 0  # tokens that went through so far, without and with padding

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def adapted(self) -> bool:
        return hasattr(self.model, "peft_config")

    def plain(self) -> PreTrainedModel:
        """The transformers model, inside its adapters if there are any; they stay active."""
        return self.model.get_base_model() if self.adapted else self.model

    def untouched(self) -> AbstractContextManager[Any]:
        """Within this, adapters are off. Without adapters the weights themselves must not have been trained yet."""
        return self.model.disable_adapter() if self.adapted else nullcontext()

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

    def forward(self, lines: Sequence[Line]) -> Scored | Tensor:
        """`Scored` of a causal model; scores (n,), read at each line's last token, of a reward model."""
        parts = blocks(lines, self.budget // 32)
        back = torch.tensor(np.argsort(np.concatenate(parts)), device=self.device)
        made = [self.block(Padded([lines[i] for i in part], self.device)) for part in parts]
        return torch.cat(made)[back] if self.kind == "reward" else Scored.joined(made)[back]

    def block(self, block: Padded) -> Scored | Tensor:
        plain = self.plain()
        self.real += block.tokens
        self.computed += block.ids.numel()
        with self.casting():
            if self.kind == "reward":
                return plain.score(block.states(plain.base_model, block.last))[:, 0].float()
            states = block.states(plain.base_model, block.source)
        return _summed(block, chunked_logps(states.to(self.precision), head_of(plain), block.target))


def _summed(block: Padded, tokens: TokenLogps) -> Scored:
    def add(values: Tensor) -> Tensor:
        return values.new_zeros(len(block.ids)).index_add(0, block.sequence, values)

    targets = add(tokens.values)
    whole = torch.equal(block.answer_tokens, block.target_tokens)
    answers = targets if whole else add(tokens.values * block.in_answer)
    return Scored(
        SeqLogps(answers, block.answer_tokens),
        SeqLogps(targets, block.target_tokens),
        add(tokens.entropy),
        add(tokens.hits),
    )


def blocks(lines: Sequence[Line], least: int) -> list[list[int]]:
    """Indices of lines padded together: a new block where a line is much shorter and the last one large enough."""
    order = sorted(range(len(lines)), key=lambda i: -len(lines[i]))
    found: list[list[int]] = []
    for i in order:
        width = len(lines[found[-1][0]]) if found else 0
        if not found or (len(lines[i]) < 0.8 * width and len(found[-1]) * width >= least):
            found.append([])
        found[-1].append(i)
    return found


def micro_batches(groups: Sequence[Sequence[Line]], budget: int) -> Iterator[list[int]]:
    """Indices of groups that go through the model together: at most `budget` padded tokens, longest first."""
    longest = [max(map(len, lines)) for lines in groups]
    part: list[int] = []
    count = 0
    for i in sorted(range(len(groups)), key=lambda i: -longest[i]):
        if part and (count + len(groups[i])) * longest[part[0]] > budget:
            yield part
            part, count = [], 0
        part.append(i)
        count += len(groups[i])
    if part:
        yield part


def load(folder: Path, kind: Kind, hparams: Training) -> Policy:
    """The start model, ready to train: adapters of an earlier run merged in, new ones attached for tuning = lora."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = _precision(hparams, device)
    lora = hparams.tuning == "lora"
    model = load_plain(folder, kind, precision if lora else torch.float32)
    torch.manual_seed(hparams.seed)
    if kind == "reward":
        nn.init.normal_(model.score.weight, std=(model.config.get_text_config().hidden_size + 1) ** -0.5)
    if lora:
        model = with_adapters(model, kind, hparams)
    return Policy(model.to(device), tokenizer_of(folder), kind, precision)


def tokenizer_of(folder: Path) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def base_of(folder: Path) -> Path | None:
    """The folder of the model that an adapter folder belongs to; None when it is a whole model."""
    config = folder / "adapter_config.json"
    if not config.exists():
        return None
    base = Path(json.loads(config.read_text())["base_model_name_or_path"])
    if not base.is_dir():
        raise ModelError(f"the adapter {folder} belongs to {base}, which is not here")
    return base


def load_plain(folder: Path, kind: Kind, dtype: torch.dtype) -> PreTrainedModel:
    """A whole model of safetensors; an adapter is merged into its base in float32."""
    base = base_of(folder)
    auto = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    extra = {"num_labels": 1} if kind == "reward" else {}
    try:
        model = auto.from_pretrained(base or folder, dtype=torch.float32 if base else dtype, **SAFE, **extra)
    except (OSError, ValueError) as error:
        raise ModelError(f"{base or folder}: {error}") from error
    if base:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder, use_safetensors=True).merge_and_unload().to(dtype)
    return model


def with_adapters(model: PreTrainedModel, kind: Kind, hparams: Training) -> Any:
    """LoRA on every linear layer of the blocks; a reward model's head is trained whole."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=hparams.lora_r,
        lora_alpha=hparams.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="SEQ_CLS" if kind == "reward" else "CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _precision(hparams: Training, device: torch.device) -> torch.dtype:
    if device.type == "cpu" or hparams.precision == "float32":
        return torch.float32
    if not torch.cuda.is_bf16_supported():
        return torch.float32
    return torch.bfloat16


def length_limit(policy: Policy) -> int:
    """Most tokens the model can read."""
    config = policy.plain().config.get_text_config()
    known = [getattr(config, "max_position_embeddings", None), policy.tokenizer.model_max_length]
    return min(int(n) for n in known if n and n > 0)
