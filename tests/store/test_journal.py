"""The journal: bodies that round trip, a chain that breaks loudly, a torn end that is cut."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import StoreDamaged
from workbench.schema import LABEL_KINDS, Event, Judgement
from workbench.store import journal
from workbench.store.db import Store, uid
from workbench.store.journal import ZERO, Entry, Journal, body_of, chain, cut_torn, record_of, verify

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.dictionaries(
    TEXT, st.recursive(SCALAR | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4
)
WHEN = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
EVENTS = st.builds(Event, st.uuids(), TEXT, st.sampled_from(["project", "account", "setting"]), JSON, WHEN)
JUDGEMENTS = st.builds(
    Judgement,
    uid=st.uuids(),
    item=st.integers(1, 2**62),
    annotator=TEXT,
    kind=st.sampled_from(LABEL_KINDS),
    payload=JSON,
    guideline=st.none() | st.integers(0, 9),
    shown_order=st.none() | st.permutations(range(4)).map(tuple),
    ms_shown=st.none() | st.integers(0, 2**31 - 1),
    ms_active=st.none() | st.integers(0, 2**31 - 1),
    reason=st.none() | JSON,
    supersedes=st.none() | st.uuids(),
    ts=WHEN,
)


@given(EVENTS | JUDGEMENTS, st.integers(1, 2**62), st.binary(min_size=32, max_size=32))
def test_body_and_record_are_the_same_thing(record, seq, prev) -> None:
    body = body_of(record, seq, prev)
    assert record_of(body) == record
    assert body_of(record_of(body), seq, prev) == body


def test_rows_give_the_body_that_was_hashed(home: Path) -> None:
    """The database between: what is read back hashes to what was written."""

    @settings(max_examples=40)
    @given(st.lists(EVENTS | JUDGEMENTS, min_size=1, max_size=4, unique_by=lambda r: r.uid))
    def stored(records) -> None:
        fresh = [r for r in records if r.uid.bytes not in store.known]
        for number, record in zip(store.append(*fresh), fresh, strict=True):
            assert store.find(record.uid) == (number, record)

    with Store.open(home) as store:
        stored()


def test_a_line_by_hand() -> None:
    event = Event(UUID(int=1), "ann", "setting", {"a": "é"}, datetime(2026, 1, 2, 3, 4, 5, 6, UTC))
    entry = Entry.of(event, 7, ZERO)
    assert entry.body.decode() == (
        '{"actor":"ann","kind":"setting","payload":{"a":"é"},"prev":"' + "0" * 64 + '","seq":7,'
        '"ts":"2026-01-02T03:04:05.000006+00:00","uid":"00000000-0000-0000-0000-000000000001","v":1}'
    )
    assert entry.line[8:9] + entry.line[-1:] == b" \n"
    elsewhere = Event(event.uid, "ann", "setting", {"a": "é"}, event.ts.astimezone(timezone(timedelta(hours=8))))
    assert Entry.of(elsewhere, 7, ZERO) == entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keep").mkdir()
    (tmp_path / "journal").mkdir()
    written = Journal(tmp_path / "journal")
    written.append(chain([Event(uid(), "ann", "setting", {"n": n}) for n in range(9)], 0, ZERO))
    written.close()
    return tmp_path / "journal"


@pytest.mark.rule("R9")
@pytest.mark.parametrize("at", range(3, 8))
def test_a_flipped_bit_is_found(folder: Path, at: int) -> None:
    path = folder / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    line = bytearray(lines[at])
    line[at * 20] ^= 1
    path.write_bytes(b"".join([*lines[:at], bytes(line), *lines[at + 1 :]]))
    with pytest.raises(StoreDamaged, match=f"line {at + 1}: entry {at + 1} is damaged or missing"):
        list(verify(folder))
    path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    with pytest.raises(StoreDamaged, match=f"entry {at + 1} is damaged or missing"):
        list(verify(folder))


@pytest.mark.rule("R9")
def test_a_torn_last_line_is_cut_wherever_it_tears(folder: Path) -> None:
    path, keep = folder / "000001.jsonl", folder.parent / "keep"
    data = path.read_bytes()
    start = data.rfind(b"\n", 0, -1) + 1
    for end in range(start + 1, len(data)):
        path.write_bytes(data[:end])
        assert cut_torn(folder, keep) == end - start
        assert path.read_bytes() == data[:start]
    assert len(list(keep.iterdir())) == len(data) - start - 1
    path.write_bytes(data[:-9] + b"xxxxxxxx\n")
    assert cut_torn(folder, keep) == len(data) - start
    path.write_bytes(data)
    assert cut_torn(folder, keep) == 0
    assert len(list(verify(folder))) == 9


def test_segments_follow_each_other(home: Path, vote, monkeypatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 3000)
    with Store.open(home) as store:
        for _ in range(30):
            store.append(vote())
        end = store.seq
    files = sorted((home / "journal").iterdir())
    assert len(files) >= 4
    assert [e.seq for e in verify(home / "journal")] == list(range(1, end + 1))
    with Store.open(home) as store:
        assert store.append(vote()) == [end + 1]
    lines = files[1].read_bytes().splitlines(keepends=True)
    files[1].write_bytes(b"".join(lines[:-1]))
    with pytest.raises(StoreDamaged):
        list(verify(home / "journal"))
    files[1].unlink()
    with pytest.raises(StoreDamaged, match=r"000002.jsonl is missing, 000003.jsonl is there"):
        list(verify(home / "journal"))


def test_a_short_write_is_a_full_disk(folder: Path, monkeypatch) -> None:
    entries = chain([Event(uid(), "ann", "setting", {})], 9, list(verify(folder))[-1].h)
    written, whole = Journal(folder), os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, data[:20]))
    with pytest.raises(OSError, match="only 20 of"):
        written.append(entries)
    monkeypatch.undo()
    written.cut()
    written.append(entries)
    written.close()
    assert [e.seq for e in verify(folder)] == list(range(1, 11))


def test_kinds_keep_to_their_records() -> None:
    with pytest.raises(ValueError, match="does not fit Event"):
        body_of(Event(uid(), "ann", "pair", {}), 1, ZERO)
    with pytest.raises(ValueError, match="does not fit Judgement"):
        body_of(Judgement(uid(), 1, "ann", "project", {}), 1, ZERO)
