"""The short form of the labelling benchmarks: nothing acknowledged is lost, none is labelled twice."""

import json
import random

from tests.bench import house, labelling, queue
from workbench.schema import Judgement
from workbench.store.db import Store, uid


def test_some_annotators_lose_and_double_nothing(tmp_path):
    told = tmp_path / "told.json"
    short = ["--annotators", "6", "--think", "0.2", "--minutes", "0.05", "--no-browser", "--json", str(told)]
    assert labelling.main(short) == 0
    found = json.loads(told.read_text())
    assert (found["lost"], found["doubled"], found["errors"]) == (0, 0, 0)
    assert found["labels"] >= 20
    assert found["server_p50_ms"] <= found["server_p95_ms"] <= found["server_p99_ms"]


def test_rich_answers_have_code_and_formulas():
    made = house.answer(random.Random(0), 20_000, rich=True)
    assert len(made.content) == 20_000
    assert {tag for tag in ("<pre", "<math", "<table", "<li") if tag in made.html} == {"<pre", "<math", "<table", "<li"}
    assert house.answer(random.Random(0), 300, rich=False).html is None


def test_what_is_lost_or_doubled_would_be_seen(tmp_path):
    made = house.make(tmp_path / "home", ["ann"], 5, 300, rich=False)
    votes = [
        ("ann", 1, "label"),
        ("bob", 1, "label"),
        ("ann", 2, "overlap"),
        ("bob", 2, "overlap"),
        ("cy", 3, "repeat"),
    ]
    said = [
        Judgement(uid(), item, name, "pair", {"choice": 0, "strength": 1}, purpose=purpose)
        for name, item, purpose in votes
    ]
    with Store.open(tmp_path / "home") as store:
        store.append(*said)
    found = labelling.counted(tmp_path / "home", made.project, [str(said[0].uid), str(uid())])
    assert found == {"labels": 5, "lost": 1, "doubled": 1}


def test_a_queue_of_many_items_is_measured(tmp_path):
    found = queue.measured(tmp_path / "home", 5_000, 5_000)
    assert found["rebuild_s"] < 5
    assert found["lease_p50_ms"] <= found["lease_p95_ms"]
