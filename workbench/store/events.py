"""Events of some kinds, oldest first. Leaves out what they mean."""

from collections.abc import Iterable

from workbench.schema import Event
from workbench.store import rows
from workbench.store.db import Store


def of_kinds(store: Store, kinds: Iterable[str]) -> list[tuple[int, Event]]:
    """Number and event."""
    with store.cursor() as cur:
        found = cur.execute(f"{rows.EVENT} WHERE list_contains(?, e.kind) ORDER BY e.seq", [list(kinds)]).fetchall()
    return [(row[0], rows.event_of(row)) for row in found]
