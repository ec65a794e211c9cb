"""Where the definitions agree, our losses are TRL 1.16's: same rows, order, weights and optimiser, float32 on a CPU.

Plain-text rows; one micro-batch per step; ORPO imitates the whole sequence; KTO takes TRL's mismatched partners.
"""

import copy
import json
import random
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from tests.bench.batches import AGREED, rotated
from tests.bench.models import save_tokenizer, words
from tests.bench.peer import PEERS, train
from workbench.jobs.folder import Reporter
from workbench.training.data import stops
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
WORDS = words(VOCABULARY)


class Case(NamedTuple):
    """A method, and the knobs of both sides where they differ from what `tests/bench` compares."""

    method: str
    ours: dict[str, Any] = {}  # noqa: RUF012
    theirs: dict[str, Any] = {}  # noqa: RUF012


CASES = {
    "sft": Case("sft"),
    "rm": Case("rm"),
    "rm_centred": Case("rm", {"center_coef": 0.01}, {"center_rewards_coefficient": 0.01}),
    "rm_margin": Case("rm", {"margin_map": "large"}),
    "dpo": Case("dpo"),
    "dpo_robust": Case(
        "dpo", {"loss": "robust", "label_smoothing": 0.1}, {"loss_type": ["robust"], "label_smoothing": 0.1}
    ),
    "dpo_ipo": Case("dpo", {"loss": "ipo"}, {"loss_type": ["ipo"]}),
    "dpo_hinge": Case("dpo", {"loss": "hinge"}, {"loss_type": ["hinge"]}),
    "dpo_norm": Case("dpo", {"loss": "sigmoid_norm"}, {"loss_type": ["sigmoid_norm"]}),
    "dpo_nll": Case("dpo", {"nll_coef": 0.1}, {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.1]}),
    "kto": Case("kto"),
    "kto_weights": Case("kto", {"desirable_weight": 4 / 3}, {"desirable_weight": 4 / 3}),
    "cpo": Case("cpo"),
    "cpo_hinge": Case("cpo", {"loss": "hinge"}, {"loss_type": "hinge"}),
    "cpo_ipo": Case("cpo", {"loss": "ipo"}, {"loss_type": "ipo"}),
    "orpo": Case("orpo"),
    "simpo": Case("simpo"),
}
SHORT = ["sft", "rm", "dpo", "kto", "cpo", "orpo", "simpo"]
SHOWN = ("rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected")
SHOWN += ("kl", "nll_loss", "log_odds_ratio", "margin", "mean_reward", "entropy")


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
    save_tokenizer(folder, VOCABULARY)
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
    values |= {"learning_rate": lr, "tuning": tuning} | AGREED.get(method, {}) | knobs
    hparams = make(METHODS[method].hparams, values)
    policy = load(start, "reward" if method == "rm" else "causal", hparams)
    with policy.stock():
        untrained = copy.deepcopy(policy.model)
    data = prepare(method, hparams, rows, policy.tokenizer, stops(policy.tokenizer), limit=256, out=tmp_path)
    assert not data.dropped
    if method == "kto":
        data = replace(data, train=partnered(data.train, hparams))
    if METHODS[method].reference:
        data = replace(data, train=with_reference(policy, data.train))
    loop = Loop(objective(method, hparams, policy, data.train), data, hparams, Reporter(tmp_path))
    return loop, [loop.plan.at(step) for step in range(steps)], untrained


def partnered(units, hparams):
    """KTO's partners inside each batch, as TRL makes them."""
    line = [units[i] for i in order(units, hparams.seed, 0, balanced=True)]
    made = {u.id: u for at in range(0, len(line), B) for u in rotated(line[at : at + B])}
    return [made[u.id] for u in units]


def trained_by_trl(start, tmp_path, case, rows, batches, untrained, lr):
    """Losses and log of TRL over the same batches; it makes its own tokens."""
    method, _, theirs = CASES[case]
    peer = PEERS[method]
    by_id = {row["id"]: row for row in rows}
    return train(
        replace(peer, knobs=peer.knobs | theirs),
        untrained,
        PreTrainedTokenizerFast.from_pretrained(start),
        [as_trl(method, case, by_id[unit.id]) for units in batches for unit in units],
        per_step=B,
        out=tmp_path / "trl",
        learning_rate=lr,
        max_length=256,
        logging_steps=1,
    )


def as_trl(method, case, row):
    names = ("prompt", "chosen", "rejected") if METHODS[method].data == "pairs" else ("prompt", "completion")
    out = {name: row[name][0]["content"] for name in names}
    if method == "kto":
        out["label"] = row["label"]
    if case == "rm_margin":
        out["margin"] = row["strength"]
    return out


def compare(start, tmp_path, case, *, steps, shape="mixed", tuning="full", lr=1e-4, close=1e-4):
    """Losses within `close` of TRL's; what both sides show within 1e-4, or the six digits that our log keeps."""
    method, knobs, *_ = CASES[case]
    rows = made_rows(METHODS[method].data, B * steps, shape)
    loop, batches, untrained = ours(start, tmp_path, method, knobs, rows, steps, tuning, lr)
    loop.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()][1:]
    losses, history = trained_by_trl(start, tmp_path, case, rows, batches, untrained, lr)
    norms = [line["grad_norm"] for line in history if "grad_norm" in line]
    for line, theirs in zip(lines, losses, strict=True):
        assert line["loss"] == pytest.approx(theirs, abs=close * max(1, abs(theirs)))
    assert lines[0]["loss"] == pytest.approx(losses[0], abs=1e-5 * max(1, abs(losses[0])))
    assert lines[0]["grad_norm"] == pytest.approx(norms[0], rel=1e-4)
    shown = [name for name in SHOWN if name in lines[0].keys() & history[0].keys()]
    if case == "cpo_ipo":  # TRL shows token means here, we show sums as in the rest of CPO
        shown = ["nll_loss"]
    assert shown
    for line, theirs in zip(lines, history[:steps], strict=True):
        for name in shown:
            assert line[name] == pytest.approx(theirs[name], abs=1e-4, rel=5e-6), name


@pytest.mark.parametrize("case", SHORT)
def test_losses_equal_trl(start, tmp_path, case):
    compare(start, tmp_path, case, steps=4)


def at_preset(case, tuning):
    """The published learning rate, at which rounding grows little."""
    return {"tuning": tuning, "lr": METHODS[CASES[case].method].presets[tuning]["learning_rate"], "close": 1e-5}


@pytest.mark.parametrize("case", ["dpo", "cpo"])
def test_losses_are_closer_at_a_preset_rate(start, tmp_path, case):
    compare(start, tmp_path, case, steps=4, **at_preset(case, "full"))


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("case", CASES)
def test_losses_are_closer_at_a_preset_rate_for_twenty_steps(start, tmp_path, case, tuning):
    compare(start, tmp_path, case, steps=20, **at_preset(case, tuning))


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["long", "short", "mixed"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("case", CASES)
def test_losses_equal_trl_for_twenty_steps(start, tmp_path, case, tuning, shape):
    compare(start, tmp_path, case, steps=20, shape=shape, tuning=tuning)
