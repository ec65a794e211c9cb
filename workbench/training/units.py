"""From snapshot rows to the units of a method: what is compared, how sure the label is, what was dropped and why.

Leaves out tokens (`data`) and arithmetic (`objectives`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from workbench.errors import EngineError
from workbench.training.data import Dropped, Encoded, Line, Row, Stops, encode, fit, fitting_length
from workbench.training.methods import METHODS, Training

MOST_DROPPED = 0.2
CERTAIN = 0.99  # soft targets stay within [0.5, 0.99]
MARGINS = {"none": 0.0, "small": 1 / 3, "large": 1.0}
ANSWERS = {"demonstrations": ("completion",), "pairs": ("chosen", "rejected"), "thumbs": ("completion",)}


@dataclass(frozen=True)
class Unit:
    """What one loss value is computed from: one answer, or chosen and rejected. `ref` are reference log-probs."""

    id: str
    group: str
    lines: tuple[Line, ...]
    p: float = 1.0
    margin: float = 0.0
    weight: float = 1.0
    partner: Line | None = None
    ref: tuple[float, ...] = ()
    partner_ref: float = 0.0

    @property
    def longest(self) -> int:
        return max(map(len, self.lines))


@dataclass(frozen=True)
class Prepared:
    """All units of a run, and what a person should know about how they were made."""

    train: list[Unit]
    test: list[Unit]
    prompts: list[Row]
    max_length: int
    dropped: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    shifted: int = 0


def read(snapshot: Path, data: str) -> list[dict[str, Any]]:
    path = snapshot / f"{data}.parquet"
    if not path.exists():
        raise EngineError(f"snapshot {snapshot.name} has no {data}: label some, or choose another method")
    return pq.read_table(path).to_pylist()


def prepare(
    method: str, hparams: Training, rows: list[dict[str, Any]], tokenizer: Any, stop: Stops, *, limit: int, out: Path
) -> Prepared:
    """Units of both splits. Dropped rows go to out/dropped.jsonl; too many of them is an error."""
    if hparams.max_length > limit:
        raise EngineError(f"max_length = {hparams.max_length}: this model reads at most {limit} tokens")
    data = METHODS[method].data
    texts = [Row(str(r["id"]), r["form"], r["prompt"], tuple(r[name] for name in ANSWERS[data])) for r in rows]
    encoded = encode(tokenizer, texts, stop, empty=hparams.empty)
    fine = [e for e in encoded if isinstance(e, Encoded)]
    most = hparams.max_length or fitting_length(fine, limit)
    made: dict[str, list[Unit]] = {"train": [], "test": []}
    lost: list[dict[str, Any]] = []
    cut = 0
    for facts, text, e in zip(rows, texts, encoded, strict=True):
        try:
            unit = _unit(facts, text.id, fit(e, text, most, hparams.truncation, tokenizer, stop), hparams, data)
            made[facts["split"]].append(unit)
            cut += unit.longest == most < e.length
        except Dropped as reason:
            lengths = [e.length] if isinstance(e, Encoded) else []
            lost.append({"id": text.id, "reason": reason.args[0], "lengths": lengths, "split": facts["split"]})
    (out / "dropped.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lost))
    dropped = Counter(line["reason"] for line in lost)
    faults = Counter(line["reason"] for line in lost if line["split"] == "train" and line["reason"] != "tie")
    _enough(len(made["train"]), faults, hparams)
    scale = margin_scale(hparams, made["train"])
    made = {split: _weighed(units, scale) for split, units in made.items()}
    if method == "kto":
        made = {split: _partnered(units, hparams, most, needed=split == "train") for split, units in made.items()}
    kept = {u.id for u in made["test"] or made["train"]}
    prompts = [t for t in texts if t.id in kept]
    return Prepared(made["train"], made["test"], prompts, most, dropped, cut, sum(e.shifted for e in fine))


def _unit(facts: dict[str, Any], id: str, encoded: Encoded, hparams: Training, data: str) -> Unit:
    if facts.get("tie") and getattr(hparams, "ties", "drop") == "drop":
        raise Dropped("tie")
    if data == "pairs" and np.array_equal(*encoded.answers):
        raise Dropped("identical_pair")
    whole = getattr(hparams, "loss_on", "") == "all" or getattr(hparams, "nll_scope", "") == "sequence"
    return Unit(
        id=id,
        group=facts["group_id"],
        lines=tuple(Line.of(encoded.prompt, a, whole=whole and not i) for i, a in enumerate(encoded.answers)),
        p=_certainty(facts, hparams, data),
        margin=facts.get("strength") or 0.0,
        weight=facts["weight"],
    )


def _certainty(facts: dict[str, Any], hparams: Training, data: str) -> float:
    """The chance that `chosen` is better, or that an answer is good."""
    targets = getattr(hparams, "targets", "hard")
    if data == "thumbs":
        return float(facts["label"]) if targets == "hard" else facts["p"]
    if data != "pairs":
        return 1.0
    if facts["tie"]:
        return 0.5
    if targets == "hard":
        return 1.0 - hparams.label_smoothing
    if (share := facts.get(f"p_{targets}")) is None:
        raise EngineError(
            f"targets = {targets}: this snapshot has no p_{targets}; label items twice, or use targets = hard"
        )
    return min(max(share, 0.5), CERTAIN)


def _enough(left: int, faults: Counter[str], hparams: Training) -> None:
    """Refuse to train on the rest when much was unusable. Ties are labels, not faults, and do not count."""
    lost, reasons = faults.total(), ", ".join(f"{n} {reason}" for reason, n in faults.most_common())
    if "D06" in hparams.allow and left:
        return
    if lost > MOST_DROPPED * (left + lost):
        raise EngineError(
            f"{lost} of {left + lost} training rows cannot be used ({reasons}); "
            "see dropped.jsonl, fix the data or set allow = D06"
        )
    if left < hparams.units_per_step:
        raise EngineError(
            f"{left} training rows are left{f' ({reasons} dropped)' if lost else ''}, one step needs "
            f"{hparams.units_per_step}: label more, or lower units_per_step"
        )


def _weighed(units: list[Unit], scale: float) -> list[Unit]:
    """Weights with mean 1, and margins in the chosen scale; a tie has none."""
    total = sum(u.weight for u in units)
    return [
        replace(u, weight=u.weight * len(units) / total, margin=0.0 if u.p == 0.5 else u.margin * scale) for u in units
    ]


def margin_scale(hparams: Training, units: Sequence[Unit]) -> float:
    """How a strength of 1 to 3 becomes a margin; `auto` is a third of it once half of the pairs carry one."""
    choice = getattr(hparams, "margin_map", "none")
    if choice == "auto":
        choice = "small" if sum(u.margin > 0 for u in units) >= len(units) / 2 else "none"
    return MARGINS[choice]


def _partnered(units: list[Unit], hparams: Training, limit: int, *, needed: bool) -> list[Unit]:
    """Give each row the next answer, in the order of the first epoch, that belongs to another prompt."""
    if len({u.group for u in units}) < 2:
        if needed:
            raise EngineError("KTO needs rows of at least two prompts: its reference point compares across prompts")
        return []
    line = order(units, hparams.seed, 0, balanced=True)
    partners: dict[int, Line] = {}
    for place, i in enumerate(line):
        j = next(j for j in _around(line, place) if units[j].group != units[i].group)
        prompt = units[i].lines[0].prompt
        partners[i] = Line.of(prompt, units[j].lines[0].answer[: limit - len(prompt)])
    return [replace(u, partner=partners[i]) for i, u in enumerate(units)]


def _around(line: list[int], place: int) -> Iterable[int]:
    return (line[(place + k) % len(line)] for k in range(1, len(line)))


def order(units: Sequence[Unit], seed: int, epoch: int, *, balanced: bool = False) -> list[int]:
    """The permutation of an epoch. `balanced` spreads good and bad answers so that any stretch holds its share."""
    shuffled = np.random.default_rng([seed, epoch]).permutation(len(units)).tolist()
    if not balanced:
        return shuffled
    sides = {good: [i for i in shuffled if (units[i].p > 0.5) == good] for good in (True, False)}
    n, share, taken, line = len(units), len(sides[True]), 0, []
    for place in range(1, n + 1):
        good = (2 * place * share + n) // (2 * n) > taken
        taken += good
        line.append(sides[good].pop())
    return line
