"""Trains the demo model from nothing on the demo corpus: python -m workbench.demo.train --out data/demo/model

Writes a Hugging Face folder of about 2 MB; `answers` then measures it and draws the demo's candidates. Leaves out the
texts (`corpus`) and how answers are judged (`judge`).
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from workbench.demo.corpus import draw, seeded

STEPS, BATCH, POOL = 2000, 32, 16
LEARNING_RATE, WARM_UP, LAST = 3e-3, 50, 0.03
# The summed loss is divided by a constant: by the tokens of a batch, which holds answers of one length and so mostly of
# one style, the opening words of short answers would count more.
ANSWER_TOKENS = 35
VOCABULARY, LONGEST_TOKEN = 2048, 12  # without the limit whole Chinese clauses become one token
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo model (4 minutes on 2 cores).")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.manual_seed(chosen.seed)
    tokenizer = build_tokenizer(seeded(chosen.seed))
    model = build_model(tokenizer)
    train(model, tokenizer, chosen.steps, seeded(chosen.seed + 1))
    print(f"validation loss {validation_loss(model, tokenizer):.3f}")
    save(model, tokenizer, chosen.out)


def build_tokenizer(rng: random.Random) -> PreTrainedTokenizerFast:
    """Byte-level BPE with single digits, learned from the corpus itself."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        max_token_length=LONGEST_TOKEN,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text for _ in range(20_000) for text in draw(rng)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        model_max_length=512,
        padding_side="left",
        chat_template=TEMPLATE,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """1,049,728 parameters."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            initializer_range=0.04,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, steps: int, rng: random.Random) -> None:
    """AdamW on answers only; prints where it is."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, steps))
    examples, start = batches(tokenizer, rng), time.monotonic()
    model.train()
    for step in range(1, steps + 1):
        loss = answer_loss(model, *next(examples))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}/{steps}  loss {loss.item():.3f}  {time.monotonic() - start:.0f} s", flush=True)


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: up, flat to half the way, then in a line down to its last part."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return min(1.0, 1 - (1 - LAST) * (step / steps - 0.5) / 0.5)


def batches(
    tokenizer: PreTrainedTokenizerFast, rng: random.Random, *, validation: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Ids and, at each place of an answer, the same id as label (else -100); rows of a batch are about as long."""
    encode = cache(lambda text: tokenizer(text, add_special_tokens=False)["input_ids"])
    while True:
        rows = []
        for _ in range(BATCH * POOL):
            prompt, answer = draw(rng, validation=validation)
            asked, said = encode(f"{START}user\n{prompt}{END}\n{START}assistant\n"), encode(answer + END)
            rows.append((asked + said, [-100] * len(asked) + said))
        rows.sort(key=lambda row: len(row[0]))
        pool = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
        rng.shuffle(pool)
        for batch in pool:
            width = len(batch[-1][0])
            yield (
                torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in batch]),
                torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in batch]),
            )


def answer_loss(model: LlamaForCausalLM, ids: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of the answers; padding stands right, where a causal model cannot see it."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    answered = targets != -100
    logits = model.lm_head(hidden[answered])
    return F.cross_entropy(logits, targets[answered], reduction="sum") / (len(ids) * ANSWER_TOKENS)


@torch.no_grad()
def validation_loss(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    """On prompts that were never trained on."""
    model.eval()
    examples = batches(tokenizer, seeded(0), validation=True)
    return sum(answer_loss(model, *next(examples)).item() for _ in range(POOL)) / POOL


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """A folder that any Hugging Face program can load: bfloat16, half the size and measured to answer the same."""
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.8,
        max_new_tokens=160,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    card = {"method": "pretraining", "parameters": model.num_parameters()}
    print(json.dumps(card), out)


if __name__ == "__main__":
    main()
