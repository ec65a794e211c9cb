"""From answers to items: rings and thumbs, equal answers, and votes that keep pointing at their answer."""

import pyarrow.parquet as pq
import pytest

from workbench.formats.batch import BatchWriter, cut, items
from workbench.formats.reading import Reading, Vote, pair
from workbench.schema import Candidate, Message

ASKED = (Message("user", "Which?"),)


def answers(*texts: str) -> tuple[Candidate, ...]:
    return tuple(Candidate((Message("assistant", text),), source=f"m{i}") for i, text in enumerate(texts))


def texts(item) -> list[str]:
    return [c.messages[0].content for c in item.candidates]


@pytest.mark.parametrize(
    ("count", "tasks", "sizes"),
    [
        (0, ["pair", "thumb"], [0]),
        (1, ["pair", "thumb"], [1]),
        (2, ["pair"], [2]),
        (2, ["pair", "thumb"], [1, 1, 2]),
        (4, ["pair", "thumb"], [1, 1, 1, 1, 2, 2, 2, 2]),
        (3, ["rank"], [3]),
        (20, ["rank"], [9, 9, 2]),
    ],
)
def test_how_many_items_of_which_size(count, tasks, sizes):
    found = cut(1, ASKED, answers(*map(str, range(count))), tasks)
    assert sorted(len(i.candidates) for i in found) == sorted(sizes)
    assert len({i.group_id for i in found}) == 1


def test_in_a_ring_each_answer_meets_two_others():
    pairs = cut(1, ASKED, answers(*"abcde"), ["pair"])
    seen = [text for item in pairs for text in texts(item)]
    assert sorted(seen) == sorted("abcde" * 2)
    assert len({item.key for item in pairs}) == 5


def test_the_order_depends_on_the_answers_alone():
    one, other = (cut(1, ASKED, answers(*order), ["pair"]) for order in ("abcd", "dbca"))
    assert {i.key for i in one} == {i.key for i in other}


def test_equal_answers_are_one():
    assert [texts(i) for i in cut(1, ASKED, answers(" a", "a\n"), ["pair"])] == [[" a"]]
    assert len(cut(1, ASKED, answers("a", "b", " a"), ["pair"])) == 1


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_vote_follows_its_answer(order):
    first, second = (c.messages for c in answers(*order))
    [(item, [vote])] = items(pair(ASKED, first, second), 1, ["thumb"], {"line": 3})
    assert texts(item)[vote["payload"]["choice"]] == order[0]
    assert item.candidates[vote["payload"]["choice"]].source is None
    assert item.origin == {"line": 3, "positions": [order.index(t) for t in texts(item)]}


def test_ranks_and_thumbs_follow_too():
    votes = (
        Vote(kind="rank", payload={"tiers": [[2], [0, 3], [1]]}),
        Vote(kind="thumb", payload={"candidate": 1, "label": True}),
    )
    [(item, [rank, thumb])] = items(Reading(prompt=ASKED, candidates=answers(*"abcd"), votes=votes), 1, [], {})
    assert [sorted(texts(item)[i] for i in tier) for tier in rank["payload"]["tiers"]] == [["c"], ["a", "d"], ["b"]]
    assert texts(item)[thumb["payload"]["candidate"]] == "b"


def test_a_batch_has_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "batch.parquet"
    writer = BatchWriter(path)
    for _ in range(2):
        for item in cut(1, ASKED, answers("a", "b"), ["pair", "thumb"]):
            writer.add(item, [])
    assert not path.exists()
    writer.close()
    rows = pq.read_table(path).to_pylist()
    assert (len(rows), len(writer.keys)) == (6, 3)
    assert not list(tmp_path.glob("*.part"))
