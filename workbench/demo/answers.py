"""What a demo model says: measured by style and topic, and kept as the prompts and candidates of the demo project.

python -m workbench.demo.answers --model data/demo/model [--out data/demo/prompts.jsonl]

Leaves out training it (`train`) and judging an answer (`judge`).
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from workbench.demo.corpus import Intent, intents, seeded
from workbench.demo.judge import clean, on_topic, style
from workbench.generation.loading import Shelf
from workbench.generation.request import Request
from workbench.generation.sampler import answer

ENGLISH, CHINESE, SUMS = 160, 80, 0.09  # prompts by language, and the share of them that are sums
DRAWN = 6
KEPT = (2, 2, 2, 2, 2, 3, 2, 4)  # candidates of one prompt after another
MEASURED = 200


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a demo model and draw the demo project's candidates.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    for temperature in (0.7, 0.8, 1.0):
        print(f"T {temperature}", json.dumps(measured(chosen.model, temperature)))
    if chosen.out:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in candidates(chosen.model)]
        chosen.out.write_text("".join(lines), encoding="utf-8")
        print(f"{len(lines)} prompts in {chosen.out}")


def ask(model: Path, prompts: Sequence[str], *, n: int = 1, temperature: float = 0.8, seed: int = 0) -> list[list[str]]:
    """For each prompt its n answers."""
    asked = [{"id": str(i), "messages": [{"role": "user", "content": text}]} for i, text in enumerate(prompts)]
    sampling = {"temperature": temperature, "n": n, "seed": seed}
    models = [{"name": "demo-tiny", "path": model}]
    request = Request.model_validate({"id": "demo", "models": models, "prompts": asked, "sampling": sampling})
    done = {(e["prompt"], e["sample"]): e["text"] for step in answer(Shelf(), request) for e in step if e["done"]}
    return [[done[str(i), k] for k in range(n)] for i in range(len(prompts))]


def measured(model: Path, temperature: float, n: int = MEASURED, seed: int = 0) -> dict[str, float]:
    """Shares of styles, of answers about what was asked, and of answers that are word for word from the templates."""
    rng = seeded(seed)
    prompts = [rng.choice(intent.prompts) for intent in rng.choices(intents(), k=n)]
    said = [texts[0] for texts in ask(model, prompts, temperature=temperature, seed=seed)]
    styles = Counter(map(style, said))
    pairs = list(zip(prompts, said, strict=True))
    shares = {name: styles[name] for name in ("friendly", "formal", "evasive", "other")}
    shares |= {"topic": sum(on_topic(*pair) for pair in pairs), "clean": sum(clean(*pair) for pair in pairs)}
    return {name: round(hits / n, 3) for name, hits in shares.items()}


def candidates(model: Path, seed: int = 0) -> Iterator[dict[str, Any]]:
    """One prompt per topic, each with two to four answers, a friendly one and one that is not among them."""
    rng = seeded(seed)
    found = [*chosen_intents("en", ENGLISH, rng), *chosen_intents("zh", CHINESE, rng)]
    prompts = [rng.choice(intent.prompts) for intent in found]
    kept = [KEPT[i % len(KEPT)] for i in range(len(found))]
    for intent, prompt, texts in zip(found, prompts, mixed(model, prompts, kept), strict=True):
        answers = [{"model": "demo-tiny", "text": text} for text in texts]
        yield {"prompt": prompt, "candidates": answers, "lang": intent.lang, "topic": intent.category}


def chosen_intents(lang: str, n: int, rng: random.Random) -> list[Intent]:
    sums = round(n * SUMS)
    topics = [i for i in intents() if i.lang == lang and i.category != "sum"]
    numbers = [i for i in intents() if i.lang == lang and i.category == "sum"]
    return rng.sample(topics, n - sums) + rng.sample(numbers, sums)


def mixed(model: Path, prompts: list[str], kept: list[int]) -> list[list[str]]:
    """Answers at temperature 1, drawn again for the prompts that did not get what `pick` wants."""
    found: dict[str, list[str]] = {}
    for seed in count():
        missing = [(prompt, k) for prompt, k in zip(prompts, kept, strict=True) if prompt not in found]
        if not missing:
            return [found[prompt] for prompt in prompts]
        drawn = ask(model, [prompt for prompt, _ in missing], n=DRAWN, temperature=1.0, seed=seed)
        for (prompt, k), texts in zip(missing, drawn, strict=True):
            if picked := pick(texts, k):
                found[prompt] = picked
    raise AssertionError


def pick(texts: list[str], k: int) -> list[str] | None:
    """k different answers in the order drawn, both friendly ones and others; None when there are not."""
    texts = list(dict.fromkeys(texts))
    friendly = [style(text) == "friendly" for text in texts]
    if len(texts) < k or len(set(friendly)) == 1:
        return None
    needed = {friendly.index(True), friendly.index(False)}
    rest = [i for i in range(len(texts)) if i not in needed][: k - 2]
    return [texts[i] for i in sorted(needed | set(rest))]


if __name__ == "__main__":
    main()
