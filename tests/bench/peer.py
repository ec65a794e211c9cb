"""TRL's side: the trainer of each of our methods, with the settings under which it is at its best and means the same.

Leaves out what is measured (`cell`) and what is compared (`tests/parity`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trl.trainer.utils
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from workbench.training.data import Line
from workbench.training.units import Unit

IGNORED = -100


@dataclass(frozen=True)
class Peer:
    """A TRL trainer, its config, and what its config must say for the same definition as ours."""

    trainer: type
    config: type
    knobs: dict[str, Any] = field(default_factory=dict)


SIMPO = {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0}
PEERS = {
    "sft": Peer(SFTTrainer, SFTConfig, {"completion_only_loss": True, "packing": False}),
    "rm": Peer(RewardTrainer, RewardConfig),
    "dpo": Peer(DPOTrainer, DPOConfig, {"loss_type": ["sigmoid"]}),
    "kto": Peer(KTOTrainer, KTOConfig),
    "cpo": Peer(CPOTrainer, CPOConfig, {"loss_type": "sigmoid"}),
    "orpo": Peer(ORPOTrainer, ORPOConfig, {"beta": 0.1}),
    "simpo": Peer(CPOTrainer, CPOConfig, SIMPO),
}
SAME = {
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
    "optim": "adamw_torch_fused",
    "train_sampling_strategy": "sequential",
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "bf16": False,
    "use_cpu": True,
}
# What the benchmark sets where the config knows it.
BEST = {
    "precompute_ref_log_probs": True,
    "max_length": None,
    "logging_strategy": "no",
    "dataloader_pin_memory": False,
}


class Tokenised:
    """Takes the rows as they are: they already hold token ids."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    def tokenize_row(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}


def train(
    peer: Peer,
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    *,
    per_step: int,
    out: Path,
    tokenised: bool = False,
    callbacks: Sequence[Any] = (),
    **settings: Any,
) -> tuple[list[float], list[dict[str, Any]]]:
    """The loss of every step over `rows` in their order, and the trainer's log."""
    losses: list[float] = []

    class Recorded(*((Tokenised, peer.trainer) if tokenised else (peer.trainer,))):
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            losses.append(loss.item())
            return loss

    arguments = peer.config(
        output_dir=str(out),
        per_device_train_batch_size=per_step,
        max_steps=len(rows) // per_step,
        **SAME | peer.knobs | settings,
    )
    trainer = Recorded(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
    trainer.train()
    return losses, trainer.state.log_history


def best(method: str, batches: str) -> dict[str, Any]:
    """The benchmark's settings as far as this trainer has them. SFT without padding wins only where lengths differ."""
    known = PEERS[method].config.__dataclass_fields__
    settings = {name: value for name, value in BEST.items() if name in known}
    return settings | ({"padding_free": batches == "random"} if method == "sft" else {})


def score_completions_only() -> None:
    """Let the fused head leave out prompts and padding on a CPU too, as it does on CUDA."""
    trl.trainer.utils._use_triton = lambda device: True


def tokenised(method: str, unit: Unit) -> dict[str, Any]:
    """A unit as the row that this trainer would have made of it."""
    first, *second = unit.lines
    if method == "sft":
        return {"input_ids": ids(first), "labels": labels(first)}
    if method == "kto":
        answer, other = first.answer.tolist(), unit.partner.answer.tolist()
        row = {"prompt_ids": first.prompt.tolist(), "completion_ids": answer, "KL_completion_ids": other}
        return row | {"label": unit.p > 0.5}
    sides = {"chosen": first, "rejected": second[0]}
    if method == "rm":
        return {f"{side}_ids": ids(line) for side, line in sides.items()}
    prompt = first.prompt.tolist()
    if method == "dpo":
        return {"prompt_ids": prompt} | {f"{side}_ids": line.answer.tolist() for side, line in sides.items()}
    made = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
    for side, line in sides.items():
        made |= {f"{side}_input_ids": ids(line), f"{side}_attention_mask": [1] * len(line)}
        made |= {f"{side}_labels": labels(line)}
    return made


def ids(line: Line) -> list[int]:
    return [*line.prompt.tolist(), *line.answer.tolist()]


def labels(line: Line) -> list[int]:
    return [IGNORED] * len(line.prompt) + line.answer.tolist()
