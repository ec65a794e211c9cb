"""After a crash, a kill or a damaged file: nothing acknowledged is lost or doubled, or the start refuses."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from workbench.errors import StorageUnavailable, StoreDamaged
from workbench.store.db import Store
from workbench.store.fsck import fsck
from workbench.store.journal import verify

LABELLER = """
import sys
from pathlib import Path
from workbench.schema import Judgement
from workbench.store.db import Store, uid

store = Store.open(Path(sys.argv[1]))
print("open", flush=True)
for n in range(int(sys.argv[2])):
    vote = Judgement(uid(), n, "ann", "pair", {"choice": n % 2, "strength": None})
    print("ask", vote.uid, flush=True)
    store.append(vote)
    print("ack", vote.uid, flush=True)
"""


def labeller(home: Path, count: int, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LABELLER, str(home), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | env)


def acknowledged(lines: str) -> list[str]:
    return [line.split()[1] for line in lines.splitlines() if line.startswith("ack ") and len(line) == 40]


def stored(store: Store) -> list[str]:
    with store.cursor() as cur:
        return [str(uid) for (uid,) in cur.execute("SELECT uid FROM judgements ORDER BY seq").fetchall()]


@pytest.mark.rule("R1")
def test_kill_loses_and_doubles_nothing(home: Path) -> None:
    acked, clock = [], random.Random(0)
    for _ in range(5):
        child = labeller(home, 100_000)
        said = [child.stdout.readline() for _ in range(clock.randrange(1, 90))]
        time.sleep(clock.uniform(0, 0.01))
        child.send_signal(signal.SIGKILL)
        acked += acknowledged("".join(said) + child.stdout.read())
        child.wait()
        started = time.monotonic()
        with Store.open(home) as store:
            assert time.monotonic() - started < 5
            assert store.unclean
            assert fsck(store) == []
            kept = stored(store)
            assert len(kept) == len(set(kept))
            assert set(acked) <= set(kept)
    assert len(acked) > 20


@pytest.mark.rule("R1")
@pytest.mark.parametrize(("point", "kept"), [("between_commit_and_journal", 3), ("after_journal", 3)])
def test_a_crash_after_the_commit_keeps_the_row(home: Path, point: str, kept: int) -> None:
    child = labeller(home, 9, WORKBENCH_TESTING="1", WORKBENCH_FAILPOINT=f"{point}:4")  # genesis, then three labels
    out, _ = child.communicate()
    assert child.returncode == 99
    assert len(acknowledged(out)) == 2
    with Store.open(home) as store:
        assert (len(stored(store)), store.seq) == (kept, kept + 1)
        assert fsck(store) == []
        assert len(list(verify(home / "journal"))) == kept + 1


@pytest.fixture
def used(home: Path, vote) -> Path:
    """A home that was never closed: its rows are still in the write-ahead log."""
    store = Store.open(home)
    for n in range(20):
        store.append(vote(n))
    copy = home.with_name("copy")
    shutil.copytree(home, copy)
    store.close()
    return copy


@pytest.mark.rule("R8")
@pytest.mark.parametrize("left", [0.0, 0.3, 0.6, 0.95])
def test_a_cut_write_ahead_log_is_replayed(used: Path, left: float, vote) -> None:
    wal = used / "workbench.duckdb.wal"
    os.truncate(wal, int(wal.stat().st_size * left))
    with Store.open(used) as store:
        assert len(stored(store)) == 20
        assert fsck(store) == []
        replay = store.latest("(SELECT payload, seq FROM events WHERE kind = 'reconcile')")
        assert [done["appended"] for done in replay] == [0]
        assert replay[0]["replayed"] > 0
        store.append(vote())
    with Store.open(used) as store:
        assert store.seq == 23
        assert not store.unclean


@pytest.mark.rule("R8")
def test_a_removed_write_ahead_log_is_replayed(used: Path) -> None:
    (used / "workbench.duckdb.wal").unlink()
    with Store.open(used) as store:
        assert len(stored(store)) == 20
        assert fsck(store) == []


@pytest.mark.rule("R9")
@pytest.mark.parametrize("lines", [0, 1, 11, 20])
def test_a_short_or_missing_journal_is_written_again(used: Path, lines: int) -> None:
    path = used / "journal" / "000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:lines]) + b"torn")
    Store.open(used).close()
    assert path.read_bytes() == whole


@pytest.mark.rule("R9")
def test_damage_in_both_stops_the_start(used: Path) -> None:
    path = used / "journal" / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10]))
    with duckdb.connect(used / "workbench.duckdb") as con:
        con.execute("DELETE FROM judgements WHERE seq = 15")
    with pytest.raises(StoreDamaged, match="number 15 is neither"):
        Store.open(used)


def test_a_changed_row_is_not_believed(used: Path) -> None:
    with duckdb.connect(used / "workbench.duckdb") as con:
        con.execute("UPDATE judgements SET h = 'x'::BLOB WHERE seq = 7")
    with pytest.raises(StoreDamaged, match="differ at number 7"):
        Store.open(used)


def test_a_home_put_back_in_time_is_noticed(home: Path, vote, tmp_path: Path) -> None:
    with Store.open(home) as store:
        store.append(vote())
    shutil.copytree(home, tmp_path / "old")
    with Store.open(home) as store:
        store.append(vote())
    for name in ("workbench.duckdb", "journal/000001.jsonl"):
        shutil.copy(tmp_path / "old" / name, home / name)
    with pytest.raises(StoreDamaged, match="ends at number 2 but was closed at 3"):
        Store.open(home)


FULL_DISK = """
import resource, signal, sys, time
from pathlib import Path
from workbench.errors import StorageUnavailable
from workbench.schema import Judgement
from workbench.store import accounts, db
from workbench.store.db import Store, uid
from workbench.store.fsck import fsck

db.HEAL_SECONDS = 0.2
def vote(n):
    return Judgement(uid(), n, "ann", "pair", {"choice": 0, "strength": None})

store = Store.open(Path(sys.argv[1]))
if "wal" in sys.argv[2]:  # what is not journalled makes this file the longer one
    for n in range(200):
        accounts.session_add(store, f"{n:064d}", "ann")
else:  # closing empties the other one
    store.append(*map(vote, range(50)))
    store.close()
    store = Store.open(Path(sys.argv[1]))
begun = store.seq
room = (Path(sys.argv[1]) / sys.argv[2]).stat().st_size + 5000
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
acked = 0
for n in range(200):
    late = vote(n)
    try:
        store.append(late)
        acked += 1
    except StorageUnavailable as error:
        print(error)
        break
assert 0 < acked < 200
with store.cursor() as cur:  # reading goes on
    assert cur.execute("SELECT count(*) FROM judgements").fetchone()[0] >= acked
try:
    store.append(late)
    raise SystemExit("stored on a full disk")
except StorageUnavailable:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(0.3)
[seq] = store.append(late)  # the retry gets its number, without a restart
assert store.append(late) == [seq] == [begun + acked + 1]
assert fsck(store) == []
store.close()
"""


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("fills", "says"), [("journal/000001.jsonl", "bytes fitted"), ("workbench.duckdb.wal", "Could not write")]
)
def test_a_full_disk_refuses_and_heals(home: Path, fills: str, says: str) -> None:
    child = subprocess.run([sys.executable, "-c", FULL_DISK, str(home), fills], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    assert "refuses to store" in child.stdout
    assert says in child.stdout
    with Store.open(home) as store:
        assert fsck(store) == []


@pytest.mark.rule("R4")
def test_a_failed_sync_ends_writing_until_the_next_start(home: Path, vote, monkeypatch) -> None:
    store, late = Store.open(home), vote()

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workbench.store.db.HEAL_SECONDS", 0.0)
    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(StorageUnavailable):
        store.append(late)
    monkeypatch.undo()
    with pytest.raises(StorageUnavailable, match="restart"):
        store.append(vote())
    store.close()
    with Store.open(home) as store:
        assert store.append(late) == [2]
        assert fsck(store) == []
