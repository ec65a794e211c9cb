"""Two models against each other: blind pairs from their answers, votes to a tally."""

from collections import defaultdict
from collections.abc import Iterable

from workbench.evaluation.ratings import Tally
from workbench.schema import Candidate, Item, Message, make_item, split_of
from workbench.store import items, judgements
from workbench.store.db import Store
from workbench.store.projects import Project


def held_out_prompts(store: Store, project: Project) -> list[Item]:
    """One item per distinct prompt of the test split, in an order that does not depend on when it was added."""
    found = {}
    for item in items.many(store, [row.id for row in items.iter_ids(store, project.id)]).values():
        if split_of(item.group_id, project.eval_share) == "test" and item.prompt and not item.origin.get("compare"):
            found.setdefault((item.group_id, item.prompt), item)
    return sorted(found.values(), key=lambda item: (item.group_id, item.key))


def pair(
    project: int, prompt: tuple[Message, ...], answers: dict[str, str], *, form: str = "chat", **origin: object
) -> Item | None:
    """The answers of two models to one prompt as an item for a blind vote; None when both said the same.

    answers     model name -> text, two entries
    origin      `set` names the prompt set; a prompt typed by hand has none and may be trained on
    """
    candidates = tuple(Candidate((Message("assistant", text),), source=name) for name, text in answers.items())
    item = make_item(project, prompt, candidates, form=form, origin={"compare": sorted(answers), **origin})
    return item if len(item.candidates) == 2 else None


def tallies(store: Store, project: int) -> dict[tuple[str, str], Tally]:
    """Votes of purpose `compare`, by the pair of models in alphabetical order; wins are those of the first."""
    votes = judgements.current(store, project, purposes=("compare",))
    shown = items.many(store, [vote["item"] for vote in votes])
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for vote in votes:
        item = shown[vote["item"]]
        if models := item.origin.get("compare"):  # absent where these very answers had come in before, from others
            counts[tuple(models)][outcome(item, vote["payload"]["choice"])] += 1
    return {models: Tally(**found) for models, found in counts.items()}


def outcome(item: Item, choice: int | str) -> str:
    """What a vote means for the alphabetically first of the two models."""
    if choice == "tie":
        return "ties"
    if choice == "both_bad":
        return "both_bad"
    return "wins" if item.candidates[choice].source == item.origin["compare"][0] else "losses"


def texts(events: Iterable[dict]) -> dict[tuple[str, int], dict[str, str]]:
    """Finished answers by (prompt id, sample) and model, out of the generator's events."""
    found: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for event in events:
        if event.get("done"):
            found[event["prompt"], event["sample"]][event["model"]] = event["text"]
    return found
