"""The open store: one locked DuckDB file, its journal, and the only way to write to both.

Leaves out what records mean; the other modules of this room read and write them through `Store`.
"""

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import duckdb
from filelock import BaseFileLock

from workbench.errors import Conflict, Gap, HomeInUse, StorageUnavailable, StoreDamaged
from workbench.jobs.folder import read_json, write_json
from workbench.schema import Event
from workbench.store import batches, rows
from workbench.store.failpoint import failpoint
from workbench.store.home import lacking, prepare, take
from workbench.store.journal import Journal, Record, SyncError, chain, cut_torn
from workbench.store.migrations import migrate, version_of
from workbench.store.reconcile import reconcile
from workbench.store.recover import put_aside

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DISK = (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException, duckdb.InternalException)
HEAL_SECONDS = 5.0
OPEN = {
    "threads": 2,
    "memory_limit": "2GB",
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
}
UIDS = """SELECT unhex(replace(uid::VARCHAR, '-', ''))
    FROM (SELECT uid FROM judgements UNION ALL SELECT uid FROM events)"""
READABLE = ("backups", "snapshots", "exports", "imports")
SYSTEM = "system"
log = logging.getLogger(__name__)


def uid() -> UUID:
    """A new name for one act: whoever repeats the act repeats the name."""
    return uuid4()


class Store:
    """The store of one home, open for the life of the process. `told` is the number of the last event, for caches."""

    def __init__(self, home: Path, held: BaseFileLock) -> None:
        self.home = home
        self.lock = threading.RLock()
        self.bulk = threading.Lock()
        self.known: set[bytes] = set()
        self._held = held
        self._refusal: tuple[str, float] | None = None
        self._clean = home / "clean.json"
        cut_torn(home / "journal", home / "quarantine")
        self._journal = Journal(home / "journal")
        self._con = connect(home)
        try:
            self._start(read_json(self._clean))
        except BaseException:
            self._con.close()
            self._journal.close()
            raise

    def _start(self, stopped: dict[str, Any] | None) -> None:
        """Make database, journal and imports whole; `stopped` is what the last clean stop left."""
        self.unclean = stopped is None and version_of(self._con) is not None
        migrate(self._con)
        self._recall()
        if stopped and stopped["seq"] > self.seq:
            raise Gap(
                f"{self.home} ends at number {self.seq} but was closed at {stopped['seq']}: older files came back; "
                "put the newer ones back, or remove clean.json to go on without them"
            )
        self._clean.unlink(missing_ok=True)
        if not self.seq:
            self.append(Event(uid(), SYSTEM, "genesis", {"home": str(uuid4())}))
        batches.restore(self)

    @classmethod
    def open(cls, home: Path, *, url: str = "", rebuild: bool = False) -> Self:
        """Open, or make, the store of `home`. Errors carry the exit code: in use 3, damaged 5, newer 6, unusable 7.

        rebuild     put what is damaged into quarantine and make it again: the database from journal and imports,
                    the journal from the database
        """
        home = prepare(home)
        held = take(home, url)
        try:
            try:
                return cls(home, held)
            except Gap:
                raise
            except (duckdb.Error, StoreDamaged) as error:
                if not rebuild:
                    raise StoreDamaged(f"{error}; rebuild it with: workbench recover --home {home}") from error
                log.error("%s; the damaged files are kept in %s", error, put_aside(home))
                return cls(home, held)
        except duckdb.Error as error:
            held.release()
            raise StoreDamaged(f"the database of {home} cannot be read: {error}") from error
        except BaseException:
            held.release()
            raise

    def close(self) -> None:
        """Write everything into the database file, note that the stop was clean, give the home free."""
        with self.lock:
            if not self._held.is_locked:
                return
            self._refusal = ("the store is closed", float("inf"))
            try:
                self._con.execute("CHECKPOINT")
                write_json(self._clean, {"seq": self.seq, "h": self.h.hex(), "at": datetime.now(UTC).isoformat()})
            except (duckdb.Error, OSError) as error:
                log.error("%s was not closed cleanly, the next start puts it right: %s", self.home, error)
            finally:
                self._con.close()
                self._journal.close()
                (self.home / "server.json").unlink(missing_ok=True)
                self._held.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def cursor(self) -> Iterator[rows.Connection]:
        """One cursor for one operation; reading needs no lock."""
        with self._con.cursor() as cur:
            yield cur

    @contextmanager
    def transaction(self) -> Iterator[rows.Connection]:
        """The write lock and one transaction, all or nothing; `StorageUnavailable` when the disk refuses."""
        with self._writing() as cur:
            cur.begin()
            try:
                yield cur
            except BaseException:
                with suppress(duckdb.Error):
                    cur.rollback()
                raise
            cur.commit()

    @contextmanager
    def _writing(self) -> Iterator[rows.Connection]:
        with self.lock:
            self._check_writable()
            try:
                with self._con.cursor() as cur:
                    yield cur
            except DISK as error:
                raise self._refuse(error, heals=heals(error)) from error

    def append(self, *records: Record) -> list[int]:
        """Store records for good and return their numbers: committed, journalled and synced when this returns.

        A record whose uid is known with equal content gets its old number, with other content `Conflict`.
        """
        with self.lock:
            self._check_writable()
            numbers = {r.uid: self._same(r) for r in records if r.uid.bytes in self.known}
            fresh = {r.uid: r for r in records if r.uid not in numbers}
            if fresh:
                if self._journal.full:
                    self._write([Event(uid(), SYSTEM, "segment", self._journal.closing())])
                numbers |= {name: self.seq + at for at, name in enumerate(fresh, 1)}
                self._write(list(fresh.values()))
            return [numbers[r.uid] for r in records]

    def find(self, uid: UUID) -> tuple[int, Record] | None:
        """Number and record of a uid, if it was ever stored."""
        if uid.bytes not in self.known:
            return None
        with self.cursor() as cur:
            return rows.find(cur, uid)

    def latest(self, view: str, where: str = "true", *params: Any) -> list[dict[str, Any]]:
        """The payloads of a view over `events`, in the order of their last change."""
        with self.cursor() as cur:
            found = cur.execute(f"SELECT payload FROM {view} WHERE {where} ORDER BY seq", params).fetchall()  # noqa: S608 constants
        return [json.loads(payload) for (payload,) in found]

    def next_id(self, view: str) -> int:
        """The number after the highest of a view; take and use it under `lock`."""
        with self.cursor() as cur:
            return cur.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {view}").fetchone()[0]  # noqa: S608 constants

    def _write(self, records: list[Record]) -> None:
        entries = chain(records, self.seq, self.h)
        with self._writing() if len(records) == 1 else self.transaction() as cur:
            rows.insert(cur, records, entries)
        failpoint("between_commit_and_journal")
        try:
            self._journal.append(entries)
        except OSError as error:
            raise self._refuse(error, heals=heals(error)) from error
        failpoint("after_journal")
        self.seq, self.h = entries[-1].seq, entries[-1].h
        self.told = max(
            (e.seq for r, e in zip(records, entries, strict=True) if isinstance(r, Event)), default=self.told
        )
        self.known.update(r.uid.bytes for r in records)

    def _same(self, record: Record) -> int:
        with self.cursor() as cur:
            seq, stored = rows.find(cur, record.uid)
        if type(stored) is not type(record) or replace(stored, ts=record.ts) != record:
            raise Conflict(f"uid {record.uid} already stands for something else", code="uid_reused")
        return seq

    def _check_writable(self) -> None:
        if self._refusal:
            message, until = self._refusal
            if time.monotonic() < until:
                raise StorageUnavailable(message)
            self._heal()
        if shortage := lacking(self.home):
            raise StorageUnavailable(shortage)

    def _refuse(self, error: Exception, *, heals: bool) -> StorageUnavailable:
        """From now on nothing is written: for some seconds when the disk is full, else until the next start."""
        way_out = "free some space; writing is tried again every 5 s" if heals else "restart when the disk is well"
        message = f"the disk of {self.home} refuses to store: {error}; {way_out}"
        log.error(message)
        self._refusal = (message, time.monotonic() + HEAL_SECONDS if heals else float("inf"))
        return StorageUnavailable(message)

    def _heal(self) -> None:
        self._refusal = None  # what was missed is written on the way
        try:
            self._journal.cut()
            self._recall()
        except (OSError, duckdb.Error, StoreDamaged) as error:
            raise self._refuse(error, heals=heals(error)) from error

    def _recall(self) -> None:
        """Make database and journal equal and learn from them where the chain ends and which uids are known."""
        with self._con.cursor() as cur:
            found = reconcile(cur, self._journal)
            self.seq = self.told = found.seq
            self.h = found.h
            self.known = {name for (name,) in rows.stream(cur, UIDS)}
        if found.replayed:
            self.append(Event(uid(), SYSTEM, "reconcile", {"replayed": found.replayed, "appended": found.appended}))


def heals(error: Exception) -> bool:
    """Only a full disk gets well by itself. A failed sync never does: its descriptor is not to be asked again."""
    if isinstance(error, OSError):
        return error.errno in FULL and not isinstance(error, SyncError)
    return isinstance(error, duckdb.Error) and any(os.strerror(number) in str(error) for number in FULL)


def connect(home: Path) -> duckdb.DuckDBPyConnection:
    """The database of `home`, locked down: it reaches only the folders named here and loads nothing."""
    path = home / "workbench.duckdb"
    begun = any(p.stat().st_size for p in (home / "journal").iterdir())
    try:
        if begun and not (path.exists() and path.stat().st_size):
            raise StoreDamaged(f"{path} is missing or empty but the journal beside it is not: a file was lost")
        con = duckdb.connect(path, config={**OPEN, "temp_directory": str(home / "tmp" / "duckdb")})
    except duckdb.IOException as error:
        if "Conflicting lock" in str(error):
            raise HomeInUse(f"{path} is open in another program: {error}") from error
        raise
    con.execute("SET allowed_directories = [?, ?, ?, ?]", [str(home / name) for name in READABLE])
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    if begun and version_of(con) is None:
        raise StoreDamaged(f"{path} is empty but the journal beside it is not: a file was replaced")
    return con
