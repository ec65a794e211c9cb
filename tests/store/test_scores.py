"""What a reward model is asked, and its scores as arrays; held out, learnt, control arm; a file that is gone."""

import logging
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import UsageError
from workbench.jobs.folder import write_json
from workbench.jobs.models import Model
from workbench.schema import Candidate, Item, Message, make_item, split_hash, split_of
from workbench.store import items, scores, snapshots


def asked(project: int, question: str, *answers: str) -> Item:
    candidates = tuple(Candidate((Message("assistant", text),)) for text in answers)
    return make_item(project, (Message("user", question),), candidates)


@pytest.fixture
def many(store, project) -> dict[int, Item]:
    """A hundred pairs, a ranking and a thumb."""
    made = [asked(project.id, f"q{i}", "a", "b") for i in range(100)]
    made += [asked(project.id, "rank", "a", "b", "c"), asked(project.id, "thumb", "a")]
    return items.many(store, items.add(store, "lead", made))


def judge(home: Path, snapshot: str | None = None) -> Model:
    folder = home / "models" / "judge"
    folder.mkdir(exist_ok=True)
    write_json(folder / "workbench.json", {"method": "rm", "snapshot": snapshot})
    return Model("judge", str(folder), kind="reward")


def written(store, project, model) -> list[dict]:
    path = store.home / "items.parquet"
    assert scores.write_items(store, project, model, path) == pq.read_metadata(path).num_rows
    return pq.read_table(path).to_pylist()


def test_every_comparison_is_asked_but_those_held_out(store, project, many):
    rows = written(store, project, judge(store.home))
    wanted = {n: i for n, i in many.items() if len(i.candidates) > 1 and split_of(i.group_id) == "train"}
    assert [row["item"] for row in rows] == sorted(wanted)
    assert len(rows) < 101
    assert [row["control"] for row in rows] == [split_hash(wanted[row["item"]].group_id) < 2000 for row in rows]
    assert 0 < sum(row["control"] for row in rows) < len(rows)


def test_a_label_is_unseen_unless_the_model_has_learnt_it(store, project, many, vote):
    train = [n for n, i in many.items() if len(i.candidates) == 2 and split_of(i.group_id) == "train"]
    store.append(*(vote(item=n) for n in train[:3]))
    made = snapshots.freeze(store, "lead", project.id)
    seen = [row["item"] for row in written(store, project, judge(store.home, made.hash)) if not row["unseen"]]
    assert seen == train[:3]


def test_a_model_from_elsewhere_has_seen_nothing_and_one_whose_snapshot_is_lost_everything(store, project, many):
    assert all(row["unseen"] for row in written(store, project, judge(store.home)))
    assert not any(row["unseen"] for row in written(store, project, judge(store.home, "0123456789ab")))


def test_a_project_without_comparisons_is_named(store, project):
    items.add(store, "lead", [asked(project.id, "thumb", "a")])
    with pytest.raises(UsageError, match="no pairs or rankings"):
        written(store, project, judge(store.home))


def test_labels_are_shares_of_votes_and_folds_keep_groups_together(store, project, many, vote):
    train = [n for n, i in many.items() if len(i.candidates) == 2 and split_of(i.group_id) == "train"]
    one, tied, both, decided, mixed, *rest = train
    store.append(vote(item=one, payload={"choice": 1}))
    store.append(vote(item=tied, payload={"choice": "tie"}))
    store.append(vote(item=both, payload={"choice": "both_bad"}))
    store.append(vote(item=decided, payload={"choice": 0}))
    store.append(vote(item=decided, payload={"choice": 1}, purpose="adjudication", annotator="lead"))
    store.append(*(vote(item=mixed, payload={"choice": c}, annotator=who) for c, who in ((0, "a"), (0, "b"), (1, "c"))))
    store.append(vote(item=rest[0], purpose="gold"))
    rows = {row["item"]: row for row in written(store, project, judge(store.home))}
    said = {item: row["said"] for item, row in rows.items() if row["said"] is not None}
    assert said == pytest.approx({one: 0, tied: 0.5, decided: 0, mixed: 2 / 3})
    assert {row["fold"] for row in rows.values()} == {0, 1, 2, 3, 4}
    folds = {(split_hash(many[item].group_id, seed=1) % 5, row["fold"]) for item, row in rows.items()}
    assert len(folds) == 5


def file_of(store, rows: list[tuple]) -> Path:
    """A file as the child leaves it: item, scores, control, unseen, crossed."""
    (store.home / "scores").mkdir(exist_ok=True)
    path = store.home / "scores" / "000001.parquet"
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    columns[1] = columns[1].cast(pa.list_(pa.float32()))
    pq.write_table(pa.table(columns, ["item", "scores", "control", "unseen", "crossed"]), path)
    return path


ROWS = [
    (3, [2.0, 1.0], False, True, None),
    (5, [0.0, 3.0, -1.0], True, True, None),
    (8, [0.5, 0.5], False, False, 0.25),
    (9, [0.5, 0.5], False, False, None),
]


def test_scores_are_read_as_gaps_and_chances(store, project):
    scores.note(store, "lead", project.id, "judge", file_of(store, ROWS), 4)
    found = scores.latest(store, project.id)
    assert (found.model, found.item.tolist(), found.gap.tolist()) == ("judge", [3, 5, 8, 9], [1.0, 4.0, 0.0, 0.0])
    # sigmoid(2 - 1) = 0.7311, of a ranking none, of what the model has learnt only what a probe says
    assert found.p_first.tolist() == pytest.approx([0.7311, np.nan, 0.25, np.nan], abs=1e-4, nan_ok=True)
    assert found.control.tolist() == [False, True, False, False]


def test_scores_of_an_older_program_are_read(store, project):
    path = file_of(store, ROWS)
    pq.write_table(pq.read_table(path).drop_columns(["crossed"]), path)
    assert scores.read(path, "judge").p_first.tolist() == pytest.approx([0.7311, *[np.nan] * 3], abs=1e-4, nan_ok=True)


def test_nothing_holds_before_it_is_noted_nor_for_another_project(store, project):
    path = file_of(store, ROWS)
    assert scores.latest(store, project.id) is scores.noted(store, project.id) is None
    scores.note(store, "lead", project.id, "judge", path, 3)
    assert scores.latest(store, project.id + 1) is None


@pytest.mark.parametrize("fate", ["gone", "changed"])
def test_a_lost_file_is_told_in_the_log_and_nothing_else_breaks(store, project, caplog, fate):
    path = file_of(store, ROWS)
    scores.note(store, "lead", project.id, "judge", path, 3)
    path.unlink() if fate == "gone" else path.write_bytes(b"x")
    with caplog.at_level(logging.ERROR):
        assert scores.latest(store, project.id) is None
    assert "000001.parquet is gone or changed" in caplog.text


def test_a_file_without_items_is_read(store):
    assert len(scores.read(file_of(store, [ROWS[0]]), "judge").item) == 1
    empty = pq.read_table(file_of(store, ROWS)).slice(0, 0)
    pq.write_table(empty, store.home / "scores" / "000002.parquet")
    assert len(scores.read(store.home / "scores" / "000002.parquet", "judge").item) == 0


def test_a_million_scores_are_read_within_a_second(store, project):
    n = 1_000_000
    values = pa.array(np.random.default_rng(0).normal(size=2 * n).astype(np.float32))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * n + 1, 2, dtype=np.int32)), values)
    flags = pa.array(np.arange(n) % 5 == 0)
    path = file_of(store, ROWS)
    pq.write_table(
        pa.table([pa.array(np.arange(n)), lists, flags, flags], ["item", "scores", "control", "unseen"]), path
    )
    scores.note(store, "lead", project.id, "judge", path, n)
    begun = time.process_time()
    assert len(scores.latest(store, project.id).item) == n
    assert time.process_time() - begun < 2  # of both cores, and they are not ours alone
