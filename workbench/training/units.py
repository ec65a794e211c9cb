"""From snapshot rows to the units of a method: what is compared, how sure the label is, what was dropped and why.

Leaves out tokens (`data`) and arithmetic (`objectives`).
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import EngineError
from workbench.training.cache import TokenCache, replacing
from workbench.training.data import (
    Dropped,
    Encoded,
    Ids,
    Line,
    Row,
    Stops,
    blank,
    check_vocabulary,
    encode,
    fit,
    fitting_length,
)
from workbench.training.knobs import Preference, Training
from workbench.training.methods import METHODS

MOST_DROPPED = 0.2
CERTAIN = 0.99  # soft targets stay within [0.5, 0.99]
MARGINS = {"none": 0.0, "small": 1 / 3, "large": 1.0}
ANSWERS = {"demonstrations": ("completion",), "pairs": ("chosen", "rejected"), "thumbs": ("completion",)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of the answers of a unit, which two are compared. `p` and `margin` as in `losses`."""

    better: int
    worse: int
    p: float = 1.0
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Unit:
    """What one loss value is computed from: one answer, chosen and rejected, or all answers of a ranking.

    ref      reference log-probs of the answers
    ranked   the comparisons of a ranking; a pair has one, made of its own `p` and `margin`
    """

    id: str
    group: str
    lines: tuple[Line, ...]
    p: float = 1.0
    margin: float = 0.0
    weight: float = 1.0
    partner: Line | None = None
    ref: tuple[float, ...] = ()
    partner_ref: float = 0.0
    ranked: tuple[Comparison, ...] = ()

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return self.ranked or (Comparison(0, 1, self.p, self.margin),)

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


def prepare(
    method: str,
    hparams: Training,
    rows: list[dict[str, Any]],
    tokenizer: Any,
    stop: Stops,
    *,
    limit: int,
    out: Path,
    vocabulary: int | None = None,
    cache: TokenCache | None = None,
) -> Prepared:
    """Units of both splits. Dropped rows go to out/dropped.jsonl; too many of them is an error.

    limit, vocabulary   most tokens the model reads at once, and how many it knows
    """
    if hparams.max_length > limit:
        raise EngineError(f"max_length = {hparams.max_length}: this model reads at most {limit} tokens")
    rows = [placed(row, hparams.empty) if "tiers" in row else row for row in rows]
    _soft(rows, hparams)
    texts = [Row(str(r["id"]), r["form"], r["prompt"], _answers(r, METHODS[method].data)) for r in rows]
    encoded = _encoded(tokenizer, texts, stop, hparams.empty, cache)
    fine = [e for e in encoded if isinstance(e, Encoded)]
    if vocabulary:
        check_vocabulary(fine, vocabulary)
    most = hparams.max_length or fitting_length(fine, limit)
    made: dict[str, list[Unit]] = {"train": [], "test": []}
    lost: list[dict[str, Any]] = []
    cut = 0
    for facts, text, e in zip(rows, texts, encoded, strict=True):
        try:
            unit = _unit(facts, text.id, fit(e, text, most, hparams.truncation, tokenizer, stop), hparams, method)
            made[facts["split"]].append(unit)
            cut += e.length > most == unit.longest
        except Dropped as reason:
            lengths = [e.length] if isinstance(e, Encoded) else []
            lost.append({"id": text.id, "reason": reason.args[0], "lengths": lengths, "split": facts["split"]})
    with replacing(out / "dropped.jsonl") as part:  # everyone of a team writes the same
        part.write_text("".join(json.dumps(line) + "\n" for line in lost))
    faults = Counter(line["reason"] for line in lost if line["split"] == "train" and line["reason"] != "tie")
    _enough(made["train"], faults, hparams, method)
    scale = margin_scale(hparams, made["train"])
    made = {split: _weighed(units, scale) for split, units in made.items()}
    if method == "kto":
        made = {split: _partnered(units, hparams, most, needed=split == "train") for split, units in made.items()}
    kept = {u.id for u in made["test"] or made["train"]}
    prompts = [t for t in texts if t.id in kept]
    dropped = Counter(line["reason"] for line in lost)
    return Prepared(made["train"], made["test"], prompts, most, dropped, cut, sum(e.shifted for e in fine))


def placed(row: dict[str, Any], empty: str) -> dict[str, Any]:
    """A ranking with its answers best first; those that nobody placed, and blank ones to be dropped, are left out."""
    found = [(place, row["candidates"][i]) for place, tier in enumerate(row["tiers"]) for i in tier]
    found = [(place, answer) for place, answer in found if not (empty == "drop" and blank(answer))]
    return row | {"places": [place for place, _ in found], "answers": tuple(answer for _, answer in found)}


def _answers(row: dict[str, Any], data: str) -> tuple[Any, ...]:
    return row["answers"] if "answers" in row else tuple(row[name] for name in ANSWERS[data])


def _encoded(
    tokenizer: Any, texts: list[Row], stop: Stops, empty: str, cache: TokenCache | None
) -> list[Encoded | Dropped]:
    """Token ids of the rows, from an earlier run where there was one."""
    if cache and (known := cache.read(len(texts))) is not None:
        return known
    made = encode(tokenizer, texts, stop, empty=empty)
    if cache:
        cache.write(made)
    return made


def _unit(facts: dict[str, Any], id: str, encoded: Encoded, hparams: Training, method: str) -> Unit:
    data = METHODS[method].data
    if facts.get("tie") and getattr(hparams, "ties", "drop") == "drop":
        raise Dropped("tie")
    if data == "pairs" and "places" not in facts and _same(*encoded.answers):
        raise Dropped("identical_pair")
    whole = getattr(hparams, "loss_on", "") == "all" or getattr(hparams, "nll_scope", "") == "sequence"
    lines = tuple(Line.of(encoded.prompt, a, whole=whole and not i) for i, a in enumerate(encoded.answers))
    if "places" in facts:
        ranked = _comparisons(facts, encoded, hparams)
        return Unit(id, facts["group_id"], lines, weight=facts["weight"], ranked=ranked)
    return Unit(
        id=id,
        group=facts["group_id"],
        lines=lines,
        p=_certainty(facts, hparams, data),
        margin=facts.get("strength") or 0.0,
        weight=facts["weight"],
    )


def _same(a: Ids, b: Ids) -> bool:
    return len(a) == len(b) and a.tobytes() == b.tobytes()  # np.array_equal takes ten times as long


def _comparisons(facts: dict[str, Any], encoded: Encoded, hparams: Training) -> tuple[Comparison, ...]:
    """Every two answers of different tiers; of one tier too, where ties are to be pulled together."""
    places, answers = facts["places"], facts["answers"]
    if len(places) < 2:
        raise Dropped("one_answer")
    wanted = [(i, j) for i, j in combinations(range(len(places)), 2) if places[i] < places[j] or hparams.ties == "half"]
    if not wanted:
        raise Dropped("tie")
    made = []
    for i, j in wanted:
        if _same(encoded.answers[i], encoded.answers[j]):
            continue
        pair = facts["pairs"].get((str(answers[i]), str(answers[j])), {}) | {"tie": places[i] == places[j]}
        made.append(Comparison(i, j, _certainty(pair, hparams, "pairs"), pair.get("strength") or 0.0))
    if not made:
        raise Dropped("identical_pair")
    return tuple(made)


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
    share = facts.get(f"p_{targets}")
    return 1.0 if share is None else min(max(share, 0.5), CERTAIN)


def _soft(rows: Sequence[dict[str, Any]], hparams: Training) -> None:
    """Refuse soft targets where no row has one; where some have, the others are taken for certain."""
    name = f"p_{getattr(hparams, 'targets', 'hard')}"
    told = (facts for row in rows for facts in (row, *row.get("pairs", {}).values()))
    if isinstance(hparams, Preference) and name != "p_hard" and all(facts.get(name) is None for facts in told):
        raise EngineError(
            f"targets = {name[2:]}: this snapshot has no {name}; label items twice, or use targets = hard"
        )


def _enough(units: Sequence[Unit], faults: Counter[str], hparams: Training, method: str) -> None:
    """Refuse to train on the rest when much was unusable. Ties are labels, not faults, and do not count."""
    left = len(units)
    kinds = {u.p > 0.5 for u in units}
    if method == "kto" and len(kinds) == 1 and "D08" not in hparams.allow:
        raise EngineError(
            f"KTO needs good and bad answers: all {left} training rows are {'good' if True in kinds else 'bad'}; "
            "label some of the other kind, or set allow = D08"
        )
    lost, reasons = faults.total(), ", ".join(f"{n} {reason}" for reason, n in faults.most_common())
    if not left:
        raise EngineError(f"no training row can be used ({reasons or 'all are ties'}): fix the data or label more")
    if "D06" in hparams.allow:
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

    def scaled(x: Unit | Comparison) -> float:
        return 0.0 if x.p == 0.5 else x.margin * scale

    def weighed(u: Unit) -> Unit:
        ranked = tuple(Comparison(c.better, c.worse, c.p, scaled(c)) for c in u.ranked)
        return Unit(u.id, u.group, u.lines, u.p, scaled(u), u.weight * len(units) / total, ranked=ranked)

    return [weighed(u) for u in units]


def margin_scale(hparams: Training, units: Sequence[Unit]) -> float:
    """How a strength of 1 to 3 becomes a margin; `auto` is a third of it once half of the pairs carry one."""
    choice = getattr(hparams, "margin_map", "none")
    if choice == "auto":
        pairs = [c for u in units for c in u.comparisons]
        choice = "small" if sum(c.margin > 0 for c in pairs) >= len(pairs) / 2 else "none"
    return MARGINS[choice]


def _partnered(units: list[Unit], hparams: Training, limit: int, *, needed: bool) -> list[Unit]:
    """Give each row the next answer, in the order of the first epoch, that belongs to another prompt."""
    if len({u.group for u in units}) < 2:
        if needed:
            raise EngineError("KTO needs rows of at least two prompts: its reference point compares across prompts")
        return []
    line = order(units, hparams.seed, 0, balanced=True)
    others = next_other([units[i].group for i in line])
    partners: dict[int, Line] = {}
    for i, other in zip(line, others, strict=True):
        prompt, answer = units[i].lines[0].prompt, units[line[other]].lines[0].answer
        partners[i] = Line.of(prompt, answer[: limit - len(prompt)])
    return [replace(u, partner=partners[i]) for i, u in enumerate(units)]


def next_other(groups: Sequence[str]) -> list[int]:
    """For each place of a circle the next one of another group; there are at least two groups."""
    size, found = len(groups), list(range(len(groups)))
    for place in [*range(size)][::-1] * 2:  # the second round knows what lies beyond the end
        after = (place + 1) % size
        found[place] = found[after] if groups[after] == groups[place] else after
    return found


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
