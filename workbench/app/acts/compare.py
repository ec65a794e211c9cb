"""Acts that let models answer: new candidates to label, two models side by side, held-out comparisons."""

import secrets
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import Conflict, EngineError, NotFound, UsageError
from workbench.evaluation import comparison
from workbench.evaluation.ratings import win_rate
from workbench.formats.batch import cut
from workbench.formats.render import rendered_by_child
from workbench.generation.request import Sampling
from workbench.jobs import models as folders
from workbench.schema import Candidate, Item, Judgement, Message, split_of
from workbench.store import items
from workbench.store.db import uid

ON_SCREEN = 100
USUAL = Sampling()
Choice = Literal[0, 1, "tie", "both_bad"]


@act("lead")
def generate(
    house: House,
    actor: str,
    *,
    project: int | str,
    models: list[str] = Field(min_length=1, max_length=4),
    per_prompt: int = Field(2, ge=1, le=9),
    prompts: int | None = Field(None, ge=1),
    sampling: Sampling = USUAL,
) -> dict[str, Any]:
    """Let models answer the project's prompts: those still without answers, else all of its training prompts."""
    found = house.project(project)
    stored = items.many(house.store, [row.id for row in items.iter_ids(house.store, found.id)]).values()
    asking = [i for i in stored if i.prompt and not i.origin.get("compare")]
    train = [i for i in asking if split_of(i.group_id, found.eval_share) == "train"]
    waiting = [i for i in train if not i.candidates] or train
    asked = some(list({(i.form, i.prompt): i for i in waiting}.values()), prompts, sampling.seed)
    answers = _answers(house, models, asked, sampling.model_copy(update={"n": per_prompt}))
    new: list[Item] = []
    for item, found_answers in zip(asked, answers, strict=True):
        candidates = tuple(
            Candidate((Message("assistant", text),), source=model, gen=sampling.model_dump())
            for sample in found_answers
            for model, text in sample.items()
            if text.strip()
        )
        new += cut(found.id, item.prompt, candidates, found.tasks, form=item.form, lang=item.lang, tags=item.tags)
    ids = items.add(house.store, actor, rendered_by_child(new), file=f"answers of {', '.join(models)}")
    house.queue.refresh(found.id)
    return {"items": len(ids), "prompts": len(asked)}


def some(items: list[Item], n: int | None, seed: int) -> list[Item]:
    """At most n of them: with seed 0 the first, with every further seed the next."""
    if n is None or n >= len(items):
        return items
    first = seed * n % len(items)
    return (items[first:] + items[:first])[:n]


@act("lead")
def compare_ask(
    house: House,
    actor: str,
    *,
    project: int | str,
    prompt: str = Field(min_length=1, max_length=20_000),
    models: list[str] = Field(min_length=2, max_length=2),
    sampling: Sampling = USUAL,
) -> dict[str, Any]:
    """Ask two models the same; which one stands left is drawn here and told only after the vote."""
    found, shown = house.project(project), _different(models)
    secrets.SystemRandom().shuffle(shown)
    message = Message("user", prompt)
    request = house.generator.ask(
        [folders.get(house.home, name) for name in shown],
        [{"id": "0", "messages": [{"role": "user", "content": prompt}], "form": "chat"}],
        sampling.model_dump(),
    )
    while len(house.asked) >= ON_SCREEN:
        house.asked.pop(next(iter(house.asked)))
    house.asked[request] = {"project": found.id, "prompt": message, "models": shown, "actor": actor, "texts": ["", ""]}
    return {"request": request}


def compare_events(house: House, actor: str, request: str) -> Iterator[list[str]]:
    """The two answers as far as they are, left first; ends when both are whole."""
    asked = _asked(house, actor, request)
    for event in house.generator.events(request):
        if event.get("error"):
            raise EngineError(event["error"])
        if "text" in event:
            asked["texts"][_side(asked, event["model"])] = event["text"]
            yield list(asked["texts"])
    asked["whole"] = True


@act("lead")
def compare_vote(
    house: House, actor: str, *, request: str, choice: Choice, strength: float | None = Field(None, gt=0, le=3)
) -> dict[str, Any]:
    """Store a blind vote on a typed prompt (0 is the left answer) and say who was who."""
    asked = _asked(house, actor, request)
    if not asked.get("whole"):
        raise UsageError("the answers are not whole yet: wait for both, then vote")
    texts = dict(zip(asked["models"], asked["texts"], strict=True))
    if not all(text.strip() for text in texts.values()):
        raise UsageError("an empty answer cannot be voted on: ask something else")
    item = comparison.pair(asked["project"], (asked["prompt"],), texts, typed=True) if len(texts) == 2 else None
    if item is None:
        raise UsageError("both answers are the same: there is nothing to choose between")
    if house.asked.pop(request, None) is None:
        raise Conflict("this comparison has its vote already: ask again")
    [number] = items.add(house.store, actor, [item], file="typed prompt")
    index = [next(i for i, c in enumerate(item.candidates) if c.source == name) for name in asked["models"]]
    picked = index[choice] if choice in (0, 1) else choice
    payload = {"choice": picked, "strength": strength if choice in (0, 1) else None}
    vote = Judgement(uid(), number, actor, "pair", payload, purpose="compare", shown_order=tuple(index))
    [seq] = house.store.append(vote)
    house.queue.refresh(asked["project"])
    return {"ack": str(vote.uid), "seq": seq, "reveal": asked["models"]}


@act("lead")
def compare_set(
    house: House,
    actor: str,
    *,
    project: int | str,
    models: list[str] = Field(min_length=2, max_length=2),
    prompts: int | None = Field(None, ge=1),
    sampling: Sampling = USUAL,
) -> dict[str, Any]:
    """Both models answer the held-out prompts; the pairs enter the label queue blind."""
    found, models = house.project(project), _different(models)
    asked = comparison.held_out_prompts(house.store, found)[:prompts]
    if not asked:
        raise UsageError(
            f"project {found.name} has no held-out prompts: import more prompts, about one in ten is held out"
        )
    answers = _answers(house, models, asked, sampling)
    new = [
        comparison.pair(found.id, item.prompt, sample, form=item.form, set="held-out")
        for item, samples in zip(asked, answers, strict=True)
        for sample in samples
        if all(text.strip() for text in sample.values())
    ]
    different = [item for item in new if item]
    ids = items.add(house.store, actor, rendered_by_child(different), file=f"{models[0]} against {models[1]}")
    house.queue.refresh(found.id)
    return {"items": len(ids), "same": len(new) - len(different), "prompts": len(asked)}


@act("lead")
def compare_results(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """Win rates of the first model over decided blind votes, with 95 % intervals."""
    found = comparison.tallies(house.store, house.project(project).id)
    results = []
    for (a, b), tally in sorted(found.items()):
        rate, low, high = win_rate(tally) or (None, None, None)
        results.append({"a": a, "b": b, **vars(tally), "win_rate": rate, "low": low, "high": high})
    return {"results": results}


def _answers(house: House, names: list[str], asked: list[Item], sampling: Sampling) -> list[list[dict[str, str]]]:
    """For each item its samples, each a dict from model to text."""
    prompts = [
        {"id": str(i), "messages": [{"role": m.role, "content": m.content} for m in item.prompt], "form": item.form}
        for i, item in enumerate(asked)
    ]
    request = house.generator.ask([folders.get(house.home, n) for n in names], prompts, sampling.model_dump())
    events = list(house.generator.events(request))
    if error := next((e["error"] for e in events if e.get("error")), None):
        raise EngineError(error)
    found = comparison.texts(events)
    return [[found[str(i), k] for k in range(sampling.n)] for i in range(len(asked))]


def _different(models: list[str]) -> list[str]:
    if models[0] == models[1]:
        raise UsageError(f"{models[0]} against itself says nothing: choose two different models")
    return list(models)


def _asked(house: House, actor: str, request: str) -> dict[str, Any]:
    asked = house.asked.get(request)
    if asked is None or asked["actor"] != actor:
        raise NotFound("this comparison is over or was lost in a restart: ask again")
    return asked


def _side(asked: dict[str, Any], model: str) -> int:
    return asked["models"].index(model)
