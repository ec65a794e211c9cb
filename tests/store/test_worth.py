"""Which pairs and labels are measured, and the event of what was found."""

import pyarrow.parquet as pq
import pytest

from workbench.errors import UsageError
from workbench.schema import Candidate, Message, make_item, split_hash
from workbench.store import items, worth

PAIRS = 400


@pytest.fixture
def many(store, project, vote) -> list[int]:
    """400 pairs and a ranking, all labelled."""
    made = [
        make_item(
            project.id,
            (Message("user", f"q{i}"),),
            tuple(Candidate((Message("assistant", text),)) for text in ("a", "b", "c")[: 2 + (i == PAIRS)]),
        )
        for i in range(PAIRS + 1)
    ]
    ids = items.add(store, "lead", made)
    store.append(*(vote(item=id, payload={"choice": id % 2}) for id in ids[:PAIRS]))
    store.append(vote(item=ids[-1], kind="rank", payload={"tiers": [[0], [1], [2]]}, shown_order=(0, 1, 2)))
    return ids


def written(store, project, axis="overall") -> dict[int, dict]:
    path = store.home / "pairs.parquet"
    worth.write_pairs(store, project, axis, path)
    return {row["item"]: row for row in pq.read_table(path).to_pylist()}


def test_labelled_pairs_are_read_and_the_control_arm_tests(store, project, many):
    found = written(store, project)
    assert sorted(found) == sorted(many[:PAIRS])
    assert [found[id]["said"] for id in many[:6]] == [1 - id % 2 for id in many[:6]]
    stored = items.many(store, many[:PAIRS])
    assert {id: row["test"] for id, row in found.items()} == {
        id: split_hash(item.group_id) < 2000 for id, item in stored.items()
    }
    assert found[many[0]]["group"] == stored[many[0]].group_id


def test_what_is_hidden_or_gold_is_left_out(store, project, many, vote):
    store.append(
        vote(item=many[0], kind="flag", payload={"why": "broken"}),
        vote(item=many[1], kind="withdraw", payload={}),
        vote(item=many[2], kind="gold", payload={"answer": {"choice": 0}}),
    )
    assert sorted(written(store, project)) == sorted(many[3:PAIRS])


def test_too_few_labels_are_counted(store, project, many):
    with pytest.raises(UsageError, match="50 in the control arm and 100 outside; there are 0 and 0"):
        written(store, project, "safety")


def test_what_was_found_last_holds_for_its_axis(store, project):
    assert worth.noted(store, project.id, "overall") is None
    for labels in (100, 200):
        worth.note(store, "lead", project.id, "overall", {"labels": labels, "law": {"a": 0.1}})
    told = worth.noted(store, project.id, "overall")
    assert (told["labels"], told["law"]) == (200, {"a": 0.1})
    assert worth.noted(store, project.id, "safety") is worth.noted(store, project.id + 1, "overall") is None
