"""The open store: acknowledged means stored, one server per home, one uid one act."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from workbench.errors import Conflict, HomeInUse, NewerSchema, StorageUnavailable, StoreDamaged
from workbench.schema import Event
from workbench.store.db import Store, uid
from workbench.store.fsck import fsck


def test_what_was_appended_is_there_after_reopening(home: Path, vote) -> None:
    mine, event = vote(reason={"chips": ["tone"], "text": "更好"}), Event(uid(), "lead", "setting", {"a": 1})
    with Store.open(home) as store:
        assert store.append(mine, event) == [2, 3]  # 1 is the genesis
    with Store.open(home) as store:
        assert store.find(mine.uid) == (2, mine)
        assert store.find(event.uid) == (3, event)
        assert store.append(vote()) == [4]


@pytest.mark.rule("R18")
def test_one_uid_is_one_act(home: Path, vote) -> None:
    mine = vote()
    with Store.open(home) as store:
        first = store.append(mine)
        again = replace(mine, ts=mine.ts.replace(year=2030))
        assert store.append(again, vote(2)) == [first[0], first[0] + 1]
        for other in (replace(mine, payload={"choice": 1, "strength": 2}), replace(mine, annotator="bob")):
            with pytest.raises(Conflict) as error:
                store.append(other)
            assert error.value.code == "uid_reused"
        assert store.seq == 3


@pytest.mark.rule("R18")
def test_fifty_equal_posts_at_once_are_one_row(home: Path, vote) -> None:
    mine = vote()
    with Store.open(home) as store, ThreadPoolExecutor(8) as pool:
        numbers = {n for [n] in pool.map(lambda _: store.append(mine), range(50))}
        assert numbers == {2}
        assert store.seq == 2


def test_many_threads_make_one_chain(home: Path, vote) -> None:
    with Store.open(home) as store, ThreadPoolExecutor(8) as pool:
        numbers = [n for [n] in pool.map(lambda n: store.append(vote(n)), range(200))]
        assert sorted(numbers) == list(range(2, 202))
        assert fsck(store) == []


@pytest.mark.rule("R3")
def test_nothing_is_answered_before_the_journal_is_synced(home: Path, vote, monkeypatch) -> None:
    synced, sync = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append((sync(file), os.fstat(file).st_size)))
    with Store.open(home) as store:
        for _ in range(5):
            store.append(vote(), vote())
            assert synced[-1][1] == (home / "journal" / "000001.jsonl").stat().st_size
        assert len(synced) == 6  # the genesis, then one for each


@pytest.mark.rule("R2")
@pytest.mark.parametrize("point", ["before_migration_commit", "after_migration_commit", "between_commit_and_journal"])
def test_a_killed_first_start_is_no_damage(home: Path, point: str, vote) -> None:
    code = f"from pathlib import Path; from workbench.store.db import Store; Store.open(Path({str(home)!r}))"
    env = os.environ | {"WORKBENCH_TESTING": "1", "WORKBENCH_FAILPOINT": point}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 99
    with Store.open(home) as store:
        assert store.append(vote()) == [2]
        assert fsck(store) == []


@pytest.mark.rule("R6")
def test_a_second_server_is_refused_also_through_a_link(home: Path, tmp_path: Path, vote) -> None:
    with Store.open(home, url="http://127.0.0.1:7860") as store:
        (tmp_path / "link").symlink_to(home)
        for path in (home, tmp_path / "link"):
            with pytest.raises(HomeInUse, match=r"is open in process \d+ since .*: http://127.0.0.1:7860") as error:
                Store.open(path)
            assert error.value.exit_code == 3
        store.append(vote())
    Store.open(home).close()


@pytest.mark.rule("R6")
def test_a_database_open_in_another_program_is_in_use_not_damaged(home: Path) -> None:
    Store.open(home).close()
    code = f"import duckdb; con = duckdb.connect({str(home / 'workbench.duckdb')!r}); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        with pytest.raises(HomeInUse, match=f"open in another program: .*PID {other.pid}"):
            Store.open(home)
        other.communicate("\n")
    Store.open(home).close()


@pytest.mark.rule("S14")
def test_the_home_is_private(home: Path, vote) -> None:
    with Store.open(home) as store:
        store.append(vote())
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        files = [p for p in home.rglob("*") if p.is_file()]
        assert len(files) >= 4
        assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}


@pytest.mark.rule("S27")
def test_the_database_reaches_nothing_else(home: Path, tmp_path: Path, vote) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    forbidden = [
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        f"SELECT * FROM read_text('{home}/server.json')",
        "SELECT * FROM read_text('/etc/passwd')",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"COPY (SELECT 1) TO '{home}/snapshots/../out.csv'",
        f"ATTACH '{tmp_path}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "SET enable_external_access = true",
    ]
    with Store.open(home) as store, store.cursor() as cur:
        for sql in forbidden:
            with pytest.raises(duckdb.Error):
                cur.execute(sql)
        cur.execute(f"COPY (SELECT 1 AS a) TO '{home}/snapshots/fine.parquet'")


def test_a_newer_home_is_left_alone(home: Path, vote) -> None:
    Store.open(home).close()
    with duckdb.connect(home / "workbench.duckdb") as con:
        con.execute("INSERT INTO schema_version VALUES (99, now())")
    with pytest.raises(NewerSchema) as error:
        Store.open(home)
    assert error.value.exit_code == 6


def test_a_failed_transaction_leaves_nothing(home: Path, vote) -> None:
    with Store.open(home) as store:
        with pytest.raises(duckdb.ConversionException), store.transaction() as cur:
            cur.execute("INSERT INTO sessions VALUES ('a', 'b', now(), now()); SELECT 'x'::INTEGER")
        with store.cursor() as cur:
            assert cur.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
        assert store.append(vote()) == [2]


def test_a_clean_stop_is_told_from_a_crash(home: Path, vote) -> None:
    with Store.open(home) as store:
        assert not store.unclean
        assert not (home / "clean.json").exists()
    assert json.loads((home / "clean.json").read_text())["seq"] == 1
    (home / "clean.json").unlink()
    with Store.open(home) as store:
        assert store.unclean
    with pytest.raises(StorageUnavailable, match="closed"):
        store.append(vote())


@pytest.mark.rule("R8")
@pytest.mark.parametrize("damage", ["missing", "empty", "replaced", "junk"])
def test_a_lost_database_is_never_a_fresh_start(home: Path, damage: str, vote) -> None:
    with Store.open(home) as store:
        store.append(vote())
    database = home / "workbench.duckdb"
    database.unlink()
    if damage == "empty":
        database.touch()
    if damage == "replaced":
        duckdb.connect(database).close()
    if damage == "junk":
        database.write_bytes(b"junk" * 5000)
    with pytest.raises(StoreDamaged) as error:
        Store.open(home)
    assert error.value.exit_code == 5
