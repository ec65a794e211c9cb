"""A real store in a temporary home, and short ways to fill it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.schema import Candidate, Item, Judgement, Message, make_item
from workbench.store import imports, projects
from workbench.store.batch_row import SCHEMA, batch_row
from workbench.store.db import Store, uid


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home) as store:
        yield store


@pytest.fixture
def project(store: Store) -> projects.Project:
    return projects.create(store, "lead", "Tea")


@pytest.fixture
def vote():
    """`vote(item=1, annotator="ann", **fields)`: a judgement that was not stored yet."""

    def make(item: int = 1, annotator: str = "ann", **rest: object) -> Judgement:
        fields = {"kind": "pair", "payload": {"choice": 0, "strength": 2}, "shown_order": (1, 0)} | rest
        return Judgement(uid=uid(), item=item, annotator=annotator, **fields)

    return make


@pytest.fixture
def batch(store: Store):
    """`batch(items, judgements={row: [...]})`: the folder of an import that was read but not stored yet."""

    def make(found: list[Item], judgements: dict[int, list[dict]] | None = None, file: str = "f.jsonl") -> Path:
        folder = imports.next_folder(store)[1]
        rows = [batch_row(item) for item in found]
        for at, said in (judgements or {}).items():
            rows[at]["judgements"] = json.dumps(said)
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "batch.parquet")
        report = {"file": file, "dialect": "d", "lines": len(rows) + 1, "accepted": len(rows), "rejected": 1}
        (folder / "report.json").write_text(json.dumps(report))
        return folder

    return make


@pytest.fixture
def asked(project: projects.Project):
    """`asked(question, *answers, **fields)`: an item that was not stored yet."""

    def make(question: str, *answers: str, **rest: object) -> Item:
        candidates = tuple(Candidate((Message("assistant", text),), source="m1") for text in answers)
        return make_item(project.id, (Message("user", question),), candidates, **rest)

    return make
