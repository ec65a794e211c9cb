"""Rebuilding: the whole half makes the damaged one again, and nothing is thrown away."""

import os
from pathlib import Path

import pytest

from workbench.errors import StoreDamaged
from workbench.store import accounts, batches, imports, items, judgements, projects
from workbench.store.db import Store
from workbench.store.fsck import fsck


def content(store: Store) -> list:
    known = [projects.all(store), accounts.all(store), imports.all(store), judgements.current(store, 1)]
    return [*known, items.many(store, range(1, 99))]


@pytest.fixture
def before(store, project, asked, batch, vote) -> list:
    """What a home with an import, labels and an account says; it is closed now."""
    accounts.put(store, "root", accounts.Account("ann", "lead"))
    told = {3: [{"annotator": "w", "kind": "pair", "payload": {"choice": 0, "strength": None}, "axis": "overall"}]}
    batches.append_batch(store, "ann", batch([asked(f"q{n}", "x", "y") for n in range(12)], told), project.id)
    store.append(vote(2), vote(3))
    said = content(store)
    store.close()
    return said


def rebuilt(home: Path) -> list:
    with pytest.raises(StoreDamaged):
        Store.open(home)
    with Store.open(home, rebuild=True) as store:
        assert fsck(store) == []
        said = content(store)
    Store.open(home).close()
    return said


@pytest.mark.rule("R8")
@pytest.mark.parametrize("damage", ["missing", "emptied", "junk", "cut"])
def test_a_damaged_database_is_made_again(home: Path, before: list, damage: str) -> None:
    database = home / "workbench.duckdb"
    if damage == "missing":
        database.unlink()
    elif damage == "junk":
        database.write_bytes(os.urandom(database.stat().st_size))
    else:
        os.truncate(database, 0 if damage == "emptied" else 8192)
    assert rebuilt(home) == before
    kept = [path.name for path in (home / "quarantine").rglob("workbench.duckdb")]
    assert len(kept) == (0 if damage == "missing" else 1)


@pytest.mark.rule("R9")
def test_a_damaged_journal_is_made_again(home: Path, before: list) -> None:
    path = home / "journal" / "000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:900] + b"?" + whole[901:])
    assert rebuilt(home) == before
    assert path.read_bytes() == whole
    assert len(list((home / "quarantine").rglob("000001.jsonl"))) == 1


def test_damage_in_both_is_not_papered_over(home: Path, before: list) -> None:
    (home / "journal" / "000001.jsonl").unlink()
    (home / "workbench.duckdb").write_bytes(b"junk" * 5000)
    with pytest.raises(StoreDamaged):
        Store.open(home, rebuild=True)


def test_a_whole_home_is_left_as_it_is(home: Path, before: list) -> None:
    with Store.open(home, rebuild=True) as store:
        assert content(store) == before
    assert list((home / "quarantine").iterdir()) == []
