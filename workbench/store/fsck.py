"""Check a whole store: every act in one row and one line, hashes recomputed, imports complete. Repairs nothing."""

from collections.abc import Iterator
from itertools import islice

from workbench.store import rows
from workbench.store.batches import incomplete
from workbench.store.db import Store
from workbench.store.journal import ZERO, body_of, verify

AT_ONCE = 10_000


def fsck(store: Store) -> list[str]:
    """What is wrong, one sentence each; `StoreDamaged` when the journal itself does not verify."""
    with store.lock:
        wrong = [*uneven(store), *miscounted(store)]
        wrong += [f"import {done['id']}: items or judgements are missing" for done in incomplete(store)]
    return wrong


def uneven(store: Store) -> Iterator[str]:
    """Rows against lines: content, hash, number; and no uid twice."""
    uids: set[bytes] = set()
    prev, end = ZERO, 0
    lines = verify(store.home / "journal")
    while part := list(islice(lines, AT_ONCE)):
        with store.cursor() as cur:
            stored = {seq: (record, h) for seq, record, h in rows.between(cur, part[0].seq, part[-1].seq)}
        for entry in part:
            record, h = stored.get(entry.seq, (None, b""))
            if record is None or h != entry.h or body_of(record, entry.seq, prev) != entry.body:
                yield f"number {entry.seq}: the row is missing or differs from the journal"
            elif record.uid.bytes in uids:
                yield f"number {entry.seq}: uid {record.uid} was stored before"
            else:
                uids.add(record.uid.bytes)
            prev, end = entry.h, entry.seq
    with store.cursor() as cur:
        if beyond := rows.between(cur, end + 1):
            yield f"{len(beyond)} rows after number {end} are not in the journal"


def miscounted(store: Store) -> Iterator[str]:
    for done in store.latest("imports"):
        if done["accepted"] + done["rejected"] != done["lines"]:
            yield f"import {done['id']}: {done['accepted']} accepted + {done['rejected']} rejected != {done['lines']}"
