"""A tiny Llama with a word tokenizer, a hand-written snapshot, and run folders made of them."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from workbench.jobs.folder import write_json
from workbench.training.hparams import JudgeAt, RunConfig
from workbench.training.methods import METHODS, preset

torch.set_num_threads(1)
OFFLINE = [name for name, method in METHODS.items() if not method.draws]  # what learns from labelled rows

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TIMES = {"examples_per_second", "tokens_per_second", "eta_s", "peak_memory_mb"}
TIMES |= {"rollout_tokens_per_second", "update_tokens_per_second", "time/rollout", "time/score", "time/update"}
SPECIAL = ["<pad>", "<unk>", "<|im_start|>", "<|im_end|>"]
TOPICS = [f"topic{i}" for i in range(40)]
FRIENDLY = ["hey", "sure", "fun", "cheers"]
FORMAL = ["regarding", "kindly", "henceforth", "sincerely"]
WORDS = ["user", "assistant", "system", "about", "tell", "me", ":", *TOPICS, *FRIENDLY, *FORMAL]

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
COMMON = [(n, pa.string()) for n in ("id", "group_id", "item_key", "form", "split", "source")] + [
    ("weight", pa.float64()),
    ("n_votes", pa.int64()),
]
SCHEMAS = {
    "pairs": [
        ("prompt", MESSAGES),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("tie", pa.bool_()),
        ("strength", pa.float64()),
        ("p_share", pa.float64()),
        ("p_posterior", pa.float64()),
        ("n_agree", pa.int64()),
    ],
    "thumbs": [("prompt", MESSAGES), ("completion", MESSAGES), ("label", pa.bool_()), ("p", pa.float64())],
    "demonstrations": [("prompt", MESSAGES), ("completion", MESSAGES)],
    "prompts": [("prompt", MESSAGES)],
    "rankings": [
        ("prompt", MESSAGES),
        ("candidates", pa.list_(MESSAGES)),
        ("tiers", pa.list_(pa.list_(pa.int32()))),
    ],
}


def turns(*contents: str) -> list[dict[str, str]]:
    roles = ("user", "assistant") if len(contents) != 1 else ("user",)
    return [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)]


def said(content: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": content}]


def write_snapshot(folder: Path, tables: dict[str, list[dict]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        schema = pa.schema(COMMON + SCHEMAS[name])
        plain = {
            "form": "chat",
            "split": "train",
            "source": "hand",
            "weight": 1.0,
            "n_votes": 1,
            "tie": False,
            "n_agree": 1,
        }
        full = [{f.name: (plain | row).get(f.name) for f in schema} for row in rows]
        pq.write_table(pa.Table.from_pylist(full, schema), folder / f"{name}.parquet")
    return folder


def answer(rng: random.Random, words: list[str], topic: str) -> str:
    return " ".join([*rng.sample(words, 3), topic, *rng.sample(words, rng.randint(1, 3))])


def written_rows(n: int = 60, seed: int = 0, form: str = "chat") -> dict[str, list[dict]]:
    """Friendly answers are chosen, formal ones rejected; every eighth group is held out."""
    rng, pairs, thumbs, shown, asked = random.Random(seed), [], [], [], {}
    for i in range(n):
        topic = TOPICS[i % len(TOPICS)]
        ask = turns(f"tell me about {topic}{' ' if form == 'text' else ''}")
        good, bad = answer(rng, FRIENDLY, topic), answer(rng, FORMAL, topic)
        base = {"id": f"p{i}", "group_id": f"g{i % len(TOPICS)}", "item_key": f"k{i}", "form": form, "prompt": ask}
        base |= {"weight": 1.0, "tie": False}
        base["split"] = "test" if i % len(TOPICS) % 8 == 0 else "train"
        pairs.append(base | {"chosen": said(good), "rejected": said(bad), "strength": 2.0, "p_share": 0.9})
        base.pop("tie")
        thumbs.append(base | {"id": f"g{i}", "completion": said(good), "label": True, "p": 1.0})
        thumbs.append(base | {"id": f"b{i}", "completion": said(bad), "label": False, "p": 0.0})
        shown.append(base | {"completion": said(good)})
        asked.setdefault(topic, base)
    return {"pairs": pairs, "thumbs": thumbs, "demonstrations": shown, "prompts": list(asked.values())}


def word_tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    vocabulary = {w: i for i, w in enumerate([*SPECIAL, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = template
    return tokenizer


def tiny_llama(vocabulary: int, *, hidden: int = 32, layers: int = 2, seed: int = 0, **rest) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        initializer_range=0.08,
        pad_token_id=0,
        eos_token_id=3,
        bos_token_id=None,
        **rest,
    )
    return LlamaForCausalLM(config)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """The folder of the tiny start model."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = word_tokenizer()
    tiny_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory) -> Path:
    return write_snapshot(tmp_path_factory.mktemp("snapshot"), written_rows())


@pytest.fixture(scope="session")
def scorer(tmp_path_factory, tiny) -> Path:
    """The folder of a reward model with the words of `tiny`; it has learnt nothing."""
    folder = tmp_path_factory.mktemp("scorer")
    torch.manual_seed(5)
    model = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1)
    torch.nn.init.normal_(model.score.weight)
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def make_run(tmp_path, tiny, snapshot, scorer):
    """Make a run folder: make_run("dpo", epochs=2) returns its path."""

    def make(method: str, *, name: str = "000001", model: Path = tiny, rows: Path = snapshot, **hparams) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        tuning = hparams.pop("tuning", "full")
        values = preset(method, tuning=tuning, parameters=1, units=60) | {"max_length": 0} | hparams
        config = RunConfig(
            run=1,
            project=1,
            method=method,
            hparams=values,
            model="tiny",
            model_path=str(model),
            snapshot="0" * 64,
            snapshot_path=str(rows),
            judges=[JudgeAt(name="judge", path=str(scorer))] if METHODS[method].draws else [],
        )
        write_json(folder / "config.json", config.model_dump(mode="json"))
        return folder

    return make


@pytest.fixture
def lines_of():
    """The JSON lines of a file; `timeless` leaves out what depends on the clock or the machine."""

    def read(path: Path, *, timeless: bool = False) -> list[dict]:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{k: v for k, v in line.items() if not (timeless and k in TIMES)} for line in lines]

    return read


@pytest.fixture
def rows():
    return written_rows


@pytest.fixture
def snapshot_of():
    return write_snapshot


@pytest.fixture
def words():
    return word_tokenizer


@pytest.fixture
def llama():
    return tiny_llama


def ranked_rows(n: int = 24, seed: int = 0) -> dict[str, list[dict]]:
    """A snapshot of pairs, and of rankings with the pairs that were made of them, as a store freezes it."""
    rng, tables = random.Random(seed), written_rows(n, seed)
    rankings, parts = [], []
    for i in range(n):
        topic, key = TOPICS[i % len(TOPICS)], f"r{i}"
        base = {"group_id": f"g{i % len(TOPICS)}", "item_key": key, "prompt": turns(f"tell me about {topic}")}
        base["split"] = "test" if i % len(TOPICS) % 8 == 0 else "train"
        said_here = [said(answer(rng, words, topic)) for words in (FORMAL, FRIENDLY, FRIENDLY + FORMAL, FORMAL)]
        tiers = [[1], [2], [0, 3]] if i % 2 or i % 16 == 8 else [[1], [0]]
        order = [(b, w) for at, upper in enumerate(tiers) for lower in tiers[at + 1 :] for b in upper for w in lower]
        rankings.append(base | {"id": key, "candidates": said_here, "tiers": tiers})
        parts += [
            base
            | {"id": f"{key}-{b}{w}", "chosen": said_here[b], "rejected": said_here[w], "weight": 1 / len(order)}
            | {"p_share": 0.8}
            for b, w in order
        ]
    return {"pairs": tables["pairs"] + parts, "rankings": rankings}


@pytest.fixture
def rankings():
    return ranked_rows
