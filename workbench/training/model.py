"""Models from their folders, ready to train: safetensors only, adapters merged or attached, never remote code.

Leaves out how lines go through them (`policy`).
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
)

from workbench.errors import ModelError
from workbench.training.knobs import Common
from workbench.training.policy import Kind, Policy
from workbench.training.selftest import choose_layout

HEAD = "score.weight"
SAFE = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}


def load(folder: Path, kind: Kind, hparams: Common, base: Path | None = None) -> Policy:
    """The start model, ready to train: adapters of an earlier run merged in, new ones attached unless tuning = full.

    base   where the base of an adapter lies, when that is known better than the adapter itself does
    """
    base = base or base_of(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = _precision(hparams, device)
    if hparams.tuning == "qlora":
        _check_4_bits(folder, device, base)
        model = load_plain(folder, kind, precision, **_in_4_bits(device, precision))
    else:
        model = load_plain(folder, kind, torch.float32 if hparams.tuning == "full" else precision, base).to(device)
    torch.manual_seed(hparams.seed)
    if kind == "reward":
        if not hasattr(model, "score"):
            raise ModelError(f"{folder}: no reward model can be made of {type(model).__name__}, it has no score head")
        nn.init.normal_(model.score.weight, std=(model.config.get_text_config().hidden_size + 1) ** -0.5)
        model.score.float()  # it is trained whole, and bfloat16 would lose small steps
    if hparams.tuning != "full":
        model = with_adapters(model, kind, hparams)
    policy = Policy(model, tokenizer_of(folder, base), kind, precision)
    policy.why_padded = choose_layout(policy)
    return policy


def tokenizer_of(folder: Path, base: Path | None = None) -> Any:
    """Of an adapter that was saved without a tokenizer, that of its base."""
    folder = folder if any(folder.glob("tokenizer*")) else base or base_of(folder) or folder
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} has no tokenizer that can be read: {error}") from error
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


def _check_4_bits(folder: Path, device: torch.device, base: Path | None) -> None:
    if device.type != "cuda":
        raise ModelError("tuning = qlora keeps the base in 4 bits, which needs an NVIDIA GPU: choose lora")
    if base:
        raise ModelError(f"{folder} is an adapter, which is not merged in 4 bits: export it merged and start from that")


def _in_4_bits(device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """How transformers loads a base in NF4 (QLoRA, arXiv:2305.14314); what is trained whole stays as it is."""
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision,
        llm_int8_skip_modules=["lm_head", "score"],
    )
    return {"quantization_config": config, "device_map": {"": device}}


def load_plain(
    folder: Path, kind: Kind, dtype: torch.dtype, base: Path | None = None, *, scores: bool = False, **extra: Any
) -> PreTrainedModel:
    """A whole model of safetensors, without dropout; an adapter is merged into its base in float32.

    scores   of a reward model: it must have learnt to score; else a head that is missing is new
    """
    base = base or base_of(folder)
    auto = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    try:
        config = without_dropout(AutoConfig.from_pretrained(base or folder, **SAFE))
        if kind == "reward":
            config.num_labels = 1
        extra |= {"config": config, "dtype": torch.float32 if base else dtype}
        model, told = auto.from_pretrained(
            base or folder, output_loading_info=True, ignore_mismatched_sizes=True, **SAFE, **extra
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{base or folder}: {error}") from error
    _check_whole(base or folder, told, head=scores and not base)
    if base:
        from peft import PeftConfig, PeftModel

        try:
            config = PeftConfig.from_pretrained(folder)
            if kind == "reward" and config.task_type == "CAUSAL_LM":
                config.task_type = None  # only its layers are wanted, not what it says about heads
            adapted = PeftModel.from_pretrained(model, folder, config=config, use_safetensors=True)
            model = adapted.merge_and_unload().to(dtype).requires_grad_(True)  # which the adapter had taken away
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelError(f"the adapter {folder} does not fit its base {base}: {error}") from error
    return model


def _check_whole(folder: Path, told: dict[str, Any], *, head: bool) -> None:
    """Every weight was there, in its size; the head of a reward model may be new unless it is needed."""
    new = set() if head else {HEAD}
    missing = sorted(set(told["missing_keys"]) - new)
    wrong = sorted(name for name, *_ in told["mismatched_keys"] if name not in new)
    if HEAD in (*missing, *wrong):
        raise ModelError(f"{folder} has no score head with one label: it cannot score answers")
    if missing or wrong:
        fault = f"{missing[0]} is missing" if missing else f"{wrong[0]} has another size than config.json says"
        raise ModelError(f"{folder} is not whole: {fault}; take another copy of the model")


def without_dropout(config: PreTrainedConfig) -> PreTrainedConfig:
    """Answers that share a prompt would share its noise, and log-probs of the reference are computed only once."""
    for part in (config, config.get_text_config()):
        for name, value in vars(part).items():
            if "drop" in name and isinstance(value, float):
                setattr(part, name, 0.0)
    return config


def with_adapters(model: PreTrainedModel, kind: Kind, hparams: Common) -> Any:
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


def _precision(hparams: Common, device: torch.device) -> torch.dtype:
    """What is asked for, if the device has it; `auto` takes the best it has."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if hparams.precision == "bf16" and not able:
        raise ModelError("precision = bf16 needs a GPU that computes in bfloat16: choose auto or float32")
    return torch.bfloat16 if able and hparams.precision != "float32" else torch.float32


def length_limit(policy: Policy) -> int:
    """Most tokens the model can read."""
    config = policy.plain().config.get_text_config()
    known = [getattr(config, "max_position_embeddings", None), policy.tokenizer.model_max_length]
    return min(int(n) for n in known if n and n > 0)
