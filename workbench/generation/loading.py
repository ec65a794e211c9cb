"""Models in memory, ready to answer: a base once, with all its adapters beside it. Safetensors only, no remote code."""

import gc
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from workbench.errors import ModelError
from workbench.generation.request import Source
from workbench.generation.templates import stop_ids
from workbench.jobs.models import scan
from workbench.training.data import with_template
from workbench.training.model import load_plain, tokenizer_of

ROOM = 3
ADAPTERS = 16  # per base; more than all requests under way can name
BUDGET = 32_768  # tokens of one batch, prompts and answers


@dataclass(frozen=True)
class Voice:
    """How one model reads and ends: its tokenizer, its stop ids, its adapter (None for a whole model)."""

    tokenizer: Any
    stops: frozenset[int]
    adapter: str | None


class Base:
    """A whole model and the adapters that were asked for so far."""

    def __init__(self, path: Path) -> None:
        scan(path)
        self.path = path
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        half = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        plain = load_plain(path, "causal", torch.bfloat16 if half else torch.float32)
        self.model: PreTrainedModel | PeftModel = plain.to(self.device).eval()
        self.config, self.eos = plain.config.get_text_config(), plain.generation_config.eos_token_id
        self._voices: OrderedDict[str, Voice] = OrderedDict()

    def voice(self, source: Source) -> Voice:
        """Of the base itself or of one of its adapters, which is loaded when it is not here yet."""
        key = version(source.path)
        if key not in self._voices:
            self._voices[key] = self._load(source, key)
        self._voices.move_to_end(key)
        return self._voices[key]

    def _load(self, source: Source, key: str) -> Voice:
        adapter = self._adapt(source.path, key) if source.base_path else None
        own = (source.path / "tokenizer.json").exists()
        tokenizer = tokenizer_of(source.path if own else self.path)
        with_template(tokenizer)
        return Voice(tokenizer, stop_ids(tokenizer, source.name, self.eos), adapter)

    def _adapt(self, path: Path, key: str) -> str:
        scan(path)
        name = key.replace(".", "_")  # module names have no dots
        try:
            if isinstance(self.model, PeftModel):
                self._make_room()
                self.model.load_adapter(path, name, use_safetensors=True)
            else:
                self.model = PeftModel.from_pretrained(self.model, path, name, use_safetensors=True)
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"the adapter {path} does not fit {self.path}: {error}") from error
        self.model.eval()
        return name

    def _make_room(self) -> None:
        adapted = [key for key, voice in self._voices.items() if voice.adapter]
        for key in adapted[: len(adapted) - ADAPTERS + 1]:
            self.model.delete_adapter(self._voices.pop(key).adapter)

    @property
    def longest(self) -> int:
        """Most tokens of prompt and answer together."""
        return getattr(self.config, "max_position_embeddings", None) or BUDGET

    @property
    def budget(self) -> int:
        """Tokens that one batch may keep: a quarter of the free GPU memory, or what a CPU does well."""
        if self.device.type != "cuda":
            return BUDGET
        free, _ = torch.cuda.mem_get_info(self.device)
        heads = getattr(self.config, "num_key_value_heads", None) or self.config.num_attention_heads
        width = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
        return max(1, min(8 * BUDGET, free // 4 // (2 * self.config.num_hidden_layers * heads * width * 2)))


class Shelf:
    """The models used last stay loaded."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self._bases: OrderedDict[str, Base] = OrderedDict()

    def base(self, path: Path) -> Base:
        key = version(path)
        if key not in self._bases:
            self._drop(self.room - 1)
            self._bases[key] = self._load(path)
        self._bases.move_to_end(key)
        return self._bases[key]

    def _load(self, path: Path) -> Base:
        try:
            return Base(path)
        except torch.OutOfMemoryError:
            self._drop(0)
            return Base(path)

    def _drop(self, kept: int) -> None:
        while len(self._bases) > kept:
            self._bases.popitem(last=False)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def version(path: Path) -> str:
    """A folder and when its weights were written: a run that was resumed is another model."""
    changed = max((f.stat().st_mtime_ns for f in path.glob("*.safetensors")), default=0)
    return f"{path}@{changed}"
