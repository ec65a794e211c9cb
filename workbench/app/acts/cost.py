"""What a run would cost, before it starts: steps, memory, time. Leaves out starting it.

Tokens are estimated from a sample of the texts that have answers, time from the newest finished run of a like model.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from workbench.app.house import House
from workbench.errors import EngineError, NotFound
from workbench.jobs import machine, models
from workbench.jobs.folder import read_json
from workbench.jobs.models import Model
from workbench.schema import Item, Message
from workbench.store import items
from workbench.training import budget
from workbench.training.budget import RowPlan, Shape
from workbench.training.methods import Method

BYTES_PER_TOKEN = 3.5  # of UTF-8, so that it holds for Chinese too; common tokenizers take 3 to 4.5
SAMPLE = 500  # items whose texts are measured
LONGEST = 2048  # tokens of a row where max_length is left to the data
ALIKE = 2.0  # models whose sizes differ by no more than this factor train about as fast
CHILD = 500 << 20  # of RAM: Python with torch and transformers, before any model


@dataclass(frozen=True)
class Texts:
    """Mean tokens of a prompt and of an answer, and tokens that 99 of 100 prompts with their longest answer need.

    compared   mean number of answers where there is more than one
    """

    prompt: float
    answer: float
    longest: int
    compared: float


def cost(
    house: House, entry: Method, base: Model, values: dict[str, Any], numbers: Sequence[int], units: int
) -> dict[str, Any]:
    """Steps exactly; bytes and seconds estimated, None where nobody can know; `fits`: into what this machine has.

    values    the hyper-parameters, all of them
    numbers   of the items that have answers, judged or not; where answers are drawn, of all
    units     how many of the method's rows lie on the training side
    """
    steps = steps_of(entry, values, units)
    told = {"steps": steps, "memory": None, "seconds": None, "fits": True}
    told |= {"tuning": values["tuning"], "machine": machine.memory().total}
    texts = to_answer(house, numbers, values["max_new_tokens"]) if entry.draws else measured(house, numbers)
    if texts is None:
        return told
    answers = texts.compared if entry.name == "rm" else 2 if entry.data == "pairs" else 1
    told |= memory(entry, base, values, texts, answers)
    speed = median_of(house, base, values["tuning"], answers_per_second if entry.draws else tokens_per_second)
    if not speed:
        return told
    if entry.draws:
        return told | {"seconds": steps * values["rollout_batch"] / speed}
    rows = min(steps * values["units_per_step"], units * values["epochs"])
    return told | {"seconds": rows * answers * (texts.prompt + texts.answer) / speed}


def steps_of(entry: Method, values: dict[str, Any], units: int) -> int:
    """Optimiser steps; of a method that draws its answers, rollouts."""
    if entry.draws:
        return entry.hparams(**values).steps(units)
    steps = math.ceil(units / values["units_per_step"]) * values["epochs"]
    return min(steps, values["max_steps"] or steps)


def measured(house: House, answered: Sequence[int]) -> Texts | None:
    """From items evenly spread over these."""
    found = [item for item in spread(house, answered) if item.candidates]
    if not found:
        return None
    return Texts(
        prompt=fmean(tokens(i.prompt) for i in found),
        answer=fmean(mean_answer(i) for i in found),
        longest=nearly_longest(tokens(i.prompt) + max(tokens(c.messages) for c in i.candidates) for i in found),
        compared=fmean([n for i in found if (n := len(i.candidates)) > 1] or [2]),
    )


def to_answer(house: House, numbers: Sequence[int], longest: int) -> Texts | None:
    """The same of prompts, each with an answer as long as it may be."""
    found = spread(house, numbers)
    if not found:
        return None
    asked = [tokens(i.prompt) for i in found]
    return Texts(fmean(asked), longest, nearly_longest(n + longest for n in asked), 1)


def spread(house: House, numbers: Sequence[int]) -> list[Item]:
    """At most `SAMPLE` items, evenly spread over these."""
    chosen = numbers[:: math.ceil(len(numbers) / SAMPLE)] if numbers else []
    return list(items.many(house.store, chosen).values())


def nearly_longest(lengths: Iterable[float]) -> int:
    """What 99 of 100 need."""
    ordered = sorted(lengths)
    return math.ceil(ordered[math.ceil(0.99 * len(ordered)) - 1])


def tokens(messages: Sequence[Message]) -> float:
    return sum(len(m.content.encode()) for m in messages) / BYTES_PER_TOKEN


def mean_answer(item: Item) -> float:
    return fmean(tokens(c.messages) for c in item.candidates)


def memory(entry: Method, base: Model, values: dict[str, Any], texts: Texts, answers: float) -> dict[str, Any]:
    """Bytes of weights, state and one row as the planner cuts it; of the least row when even that does not fit."""
    try:
        shape = shape_of(base)
    except EngineError:
        return {}
    has = machine.memory()
    line = min(texts.longest, values["max_length"] or LONGEST)
    group = math.ceil(line + (answers - 1) * max(1.0, line - texts.prompt))
    of_step = math.ceil(values[entry.batch] * (texts.prompt + answers * texts.answer))
    narrow = has.on_gpu and values["precision"] != "float32"
    how = {"tuning": values["tuning"], "element": 2 if narrow else 4, "on_gpu": has.on_gpu}
    state = budget.state_bytes(shape, values["tuning"], values["lora_r"], element=how["element"])
    state += 0 if has.on_gpu else CHILD
    if entry.draws:  # a value model learns too; weights of its own have also the reference and the reward model
        state += state + 2 * how["element"] * base.parameters if values["tuning"] == "full" else 0
    if entry.name == "rm":
        shape = replace(shape, vocabulary=1)  # a row ends in one score, not in a word
    room = budget.room_of(has.total, on_gpu=has.on_gpu) - state
    try:
        plan, fits = budget.plan_rows(shape, room=room, longest=group, step_tokens=of_step, **how), True
    except EngineError:
        plan, fits = RowPlan(group, shape.layers), False
    row = budget.row_bytes(shape, replace(plan, tokens=min(plan.tokens, max(of_step, group))), longest=group, **how)
    return {"memory": state + row, "fits": fits}


def shape_of(base: Model) -> Shape:
    config = read_json(Path(base.base_path or base.path) / "config.json") or {}
    return budget.shape_of(config, base.parameters)


def median_of(house: House, base: Model, tuning: str, rate: Callable[[dict[str, Any]], float | None]) -> float | None:
    """A rate of the newest finished run that trained a model of about this size in this way; None: there is none."""
    sizes = {m.name: m.parameters for m in models.all(house.home)}
    for number in reversed(house.runs.numbers()):
        try:
            config, status = house.runs.config(number), house.runs.status(number)
        except (NotFound, ValueError):
            continue  # a broken run says nothing about this one
        size = sizes.get(config.model, 0)
        alike = base.parameters / ALIKE <= size <= base.parameters * ALIKE
        if status["state"] != "done" or config.hparams.get("tuning") != tuning or not alike:
            continue
        if rates := [found for line in house.runs.metrics(number) if (found := rate(line))]:
            return median(rates)
    return None


def tokens_per_second(line: dict[str, Any]) -> float | None:
    return line.get("tokens_per_second")


def answers_per_second(line: dict[str, Any]) -> float | None:
    """Drawn, scored and learnt from, by a line of metrics of PPO."""
    drawn = line.get("rollout_tokens_per_second")
    return drawn * line["time/rollout"] / line["objective/length"] if drawn else None
