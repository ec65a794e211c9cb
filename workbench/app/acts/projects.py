"""Acts on projects: list, create, change."""

from dataclasses import asdict
from typing import Annotated, Any, Literal, Unpack

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import NotFound
from workbench.formats.render import rendered_by_child
from workbench.schema import Item, Message, Task
from workbench.store import projects as rows
from workbench.store.projects import OVERALL, Project

SHOWN = ("id", "name", "tasks", "axes", "guideline", "guideline_html", "version")
Guideline = Annotated[str, Field(max_length=100_000)]


class Rules(TypedDict, total=False):
    """What of a project can be changed: what is not given stays as it is. `store.projects` says what each means."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)]
    tasks: list[Task]
    guideline: Guideline
    axes: Annotated[dict[str, Guideline], Field(max_length=8)]
    members: list[str] | None
    overlap: float
    gold: float
    repeats: float
    calibrate: bool
    best_worst: bool
    write: bool
    names: Literal["mask", "warn", "hold"]
    quota: int | None
    deadline: str | None
    paused: bool
    archived: bool


@act("annotator")
def projects(house: House, actor: str, *, archived: bool = False) -> dict[str, Any]:
    """The open ones, or the archived ones. Annotators see their own, and not the rules of the queue."""
    if house.accounts.leads(actor):
        return {"projects": [asdict(p) for p in rows.all(house.store) if p.archived == archived]}
    mine = [] if archived else house.projects_of(actor)
    return {"projects": [{key: getattr(p, key) for key in SHOWN} for p in mine]}


@act("lead")
def project_create(
    house: House,
    actor: str,
    *,
    name: str = Field(min_length=1, max_length=80),
    tasks: list[Task] = ["pair", "thumb"],
    eval_share: float = Field(0.1, ge=0.0, le=0.2),
) -> dict[str, Any]:
    return asdict(rows.create(house.store, actor, name, tasks=tuple(tasks), eval_share=eval_share))


@act("lead")
def project_change(house: House, actor: str, *, project: int | str, **rules: Unpack[Rules]) -> dict[str, Any]:
    """Other rules; away from everybody's sight, or back. Whoever is no member any more gives back what was leased."""
    _check_members(house, rules.get("members") or [])
    before = rows.get(house.store, project)
    changed = rows.change(house.store, actor, before.id, **rules, **_html(before, rules))
    for user in house.accounts.all():
        name = user["name"]
        if not house.accounts.leads(name) and before.open_to(name) and not changed.open_to(name):
            house.queue.forget(name, changed.id)
    return asdict(changed)


def _check_members(house: House, names: list[str]) -> None:
    known = {user["name"] for user in house.accounts.all()}
    if unknown := [name for name in names if name not in known]:
        raise NotFound(f"no user {unknown[0]!r}: invite them first")


def _html(before: Project, rules: Rules) -> dict[str, Any]:
    """The guidelines as clean HTML, where one has changed; a child renders them."""
    texts = {OVERALL: rules.get("guideline", before.guideline), **rules.get("axes", before.axes)}
    if texts == before.guidelines:
        return {}
    shown = Item(before.id, "", "chat", tuple(Message("user", text) for text in texts.values()), ())
    [item] = rendered_by_child([shown])
    html = zip(texts, (message.html for message in item.prompt), strict=True)
    return {"guideline_html": {axis: text for axis, text in html if text}}
