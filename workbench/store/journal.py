"""The journal: one checked line per change of state, chained by hash, synced before anything is acknowledged.

Leaves out the database; `reconcile` compares the two. A line is `crc32 SPACE body LF`, a body canonical JSON.
"""

import errno
import hashlib
import json
import logging
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Self
from uuid import UUID

from workbench.errors import StoreDamaged
from workbench.jobs.folder import sha256, sync
from workbench.schema import LABEL_KINDS, Event, Judgement, canonical

SEGMENT_BYTES = 64 * 2**20
ZERO = bytes(32)
VERSION = 1
ACTS = ("skip", "flag", "undo", "clear", "gold", "withdraw")
JUDGEMENTS = frozenset(LABEL_KINDS + ACTS)
COMMON = {"uid", "annotator", "kind", "ts"}
OWN = [f.name for f in fields(Judgement) if f.name not in COMMON]

Record = Judgement | Event
log = logging.getLogger(__name__)


class SyncError(OSError):
    """The disk took the bytes but did not promise to keep them: never ask it again on this descriptor."""


def body_of(record: Record, seq: int, prev: bytes) -> bytes:
    """The bytes that are hashed, for the writer and for every later check."""
    if isinstance(record, Judgement):
        payload = {name: plain(value) for name in OWN if (value := getattr(record, name)) is not None}
        actor = record.annotator
    else:
        payload, actor = record.payload, record.actor
    if (record.kind in JUDGEMENTS) != isinstance(record, Judgement):
        raise ValueError(f"kind {record.kind!r} does not fit {type(record).__name__}")
    return canonical(
        {
            "actor": actor,
            "kind": record.kind,
            "payload": payload,
            "prev": prev.hex(),
            "seq": seq,
            "ts": record.ts.astimezone(UTC).isoformat(timespec="microseconds"),
            "uid": str(record.uid),
            "v": VERSION,
        }
    )


def plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def record_of(body: bytes) -> Record:
    """The record that `body_of` wrote."""
    read = json.loads(body)
    uid, ts, payload = UUID(read["uid"]), datetime.fromisoformat(read["ts"]), read["payload"]
    if read["kind"] not in JUDGEMENTS:
        return Event(uid, read["actor"], read["kind"], payload, ts)
    if "shown_order" in payload:
        payload["shown_order"] = tuple(payload["shown_order"])
    if "supersedes" in payload:
        payload["supersedes"] = UUID(payload["supersedes"])
    return Judgement(uid=uid, annotator=read["actor"], kind=read["kind"], ts=ts, **payload)


@dataclass(frozen=True)
class Entry:
    """One line of the journal: its number, what kind of change, the hashed bytes."""

    seq: int
    kind: str
    body: bytes

    @classmethod
    def of(cls, record: Record, seq: int, prev: bytes) -> Self:
        return cls(seq, record.kind, body_of(record, seq, prev))

    @cached_property
    def h(self) -> bytes:
        return hashlib.sha256(self.body).digest()

    @property
    def line(self) -> bytes:
        return b"%08x %b\n" % (zlib.crc32(self.body), self.body)

    @property
    def record(self) -> Record:
        return record_of(self.body)


def chain(records: list[Record], seq: int, prev: bytes) -> list[Entry]:
    """The entries that follow number `seq` and hash `prev`."""
    entries = []
    for record in records:
        seq += 1
        entries.append(Entry.of(record, seq, prev))
        prev = entries[-1].h
    return entries


def segments(folder: Path) -> list[Path]:
    """The files of the journal in order, `000001.jsonl` first; a missing number is damage."""
    found = sorted(p for p in folder.iterdir() if re.fullmatch(r"\d{6}\.jsonl", p.name))
    for number, path in enumerate(found, 1):
        if path.name != name_of(number):
            raise StoreDamaged(f"journal {folder}: {name_of(number)} is missing, {path.name} is there")
    return found


def name_of(number: int) -> str:
    return f"{number:06d}.jsonl"


def whole(line: bytes) -> bool:
    return line.endswith(b"\n") and line[8:9] == b" " and line[:8] == b"%08x" % zlib.crc32(line[9:-1])


def verify(folder: Path) -> Iterator[Entry]:
    """Every entry in order; `StoreDamaged` names the file and line where CRC, chain or numbering breaks."""
    seq, prev, closed = 0, ZERO, ""
    for number, path in enumerate(segments(folder), 1):
        digest = hashlib.sha256()
        with path.open("rb") as lines:
            for at, line in enumerate(lines, 1):
                read = json.loads(line[9:-1]) if whole(line) else {}
                if (read.get("seq"), read.get("prev")) != (seq + 1, prev.hex()):
                    raise StoreDamaged(f"journal {path}, line {at}: entry {seq + 1} is damaged or missing")
                entry = Entry(seq + 1, read["kind"], line[9:-1])
                opening = number > 1 and at == 1
                if (entry.kind == "segment") != opening or (opening and read["payload"]["sha256"] != closed):
                    raise StoreDamaged(f"journal {path}: does not continue {name_of(number - 1)}")
                seq, prev = entry.seq, entry.h
                digest.update(line)
                yield entry
        closed = digest.hexdigest()


def cut_torn(folder: Path, keep: Path) -> int:
    """Cut a last line that a crash left unfinished, with its bytes kept under `keep`; the number of bytes cut."""
    found = segments(folder)
    if not found:
        return 0
    data = found[-1].read_bytes()
    end = data.rfind(b"\n") + 1
    start = data.rfind(b"\n", 0, end - 1) + 1 if end else 0
    good = end if end == start or whole(data[start:end]) else start
    if torn := data[good:]:
        log.warning("journal %s: cut %d bytes of an unfinished last line", found[-1], len(torn))
        (keep / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{found[-1].name}").write_bytes(torn)
        os.truncate(found[-1], good)
    if good == 0 and len(found) > 1:
        found[-1].unlink()
    return len(data) - good


class Journal:
    """The open end of the journal. Only `append` writes; the caller holds the write lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open(len(segments(folder)) or 1)

    def _open(self, number: int) -> None:
        self.path = self.folder / name_of(number)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.number, self.size = number, os.fstat(self._file).st_size
        sync(self.folder)

    @property
    def full(self) -> bool:
        return self.size >= SEGMENT_BYTES

    def closing(self) -> dict[str, object]:
        """What the entry that opens the next segment says about this one."""
        return {"number": self.number + 1, "sha256": sha256(self.path)}

    def append(self, entries: list[Entry]) -> None:
        """One write and one sync for all; on disk when it returns. A `segment` entry comes alone and opens its file."""
        if entries[0].kind == "segment" and self.size:
            closed = self._file
            self._open(self.number + 1)
            os.close(closed)
        data = b"".join(entry.line for entry in entries)
        if (written := os.write(self._file, data)) < len(data):
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes fitted", str(self.path))
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise SyncError(*error.args) from None
        self.size += len(data)

    def cut(self) -> None:
        """Forget what a failed write left after the last good line."""
        os.ftruncate(self._file, self.size)

    def close(self) -> None:
        os.close(self._file)
