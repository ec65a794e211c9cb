"""Training runs as the project lists them: number, method, model, snapshot, title. Their state lies in `runs/<n>/`."""

from workbench.schema import Event, Json
from workbench.store.db import Store, uid


def create(store: Store, actor: str, payload: dict[str, Json]) -> int:
    """Store a new run and return its number; `payload` holds at least the project."""
    with store.lock:
        number = store.next_id("runs")
        store.append(Event(uid(), actor, "run", {**payload, "id": number}))
        return number


def all(store: Store, project: int) -> list[dict[str, Json]]:
    return sorted(store.latest("runs", "project = ?", project), key=lambda run: run["id"])
