"""Acts on projects: list, create, change."""

from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.store import projects as rows

Task = Literal["pair", "thumb"]  # what the Label page can show


@act("annotator")
def projects(house: House, actor: str, *, archived: bool = False) -> dict[str, Any]:
    """The open ones, or the archived ones."""
    return {"projects": [asdict(p) for p in rows.all(house.store) if p.archived == archived]}


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
def project_change(
    house: House,
    actor: str,
    *,
    project: int | str,
    name: str | None = Field(None, min_length=1, max_length=80),
    guideline: str | None = Field(None, max_length=100_000),
    archived: bool | None = None,
) -> dict[str, Any]:
    """Another name or guideline; away from everybody's sight, or back."""
    changed = {"name": name, "guideline": guideline, "archived": archived}
    fields = {k: v for k, v in changed.items() if v is not None}
    return asdict(rows.change(house.store, actor, project, **fields))
