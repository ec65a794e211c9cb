"""Imports: their numbered folders, and the event that makes each one's items count. Leaves out reading (`formats`)."""

from pathlib import Path

from workbench.schema import Json
from workbench.store.db import Store


def next_folder(store: Store) -> tuple[int, Path]:
    """A new number and its empty folder, taken for good: a discarded import keeps its number in the bin."""
    with store.lock:
        seen = [*(store.home / "imports").iterdir(), *(store.home / "trash").glob("import-*")]
        taken = [int(digits) for p in seen if (digits := p.name.removeprefix("import-")).isdigit()]
        number = max([store.next_id("imports") - 1, *taken]) + 1
        folder = store.home / "imports" / f"{number:06d}"
        folder.mkdir()
        return number, folder


def discard(store: Store, folder: Path) -> None:
    """Put a folder that was never stored into the bin, under its own number."""
    folder.rename(store.home / "trash" / f"import-{folder.name}")


def all(store: Store, project: int | None = None) -> list[dict[str, Json]]:
    """What came in, oldest first: into one project, or into all."""
    return store.latest("imports", "? IS NULL OR project = ?", project, project)
