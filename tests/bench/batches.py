"""From lengths to the units both engines train on, token for token the same. Leaves out the training (`cell`)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.bench.models import words
from tests.bench.shapes import Group
from workbench.training.data import Line, stops
from workbench.training.knobs import Training
from workbench.training.methods import METHODS
from workbench.training.units import Prepared, Unit, prepare

LONGEST = 4096

# Our knobs where the definition must be made TRL's.
AGREED: dict[str, dict[str, Any]] = {
    "kto": {"kto_weights": "manual"},
    "orpo": {"nll_scope": "sequence"},
    "rm": {"center_coef": 0.0, "margin_map": "none"},
    "simpo": {"beta": 2.0, "gamma_beta_ratio": 0.5},
}


@dataclass(frozen=True)
class Fixed:
    """A plan of given batches, one after the other."""

    batches: list[list[Unit]]

    @property
    def steps(self) -> int:
        return len(self.batches)

    per_epoch = steps

    def at(self, step: int) -> list[Unit]:
        return self.batches[step]


def answers_per_prompt(method: str, k: int) -> int:
    return k if METHODS[method].data == "pairs" else 1


def text_rows(method: str, steps: Sequence[Sequence[Group]], vocabulary: int) -> list[list[dict[str, Any]]]:
    """Snapshot rows of random words for every step; K answers make all their pairs."""
    rng, known = random.Random(0), words(vocabulary)
    said = lambda n: " ".join(rng.choices(known, k=n))  # noqa: E731
    out = []
    for step, groups in enumerate(steps):
        rows = []
        for i, group in enumerate(groups):
            prompt, answers = said(group.prompt) + " ", [said(n - 1) for n in group.answers]  # the last token is EOS
            for j, facts in enumerate(labelled(method, answers, good=i % 2 == 0)):
                name = f"{step}-{i}"
                rows.append(row(f"{name}-{j}", name, prompt) | facts)
        out.append(rows)
    return out


def row(id: str, group: str, prompt: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": prompt}]
    return {"id": id, "group_id": group, "form": "text", "split": "train", "weight": 1.0, "prompt": turns}


def labelled(method: str, answers: list[str], *, good: bool) -> list[dict[str, Any]]:
    """The columns that say which answer is better, or that an answer is good."""
    turns = [[{"role": "assistant", "content": text}] for text in answers]
    if METHODS[method].data == "pairs":
        return [{"chosen": a, "rejected": b, "tie": False, "strength": None} for a, b in combinations(turns, 2)]
    return [{"completion": turns[0], "label": good, "p": float(good)}]


def prepared(
    method: str, hparams: Training, steps: list[list[dict[str, Any]]], tokenizer: Any, out: Path
) -> tuple[Prepared, list[list[Unit]]]:
    """All units, and those of each step; KTO's partners are TRL's."""
    rows = [row for rows in steps for row in rows]
    data = prepare(method, hparams, rows, tokenizer, stops(tokenizer), limit=LONGEST, out=out)
    assert not data.dropped
    units = iter(data.train)
    batches = [[next(units) for _ in rows] for rows in steps]
    if method == "kto":
        batches = [rotated(batch) for batch in batches]
    return replace(data, train=[u for batch in batches for u in batch]), batches


def rotated(batch: Sequence[Unit]) -> list[Unit]:
    """KTO partners as TRL makes them: the answer of the row before, inside each batch."""
    return [
        replace(u, partner=Line.of(u.lines[0].prompt, batch[place - 1].lines[0].answer))
        for place, u in enumerate(batch)
    ]
