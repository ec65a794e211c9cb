"""The act by which other tools send items: read as strictly as a file, rendered in a child, stored once."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import UsageError
from workbench.formats.batch import cut
from workbench.formats.dialects.prompts import read
from workbench.formats.render import rendered_by_child
from workbench.formats.row import Row
from workbench.formats.strict import Reject, check
from workbench.schema import Item
from workbench.store import feed as rows
from workbench.store import items as stored
from workbench.store.projects import Project


class Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Spoken(Taken):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Answer(Taken):
    """An answer, and the model (or `human`) that wrote it; annotators never see who that was."""

    text: str | list[Spoken]
    source: str | None = Field(None, max_length=200)


class NewItem(Taken):
    """A prompt with answers to be labelled. Without answers it waits until a model answers it."""

    prompt: str | list[Spoken]
    answers: list[str | list[Spoken] | Answer] = Field([], max_length=64)
    tags: list[str] = Field([], max_length=20)
    lang: str | None = Field(None, max_length=16)


@act("lead")
def items_add(
    house: House, actor: str, *, project: int | str, items: list[NewItem] = Field(min_length=1, max_length=1000)
) -> dict[str, Any]:
    """Store what is new; the numbers of all, and how many are new. The same again stores nothing."""
    found = house.project(project)
    made = [items_of(found, number, one) for number, one in enumerate(items)]
    every = {item.key: item for group in made for item in group}
    ids = rows.known(house.store, found.id, every)
    fresh = [item for key, item in every.items() if key not in ids]
    if fresh:
        added = stored.add(house.store, actor, rendered_by_child(fresh), file="API")
        ids |= {item.key: number for item, number in zip(fresh, added, strict=True)}
        house.queue.refresh(found.id)
    return {"ids": [[ids[item.key] for item in group] for group in made], "new": len(fresh)}


def items_of(project: Project, number: int, sent: NewItem) -> list[Item]:
    """One sent item as items for the project's tasks; `UsageError` names what cannot be."""
    told = sent.model_dump(exclude_none=True)
    answers = [a | {"model": a.pop("source", None)} if isinstance(a, dict) else a for a in told.pop("answers")]
    try:
        check(told)
        check(answers)
        [reading] = read(Row(told | {"candidates": answers}))
    except Reject as reject:
        raise UsageError(f"items.{number}: {reject.column or 'text'}: {reject.reason}") from None
    rest = {"form": reading.form, "lang": reading.lang, "tags": reading.tags}
    return cut(project.id, reading.prompt, reading.candidates, project.tasks, **rest)
