"""Imports: counted exactly, never half in, never doubled, made again from their file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import StoreDamaged
from workbench.store import batches, imports, items, judgements
from workbench.store.db import Store
from workbench.store.fsck import fsck

APPEND = """
import sys
from pathlib import Path
from workbench.store import batches
from workbench.store.db import Store

batches.AT_ONCE = 5
store = Store.open(Path(sys.argv[1]))
batches.append_batch(store, "ann", Path(sys.argv[2]), 1)
"""


def said(choice: int, who: str | None = None) -> dict:
    return {"annotator": who, "kind": "pair", "payload": {"choice": choice, "strength": None}, "axis": "overall"}


def test_accepted_splits_into_new_and_merged(store, project, asked, batch) -> None:
    items.add(store, "ann", [asked("q1", "x", "y")])
    found = [asked(q, "x", "y") for q in ("q0", "q1", "q2", "q0")]
    folder = batch(found, {0: [said(0, "w1"), said(0, "w1"), said(1, "w2")], 1: [said(1)], 3: [said(0, "w1")]})
    stored = batches.append_batch(store, "ann", folder, project.id)
    assert {k: v for k, v in stored.items() if k != "sha256"} == {
        **{"id": 2, "project": 1, "file": "f.jsonl", "dialect": "d", "lines": 5, "accepted": 4, "rejected": 1},
        **{"items": 2, "merged": 2, "first_item": 2, "judgements": 3, "duplicates": 2},
    }
    votes = [(v["item"], v["annotator"], v["purpose"], v["payload"]["choice"]) for v in judgements.current(store, 1)]
    assert votes == [(2, "ext:2:w1", "import", 0), (2, "ext:2:w2", "import", 1), (1, "import:2", "import", 1)]
    assert [i.prompt[0].content for i in items.many(store, range(1, 9)).values()] == ["q1", "q0", "q2"]
    assert fsck(store) == []


def test_the_same_file_twice_changes_nothing(store, project, asked, batch) -> None:
    found, told = [asked("q", "x", "y"), asked("r", "x")], {0: [said(0, "w1"), said(1)]}
    first = batch(found, told)
    assert batches.append_batch(store, "ann", first, project.id) == batches.append_batch(
        store, "ann", first, project.id
    )
    before = judgements.current(store, project.id)
    again = batches.append_batch(store, "ann", batch(found, told), project.id)
    assert [again[k] for k in ("items", "merged", "judgements", "duplicates")] == [0, 2, 0, 2]
    assert judgements.current(store, project.id) == before
    assert len(list(items.iter_ids(store, project.id))) == 2
    empty = batches.append_batch(store, "ann", batch([]), project.id)
    assert (empty["items"], empty["accepted"]) == (0, 0)


def test_projects_do_not_share_items(store, project, asked, batch) -> None:
    folder = batch([asked("q", "x", "y")])
    batches.append_batch(store, "ann", folder, project.id)
    other = batches.append_batch(store, "ann", batch([asked("q", "x", "y")], {0: [said(0)]}), 2)
    assert (other["items"], other["judgements"], other["first_item"]) == (1, 1, 2)


@pytest.mark.rule("R2")
@pytest.mark.parametrize(
    "point", ["items:1", "items:3", "before_import_event", "imported_judgements:2", "after_journal:4"]
)
def test_a_killed_import_is_dropped_or_finished(store, home, project, asked, batch, point: str) -> None:
    folder = batch([asked(f"q{n}", "x", "y") for n in range(17)], {n: [said(n % 2, "w")] for n in range(17)})
    store.close()
    env = os.environ | {"WORKBENCH_TESTING": "1", "WORKBENCH_FAILPOINT": point}
    child = subprocess.run([sys.executable, "-c", APPEND, str(home), str(folder)], env=env)
    assert child.returncode == 99
    with Store.open(home) as again:
        done = bool(imports.all(again))
        assert done == point.startswith(("imported", "after"))
        assert len(list(items.iter_ids(again, 1))) == len(judgements.current(again, 1)) == (17 if done else 0)
        assert len(items.many(again, range(1, 99))) == (17 if done else 0)
        assert batches.append_batch(again, "ann", folder, 1)["items"] == 17
        assert {v["item"] for v in judgements.current(again, 1)} == set(range(1, 18))
        assert fsck(again) == []


def test_labels_go_on_while_an_import_runs(store, project, asked, batch, vote, monkeypatch) -> None:
    monkeypatch.setattr(batches, "AT_ONCE", 5)
    [first] = items.add(store, "ann", [asked("first", "x", "y")])
    labelled = []
    monkeypatch.setattr(batches, "failpoint", lambda _: labelled.append(store.append(vote(first))[0]))
    batches.append_batch(store, "ann", batch([asked(f"q{n}", "x", "y") for n in range(20)]), project.id)
    assert len(labelled) == 5
    assert fsck(store) == []


@pytest.mark.rule("R8")
def test_lost_items_come_back_from_their_file(home: Path, store, project, asked, batch, vote) -> None:
    batches.append_batch(store, "ann", batch([asked("q0", "x", "y")]), project.id)
    folder = batch([asked(f"q{n}", "x", "y") for n in range(9)], {n: [said(0, "w")] for n in range(9)})
    batches.append_batch(store, "ann", folder, project.id)
    before = items.many(store, range(1, 99)), judgements.current(store, project.id)
    with store.transaction() as cur:
        cur.execute("DELETE FROM items WHERE id > 4")
        cur.execute("DELETE FROM judgements WHERE item = 7")
    assert [wrong.split(":")[0] for wrong in fsck(store)] == ["number 11", "import 2"]
    store.close()
    with Store.open(home) as again:
        assert (items.many(again, range(1, 99)), judgements.current(again, project.id)) == before
        with again.transaction() as cur:
            cur.execute("DELETE FROM items WHERE id = 9")
    (folder / "batch.parquet").write_bytes(b"other")
    with pytest.raises(StoreDamaged, match=r"items of import 2 are missing and .*batch.parquet is gone or changed"):
        Store.open(home)
