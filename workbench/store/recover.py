"""When database or journal is damaged: put the damaged one into quarantine so that the other makes it again."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from workbench.errors import Gap, StoreDamaged
from workbench.store.journal import verify
from workbench.store.migrations import migrate


def put_aside(home: Path) -> Path:
    """Move a journal that does not verify, else the database, and leave an empty one; where the damaged files lie now.

    The next start appends all rows to an empty journal, or replays journal and imports into an empty database.
    """
    aside = home / "quarantine" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    aside.mkdir()
    try:
        entries = sum(1 for _ in verify(home / "journal"))
    except StoreDamaged:
        for path in (home / "journal").iterdir():
            path.rename(aside / path.name)
        return aside
    if not entries:
        raise Gap(f"{home}: the database is damaged and the journal is empty; nothing is left to rebuild from")
    database = home / "workbench.duckdb"
    for path in (database, database.with_name("workbench.duckdb.wal")):
        if path.exists():
            path.rename(aside / path.name)
    with duckdb.connect(database) as con:
        migrate(con)
    return aside
