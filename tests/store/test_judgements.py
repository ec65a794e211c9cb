"""What holds: the last word of each annotator, unless it was undone or superseded."""

from datetime import UTC, datetime, timedelta

import pytest

from workbench.store import items, judgements


@pytest.fixture(autouse=True)
def two_items(store, asked) -> None:
    items.add(store, "ann", [asked("a", "x", "y"), asked("b", "x", "y")])


def choices(store, project, **where) -> list:
    return [(v["item"], v["annotator"], v["payload"]["choice"]) for v in judgements.current(store, project.id, **where)]


def test_the_last_word_of_each_annotator_and_purpose_holds(store, project, vote) -> None:
    for who, choice in (("ann", 0), ("bob", 1), ("ann", "tie")):
        judgements.append(store, vote(1, who, payload={"choice": choice, "strength": None}))
    judgements.append(store, vote(2, "ann", purpose="gold"))
    assert choices(store, project) == [(1, "bob", 1), (1, "ann", "tie"), (2, "ann", 0)]
    assert choices(store, project, purposes=["gold"]) == [(2, "ann", 0)]
    assert choices(store, project, purposes=[]) == []
    assert judgements.current(store, 99) == []


def test_undone_and_superseded_labels_do_not_hold(store, project, vote) -> None:
    first, other = vote(1), vote(2)
    store.append(first, other, vote(1, kind="skip", payload={"why": None}))
    assert choices(store, project) == [(1, "ann", 0), (2, "ann", 0)]
    store.append(vote(1, kind="undo", payload={"of": str(first.uid)}))
    assert choices(store, project) == [(2, "ann", 0)]
    better = vote(1, payload={"choice": 1, "strength": 3}, supersedes=first.uid)
    store.append(better, vote(2, "bob", payload={"choice": 1, "strength": 1}, supersedes=other.uid))
    assert choices(store, project) == [(1, "ann", 1), (2, "bob", 1)]


def test_history_keeps_everything_in_order(store, project, vote) -> None:
    said = [vote(1), vote(2, "bob", reason={"chips": ["tone"]}), vote(1, kind="skip", payload={"why": "unclear"})]
    numbers = [judgements.append(store, one) for one in said]
    assert list(judgements.history(store, project.id)) == list(zip(numbers, said, strict=True))
    assert judgements.of_item(store, 1) == [(numbers[0], said[0]), (numbers[2], said[2])]
    assert judgements.of_item(store, 99) == []


@pytest.mark.rule("R23")
def test_a_clock_that_jumps_back_changes_no_order(store, project, vote) -> None:
    now = datetime.now(UTC)
    for hours, choice in ((0, 0), (-30, 1), (-60, "tie")):
        store.append(vote(1, payload={"choice": choice, "strength": None}, ts=now + timedelta(hours=hours)))
    assert choices(store, project) == [(1, "ann", "tie")]
    assert [said.payload["choice"] for _, said in judgements.history(store, project.id)] == [0, 1, "tie"]
