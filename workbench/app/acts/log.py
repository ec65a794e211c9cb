"""The act on the audit log: reading it."""

from typing import Any

from pydantic import Field

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.store import audit as rows


@act("admin")
def audit(
    house: House,
    actor: str,
    *,
    who: str | None = None,
    what: str | None = None,
    before: int | None = None,
    limit: int = Field(50, ge=1, le=10_000),
) -> dict[str, Any]:
    """Who did what, newest first: of one person and kind, or all. `before` is the number of the last line known."""
    found = rows.entries(house.store, who, what, before, limit)
    people, kinds = rows.choices(house.store)
    entries = [entry | {"at": entry["at"].isoformat(timespec="seconds")} for entry in found]
    return {"entries": entries, "people": people, "acts": kinds, "more": len(found) == limit}
