"""How fast text becomes training steps, as a share of what the tokenizer alone needs for the same texts.

Leaves out the model: nothing is trained here.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.bench.batches import labelled, row
from tests.bench.models import save_start
from tests.bench.rounds import ROOT
from workbench.training.data import stops
from workbench.training.hparams import make
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.objectives import objective
from workbench.training.units import prepare

LIMIT, UNITS, VOCABULARY = 4096, 64, 8192
TURN = "\n\nAssistant:"
Pair = tuple[str, str, str]


def measured(models: Path, repeats: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record whose speed is tokenizer seconds / ours, and the seconds of every repeat."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    name, tokenizer, pairs = material()
    rows = [
        row(str(i), str(i), prompt) | labelled("dpo", [chosen, rejected], good=True)[0]
        for i, (prompt, chosen, rejected) in enumerate(pairs)
    ]
    texts = sorted({text for p, c, r in pairs for text in (p, p + c, p + r)})
    policy = load(save_start(models / "tiny", "tiny"), "causal", make(METHODS["dpo"].hparams, {"tuning": "full"}))
    seconds: dict[str, list[float]] = {"ours": [], "tokenizer": []}
    for _ in range(repeats):
        seconds["tokenizer"].append(took(lambda: tokenizer(texts, return_attention_mask=False, verbose=False)))
        seconds["ours"].append(took(lambda: steps(rows, tokenizer, policy)))
    ours, raw = (statistics.median(seconds[who]) for who in ("ours", "tokenizer"))
    made = dict.fromkeys(("speed_vs_patched", "memory_vs_best", "memory_vs_patched", "max_rel_loss_diff", "growth_mb"))
    made |= {"method": "data", "shape": "text", "size": name, "mode": "prepare", "batches": "random", "k": 2}
    made |= {"speed_vs_best": round(raw / ours, 3), "valid": True, "noisy": False, "cpu_s": round(ours, 4)}
    return made, seconds


def took(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def steps(rows: list[dict[str, Any]], tokenizer: Any, policy: Any) -> None:
    """From snapshot rows to the micro-batches of every step."""
    hparams = make(METHODS["dpo"].hparams, {"units_per_step": UNITS, "max_length": LIMIT, "allow": "D06"})
    with tempfile.TemporaryDirectory() as out:
        data = prepare("dpo", hparams, rows, tokenizer, stops(tokenizer), limit=LIMIT, out=Path(out))
    bound = objective("dpo", hparams, policy, data.train)
    for start in range(0, len(data.train), UNITS):
        bound.parts(data.train[start : start + UNITS])


def material() -> tuple[str, Any, list[Pair]]:
    """Published dialogues and a published tokenizer where somebody put some; else the demo and one trained on it."""
    beside = Path(os.environ.get("WORKBENCH_REALDATA", ROOT.parent / "shared" / "realdata"))
    dialogues, published = beside / "hh-rlhf" / "harmless-base.test.jsonl", beside / "tokenizers" / "qwen2.5"
    if dialogues.exists() and published.exists():
        found = [json.loads(text) for text in dialogues.read_text().splitlines()]
        return "qwen2.5", AutoTokenizer.from_pretrained(published), [split(d["chosen"], d["rejected"]) for d in found]
    lines = (ROOT / "data" / "demo" / "prompts.jsonl").read_text().splitlines()
    pairs = [(f"{i} {a} ", b, a) for i, (a, b) in enumerate(pairwise(lines))]
    return "trained here", trained(lines), pairs


def split(chosen: str, rejected: str) -> Pair:
    """Prompt, and what each side says in the last turn."""
    prompt, turn, last = chosen.rpartition(TURN)
    return prompt + turn, last, rejected.rpartition(TURN)[2]


def trained(lines: list[str]) -> PreTrainedTokenizerFast:
    inner = ByteLevelBPETokenizer()
    inner.train_from_iterator(lines, vocab_size=VOCABULARY, special_tokens=["</s>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=inner._tokenizer, eos_token="</s>", pad_token="</s>")
