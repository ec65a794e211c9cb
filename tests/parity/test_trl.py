"""Where the definitions agree, our losses are TRL 1.16's: same rows, order, weights and optimiser, float32 on a CPU.

Plain-text rows; one micro-batch per step; ORPO imitates the whole sequence; KTO takes TRL's mismatched partners.
"""

import copy
import json
import random
from dataclasses import replace

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from workbench.jobs.folder import Reporter
from workbench.training.data import Line, stops
from workbench.training.hparams import make
from workbench.training.loop import Loop
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.objectives import objective
from workbench.training.reference import with_reference
from workbench.training.units import order, prepare

torch.set_num_threads(1)
logging.set_verbosity_error()
B, VOCABULARY = 8, 1024
WORDS = [f"w{i}" for i in range(VOCABULARY - 3)]

# name: our method, our knobs, TRL trainer, TRL config, TRL knobs
CASES = {
    "sft": ("sft", {}, SFTTrainer, SFTConfig, {"completion_only_loss": True, "packing": False}),
    "rm": ("rm", {"center_coef": 0.0, "margin_map": "none"}, RewardTrainer, RewardConfig, {}),
    "rm_centred": (
        "rm",
        {"center_coef": 0.01, "margin_map": "none"},
        RewardTrainer,
        RewardConfig,
        {"center_rewards_coefficient": 0.01},
    ),
    "rm_margin": ("rm", {"center_coef": 0.0, "margin_map": "large"}, RewardTrainer, RewardConfig, {}),
    "dpo": ("dpo", {}, DPOTrainer, DPOConfig, {"loss_type": ["sigmoid"]}),
    "dpo_robust": (
        "dpo",
        {"loss": "robust", "label_smoothing": 0.1},
        DPOTrainer,
        DPOConfig,
        {"loss_type": ["robust"], "label_smoothing": 0.1},
    ),
    "dpo_ipo": ("dpo", {"loss": "ipo"}, DPOTrainer, DPOConfig, {"loss_type": ["ipo"]}),
    "dpo_hinge": ("dpo", {"loss": "hinge"}, DPOTrainer, DPOConfig, {"loss_type": ["hinge"]}),
    "dpo_norm": ("dpo", {"loss": "sigmoid_norm"}, DPOTrainer, DPOConfig, {"loss_type": ["sigmoid_norm"]}),
    "dpo_nll": (
        "dpo",
        {"nll_coef": 0.1},
        DPOTrainer,
        DPOConfig,
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.1]},
    ),
    "kto": ("kto", {"kto_weights": "manual"}, KTOTrainer, KTOConfig, {}),
    "kto_weights": (
        "kto",
        {"kto_weights": "manual", "desirable_weight": 4 / 3},
        KTOTrainer,
        KTOConfig,
        {"desirable_weight": 4 / 3},
    ),
    "cpo": ("cpo", {}, CPOTrainer, CPOConfig, {"loss_type": "sigmoid"}),
    "cpo_hinge": ("cpo", {"loss": "hinge"}, CPOTrainer, CPOConfig, {"loss_type": "hinge"}),
    "cpo_ipo": ("cpo", {"loss": "ipo"}, CPOTrainer, CPOConfig, {"loss_type": "ipo"}),
    "orpo": ("orpo", {"nll_scope": "sequence"}, ORPOTrainer, ORPOConfig, {"beta": 0.1}),
    "simpo": (
        "simpo",
        {"beta": 2.0, "gamma_beta_ratio": 0.5},
        CPOTrainer,
        CPOConfig,
        {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0},
    ),
}
SHORT = ["sft", "rm", "dpo", "kto", "cpo", "orpo", "simpo"]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A tiny Llama and a word tokenizer without BOS, pad other than EOS."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.1,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    vocabulary = {w: i for i, w in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def text(rng, low, high):
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))


def made_rows(data, n, shape):
    """Snapshot rows of random words: prompts longer than answers, shorter, or both kinds mixed."""
    rng = random.Random(0)
    sizes = {"long": [(20, 60)], "short": [(1, 5)], "mixed": [(1, 5), (20, 60)]}[shape]
    rows = []
    for i in range(n):
        said = lambda: [{"role": "assistant", "content": text(rng, 2, 25)}]  # noqa: E731
        prompt = [{"role": "user", "content": text(rng, *sizes[i % len(sizes)]) + " "}]
        row = {"id": str(i), "group_id": f"g{i}", "form": "text", "split": "train", "weight": 1.0, "prompt": prompt}
        if data == "pairs":
            row |= {"chosen": said(), "rejected": said(), "tie": False, "strength": float(rng.randint(1, 3))}
        else:
            row |= {"completion": said(), "label": i % 2 == 0, "p": float(i % 2 == 0)}
        rows.append(row)
    return rows


def ours(start, tmp_path, method, knobs, rows, steps, tuning, lr):
    """The loop of this package over `rows`, the units of each step, and the untrained model it starts from."""
    values = {
        "max_length": 256,
        "units_per_step": B,
        "epochs": 1,
        "schedule": "constant",
        "warmup": 0,
    }
    hparams = make(METHODS[method].hparams, values | {"learning_rate": lr, "tuning": tuning} | knobs)
    policy = load(start, "reward" if method == "rm" else "causal", hparams)
    with policy.stock():
        untrained = copy.deepcopy(policy.model)
    data = prepare(method, hparams, rows, policy.tokenizer, stops(policy.tokenizer), limit=256, out=tmp_path)
    assert not data.dropped
    if method == "kto":
        data = replace(data, train=rotated(data.train, hparams))
    if METHODS[method].reference:
        data = replace(data, train=with_reference(policy, data.train))
    loop = Loop(objective(method, hparams, policy, data.train), data, hparams, Reporter(tmp_path))
    return loop, [loop.plan.at(step) for step in range(steps)], untrained


def rotated(units, hparams):
    """KTO partners as TRL makes them: the answer of the row before, inside each batch."""
    line = order(units, hparams.seed, 0, balanced=True)
    partner = {}
    for start in range(0, len(line), B):
        batch = line[start : start + B]
        for place, i in enumerate(batch):
            partner[i] = Line.of(units[i].lines[0].prompt, units[batch[place - 1]].lines[0].answer)
    return [replace(u, partner=partner[i]) for i, u in enumerate(units)]


def trained_by_trl(start, tmp_path, case, rows, batches, untrained, lr):
    """Losses and gradient norms of TRL over the same batches."""
    method, _, trainer_class, config_class, knobs = CASES[case]
    by_id = {row["id"]: row for row in rows}
    ordered = [by_id[unit.id] for units in batches for unit in units]
    losses = []

    class Recorded(trainer_class):
        def training_step(self, *args, **kwargs):
            loss = super().training_step(*args, **kwargs)
            losses.append(loss.item())
            return loss

    arguments = config_class(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=B,
        max_steps=len(batches),
        learning_rate=lr,
        lr_scheduler_type="constant",
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        max_length=256,
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        **knobs,
    )
    trainer = Recorded(
        model=untrained,
        args=arguments,
        train_dataset=Dataset.from_list([as_trl(method, case, row) for row in ordered]),
        processing_class=PreTrainedTokenizerFast.from_pretrained(start),
    )
    trainer.train()
    norms = [line["grad_norm"] for line in trainer.state.log_history if "grad_norm" in line]
    return losses, norms, trainer.state.log_history


def as_trl(method, case, row):
    names = ("prompt", "chosen", "rejected") if METHODS[method].data == "pairs" else ("prompt", "completion")
    out = {name: row[name][0]["content"] for name in names}
    if method == "kto":
        out["label"] = row["label"]
    if case == "rm_margin":
        out["margin"] = row["strength"]
    return out


def compare(start, tmp_path, case, *, steps, shape="mixed", tuning="full", lr=1e-4):
    method, knobs, *_ = CASES[case]
    rows = made_rows(METHODS[method].data, B * steps, shape)
    loop, batches, untrained = ours(start, tmp_path, method, knobs, rows, steps, tuning, lr)
    loop.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()][1:]
    losses, norms, history = trained_by_trl(start, tmp_path, case, rows, batches, untrained, lr)
    for line, theirs in zip(lines, losses, strict=True):
        assert line["loss"] == pytest.approx(theirs, abs=1e-4 * max(1, abs(theirs)))
    assert lines[0]["loss"] == pytest.approx(losses[0], abs=1e-5 * max(1, abs(losses[0])))
    assert lines[0]["grad_norm"] == pytest.approx(norms[0], rel=1e-4)
    if case == "cpo_ipo":
        return  # TRL shows token means here, we show sums as in the rest of CPO
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected", "kl"):
        for line, theirs in zip(lines, history, strict=False):
            if name in line and name in theirs:
                assert line[name] == pytest.approx(theirs[name], abs=1e-3, rel=1e-4), name


@pytest.mark.parametrize("case", SHORT)
def test_losses_equal_trl(start, tmp_path, case):
    compare(start, tmp_path, case, steps=4)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["long", "short", "mixed"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("case", CASES)
def test_losses_equal_trl_for_twenty_steps(start, tmp_path, case, tuning, shape):
    compare(start, tmp_path, case, steps=20, shape=shape, tuning=tuning)
