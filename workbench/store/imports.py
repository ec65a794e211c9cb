"""Imports: their numbered folders, and the event that makes each one's items count. Leaves out reading (`formats`)."""

from pathlib import Path

from workbench.schema import Json
from workbench.store.db import Store


def next_folder(store: Store) -> tuple[int, Path]:
    """A new number and its empty folder, taken for good."""
    root = store.home / "imports"
    with store.lock:
        taken = [int(p.name) for p in root.iterdir() if p.name.isdigit()]
        number = max([store.next_id("imports") - 1, *taken]) + 1
        folder = root / f"{number:06d}"
        folder.mkdir()
        return number, folder


def all(store: Store, project: int | None = None) -> list[dict[str, Json]]:
    """What came in, oldest first: into one project, or into all."""
    return store.latest("imports", "? IS NULL OR project = ?", project, project)
