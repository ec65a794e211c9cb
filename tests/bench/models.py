"""Models to measure with: random weights in known shapes, and a tokenizer of one word per token. Nothing is fetched."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast

SPECIALS = ["<pad>", "</s>", "<unk>"]


@dataclass(frozen=True)
class Size:
    """A decoder as transformers' config names it; 7b is kept in bfloat16 and only trained with adapters."""

    model_type: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    tie_word_embeddings: bool = True
    gpu: bool = False

    def config(self) -> PretrainedConfig:
        shape = {name: value for name, value in vars(self).items() if name not in ("model_type", "gpu")}
        ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
        return AutoConfig.for_model(self.model_type, max_position_embeddings=4096, **shape, **ends)


SIZES = {
    "tiny": Size("qwen2", 256, 704, 4, 4, 2, 8192),
    "small": Size("llama", 256, 704, 12, 4, 2, 32000),
    "0.5b": Size("qwen2", 896, 4864, 24, 14, 2, 151936, gpu=True),
    "7b": Size("qwen2", 3584, 18944, 28, 28, 4, 152064, tie_word_embeddings=False, gpu=True),
}


def words(vocabulary: int) -> list[str]:
    """Every word the tokenizer knows, beside its special tokens."""
    return [f"w{i}" for i in range(vocabulary - len(SPECIALS))]


def save_tokenizer(folder: Path, vocabulary: int) -> None:
    """Words at white space, pad other than EOS, no BOS."""
    known = {word: i for i, word in enumerate([*SPECIALS, *words(vocabulary)])}
    inner = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    made.save_pretrained(folder)


def tokenizer_of(folder: Path) -> PreTrainedTokenizerFast:
    """What was saved; AutoTokenizer would take the pre-tokenizer of the model's family instead."""
    return PreTrainedTokenizerFast.from_pretrained(folder)


def save_start(folder: Path, size: str) -> Path:
    """The start model of that size with its tokenizer, made once per folder."""
    if not (folder / "tokenizer.json").exists():
        torch.manual_seed(0)
        dtype = torch.bfloat16 if size == "7b" else torch.float32
        AutoModelForCausalLM.from_config(SIZES[size].config(), dtype=dtype).save_pretrained(folder)
        save_tokenizer(folder, SIZES[size].vocab_size)
    return folder
