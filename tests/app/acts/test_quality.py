"""A lead's figures and people: the report with progress, one person, pause and calibration, everything as files."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.app.acts.conftest import do as act
from workbench.app.acts.quality import flattened, tables_of
from workbench.app.house import House
from workbench.errors import NotFound, UsageError
from workbench.schema import Candidate, Judgement, Message, make_item
from workbench.store import items, projects
from workbench.store.db import uid

PAIRS, SAME = 40, 30


@pytest.fixture
def do(house: House) -> Callable[..., dict[str, Any]]:
    return partial(act, house)


@pytest.fixture
def project(house: House, do: Any) -> int:
    """Of 40 pairs ann and =bob agree on 30; 10 more wait."""
    number = do("project_create", name="herbs", tasks=["pair"])["id"]
    projects.change(house.store, "local", number, overlap=0.0)
    texts = [tuple(Candidate((Message("assistant", f"{side} {n}"),)) for side in "ab") for n in range(PAIRS + 10)]
    made = [make_item(number, (Message("user", f"Herb {n}?"),), found) for n, found in enumerate(texts)]
    votes = [
        Judgement(uid(), item, who, "pair", {"choice": choice, "strength": 2}, shown_order=(0, 1), ms_active=36_000)
        for n, item in enumerate(items.add(house.store, "lea", made)[:PAIRS])
        for who, choice in (("ann", n % 2), ("=bob", n % 2 if n < SAME else 1 - n % 2))
    ]
    house.store.append(*votes)
    return number


def test_the_report_says_how_long_the_rest_takes(do: Any, project: int) -> None:
    told = do("review_report", project=project)
    assert told["agreement"]["raw"]["value"] == pytest.approx(SAME / PAIRS)
    # 10 labels are left at 36 s each
    assert told["progress"] == {"done": PAIRS, "needed": PAIRS + 10, "hours_left": pytest.approx(0.1)}


def test_how_long_writing_takes_nobody_knows(house: House, do: Any, project: int) -> None:
    projects.change(house.store, "local", project, write=True)
    first = items.for_queue(house.store, project)["id"][0]
    house.store.append(Judgement(uid(), int(first), "eve", "pair", {"choice": "both_bad"}))
    told = do("review_report", project=project)["progress"]
    assert (told["done"], told["needed"], told["hours_left"]) == (PAIRS, PAIRS + 11, pytest.approx(0.1))


def test_one_person_closely(do: Any, project: int) -> None:
    found = do("review_person", project=project, annotator="ann")
    assert found["person"]["labels"] == PAIRS
    assert found["others"] == [{"annotator": "=bob", "n": PAIRS, "agreement": SAME / PAIRS}]
    assert sum(day["labels"] for day in found["days"]) == PAIRS
    assert (found["paused"], found["calibration"]) == (False, None)
    assert do("review_person", project=project, annotator="cat")["person"] is None
    with pytest.raises(NotFound):
        do("review_report", project=project, axis="taste")


def test_a_lead_pauses_and_calibrates(do: Any, project: int) -> None:
    do("review_pause", project=project, annotator="ann", on=True)
    do("review_calibrate", project=project, annotator="ann", state="again")
    found = do("review_person", project=project, annotator="ann")
    assert (found["paused"], found["calibration"]) == (True, "again")
    do("review_pause", project=project, annotator="ann", on=False)
    assert not do("review_person", project=project, annotator="ann")["paused"]


def test_every_number_leaves_as_a_file(do: Any, project: int) -> None:
    made = do("review_export", project=project)
    folder = Path(made["folder"])
    assert {path.name for path in folder.iterdir()} == set(made["files"])
    whole = json.loads((folder / "report.json").read_text())
    with (folder / "people.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["annotator"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"ann", "'=bob"}  # no spreadsheet takes a name for a formula
    [ann] = [person for person in whole["people"] if person["annotator"] == "ann"]
    assert float(rows["ann"]["left.value"]) == ann["left"]["value"]
    with (folder / "confusion.csv").open(encoding="utf-8-sig", newline="") as file:
        [pair] = csv.DictReader(file)
    assert (pair["n"], float(pair["agreement"])) == (str(PAIRS), SAME / PAIRS)
    assert whole == json.loads(json.dumps(do("review_report", project=project)))  # all that the page shows
    with (folder / "progress.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["done"], row["needed"]) for row in csv.DictReader(file)] == [(str(PAIRS), str(PAIRS + 10))]


def test_an_empty_project_has_its_tables_too(do: Any) -> None:
    number = do("project_create", name="empty")["id"]
    told = do("review_report", project=number)
    assert told["progress"] == {"done": 0, "needed": 0, "hours_left": None}
    assert {name: rows for name, rows in tables_of(told).items() if "people" in name} == {"people.csv": []}
    assert do("review_export", project=number)["files"] == [
        "report.json",
        "agreement.csv",
        "noise.csv",
        "bias.csv",
        "progress.csv",
    ]


def test_an_estimate_becomes_columns() -> None:
    row = {"week": "2026-W47", "raw": {"value": 0.5, "low": 0.4}, "marked": ["left", "fast"]}
    assert flattened(row) == {"week": "2026-W47", "raw.value": 0.5, "raw.low": 0.4, "marked": "left fast"}


def test_what_is_counted_of_a_project_is_every_axis_and_task_that_it_asks_for(house: House, do: Any) -> None:
    number = do("project_create", name="sums", tasks=["pair"])["id"]
    do("project_change", project=number, axes={"kind": ""}, overlap=0.0)
    two, three = (tuple(Candidate((Message("assistant", text),)) for text in texts) for texts in ("ab", "abc"))
    pair, _ = items.add(
        house.store, "lea", [make_item(number, (Message("user", f"{len(found)}?"),), found) for found in (two, three)]
    )
    house.store.append(Judgement(uid(), pair, "ann", "pair", {"choice": 0, "strength": 2}, shown_order=(0, 1)))
    project = house.project(number)
    # one pair on two axes, labelled on one of them; nobody is asked for the ranking
    assert house.counted("ann", project) == {"needed": 2, "done": 1, "today": 1}
    assert house.counted("ann", project, "kind") == {"needed": 1, "done": 0, "today": 0}
    do("project_change", project=number, tasks=["pair", "rank"])
    assert house.counted("ann", house.project(number))["needed"] == 4


def test_a_lead_writes_to_somebody_who_labels_here(do: Any, house: House, project: int) -> None:
    house.accounts.invite("local", "ann", "annotator")
    do("review_message", project=project, annotator="ann", text=" Ties are rare here. ")
    [told] = do("review_person", project=project, annotator="ann")["messages"]
    assert (told["by"], told["text"], told["read"]) == ("local", "Ties are rare here.", None)
    with pytest.raises(NotFound, match="cat"):
        do("review_message", project=project, annotator="cat", text="Hello.")
    for text in (" ", "x" * 2001):
        with pytest.raises(UsageError, match="text"):
            do("review_message", project=project, annotator="ann", text=text)
    [line] = do("audit", what="message")["entries"]
    assert line["on"] == {"project": project, "annotator": "ann", "text": "Ties are rare here."}
    projects.change(house.store, "local", project, members=[])
    with pytest.raises(NotFound, match="herbs"):
        do("review_message", project=project, annotator="ann", text="Hello.")
