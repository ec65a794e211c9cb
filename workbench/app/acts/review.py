"""Acts of a lead on items: what waits, all that was said of one, decisions. Leaves out figures (`quality`)."""

from typing import Any, Literal, get_args

from pydantic import Field

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import NotFound, UsageError
from workbench.labelling import adjudication
from workbench.labelling.submission import checked
from workbench.labelling.views import shown
from workbench.schema import Item, Json, Judgement
from workbench.store import items
from workbench.store.db import uid
from workbench.store.projects import OVERALL, Project

Kind = Literal["disagreement", "conflict", "flag", "held", "gold", "both_bad", "decided"]
AT_ONCE = 500
Axis = Field(OVERALL, max_length=31)
Note = Field("", max_length=2000)


@act("lead")
def review_queue(
    house: House,
    actor: str,
    *,
    project: int | str,
    axis: str = Axis,
    kind: Kind | None = None,
    annotator: str | None = None,
) -> dict[str, Any]:
    """How many items wait, by reason, and the numbers of those of one reason: `kind`, else the first that has some."""
    found = axis_of(house.project(project), axis)
    waiting = adjudication.waiting(house.store, found.id, axis, annotator)
    waiting["held"] = [] if annotator else house.queue.held(found.id, axis)
    kinds = get_args(Kind)
    chosen = kind or next((name for name in kinds[:-1] if waiting[name]), kinds[0])
    return {
        "counts": {name: len(waiting[name]) for name in kinds},
        "kind": chosen,
        "items": waiting[chosen][:AT_ONCE],
        "people": adjudication.people(house.store, found.id),
        "axes": list(found.guidelines),
    }


@act("lead")
def review_item(house: House, actor: str, *, item: int, axis: str = Axis) -> dict[str, Any]:
    """The item as a browser may see it and all that was said of it. Models are named once a lead has decided."""
    found = item_of(house, item, axis)
    order, known = order_of(house, actor, found, axis), adjudication.case(house.store, item, axis)
    mask = house.project(found.project).names == "mask"
    named = known["decision"] is not None
    return {
        "item": item,
        "axis": axis,
        "task": task_of(found),
        "order": order,
        **shown(found, order, mask=mask),
        **known,
        "tags": found.tags,
        "models": [found.candidates[i].source for i in order] if named else None,
    }


@act("lead")
def review_decide(
    house: House, actor: str, *, item: int, payload: dict[str, Any], axis: str = Axis, note: str = Note
) -> dict[str, Any]:
    """Say what is right of an item; candidates by index. Open flags end with it. A later decision outweighs this."""
    found = item_of(house, item, axis)
    kind = task_of(found)
    payload = checked(kind, payload, len(found.candidates))
    reason = {"chips": [], "text": note.strip()} if note.strip() else None
    told = {"axis": axis, "shown_order": order_of(house, actor, found, axis), "reason": reason}
    seq = decide(house, actor, item, kind, payload, **told)
    review_clear(house, actor, item=item)
    return {"seq": seq}


@act("lead")
def review_gold(
    house: House, actor: str, *, item: int, axis: str = Axis, explanation: str = Note, on: bool = True
) -> dict[str, Any]:
    """Let the decision on an item check annotators, or no longer. The explanation is read by those who learn."""
    item_of(house, item, axis)
    decision = adjudication.case(house.store, item, axis)["decision"]
    if on and decision is None:
        raise UsageError(f"item {item}: decide it first; gold takes its right answer from your decision")
    payload = {"answer": decision["payload"] if on else {}, "explanation": explanation, "on": on}
    return {"seq": decide(house, actor, item, "gold", payload, axis=axis)}


@act("lead")
def review_clear(house: House, actor: str, *, item: int) -> dict[str, Any]:
    """End the open flags of an item: it is asked for again."""
    flags = adjudication.case(house.store, item)["flags"]
    return {"cleared": [decide(house, actor, item, "clear", {"of": flag["uid"]}) for flag in flags]}


@act("lead")
def review_withdraw(
    house: House, actor: str, *, item: int, why: str | None = Field(None, max_length=500)
) -> dict[str, Any]:
    """Ask nobody for this item any more, and leave it out of snapshots, for good."""
    item_of(house, item, OVERALL)
    return {"seq": decide(house, actor, item, "withdraw", {"why": why or None})}


def decide(house: House, actor: str, item: int, kind: str, payload: dict[str, Json], **told: Any) -> int:
    return house.queue.decide(Judgement(uid(), item, actor, kind, payload, purpose="adjudication", **told))


def item_of(house: House, number: int, axis: str) -> Item:
    found = items.get(house.store, number)
    axis_of(house.project(found.project), axis)
    return found


def axis_of(project: Project, axis: str) -> Project:
    if axis not in project.guidelines:
        raise NotFound(f"project {project.name} has no axis {axis!r}; it has: {', '.join(project.guidelines)}")
    return project


def task_of(item: Item) -> str:
    """What a decision on this item is."""
    if not item.candidates:
        raise UsageError(f"item {item.id} has no answers yet: there is nothing to decide")
    return {1: "thumb", 2: "pair"}.get(len(item.candidates), "rank")


def order_of(house: House, actor: str, item: Item, axis: str) -> tuple[int, ...]:
    """The order in which a lead sees the answers: drawn as an annotator's is."""
    return house.queue.views.order(item.project, axis, item.id, actor, len(item.candidates))
