"""Database against journal at start-up: each repairs what a crash cost the other; damage in both is never hidden.

Leaves out item texts, which come back from their import's file (`batches`).
"""

import logging
from dataclasses import dataclass, field
from itertools import pairwise

from workbench.errors import StoreDamaged
from workbench.store import rows
from workbench.store.journal import ZERO, Entry, Journal, Record, verify

HASHES = "SELECT seq, h FROM (SELECT seq, h FROM judgements UNION ALL SELECT seq, h FROM events) ORDER BY seq"
AT_ONCE = 500
log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """Where the chain ends, and what had to be done."""

    seq: int = 0
    h: bytes = ZERO
    appended: int = 0
    replayed: int = 0
    missing: list[Entry] = field(default_factory=list)


def reconcile(cur: rows.Connection, journal: Journal) -> Outcome:
    """Make database and journal equal, or raise `StoreDamaged` with the number where they cannot be."""
    found = compare(cur, journal)
    beyond = rows.between(cur, found.seq + 1)
    continue_journal(journal, found, beyond)
    for at in range(0, len(found.missing), AT_ONCE):
        part = found.missing[at : at + AT_ONCE]
        cur.execute("BEGIN")
        rows.insert(cur, [entry.record for entry in part], part)
        cur.execute("COMMIT")
    found.appended, found.replayed = len(beyond), len(found.missing)
    if found.appended or found.replayed:
        log.warning("start-up: %d entries into the journal, %d into the database", found.appended, found.replayed)
    return found


def compare(cur: rows.Connection, journal: Journal) -> Outcome:
    """Walk both side by side: the journal's end, and the entries that have no row."""
    found, present = Outcome(), rows.stream(cur, HASHES)
    seq, h = next(present, (None, None))
    for entry in verify(journal.folder):
        if seq is not None and seq < entry.seq:
            raise StoreDamaged(f"database: two rows have number {seq}")
        if seq != entry.seq:
            found.missing.append(entry)
        elif h != entry.h:
            raise StoreDamaged(f"database and journal differ at number {seq}")
        else:
            seq, h = next(present, (None, None))
        found.seq, found.h = entry.seq, entry.h
    return found


def continue_journal(journal: Journal, found: Outcome, beyond: list[tuple[int, Record, bytes]]) -> None:
    """Write the rows that came after the journal's end, if each continues the chain."""
    entries = []
    for seq, record, h in beyond:
        entry = Entry.of(record, found.seq + 1, found.h)
        if (seq, h) != (entry.seq, entry.h):
            raise StoreDamaged(f"number {found.seq + 1} is neither in the journal nor, whole, in the database")
        found.seq, found.h = entry.seq, entry.h
        entries.append(entry)
    opening = [at for at, entry in enumerate(entries) if entry.kind == "segment"]
    for start, end in pairwise([0, *opening, len(entries)]):
        if start < end:
            journal.append(entries[start:end])
