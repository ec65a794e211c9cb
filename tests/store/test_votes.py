"""Labels as columns: what counts as a vote on what, and what is counted in texts, by hand."""

import numpy as np
import pytest

from workbench.schema import Candidate, Message, make_item
from workbench.store import items, votes
from workbench.store.votes import STYLE, cast, facts


@pytest.fixture
def read(store, project):
    def now() -> votes.Votes:
        with store.cursor() as cur:
            return votes.read(cur, project.id, "overall")

    return now


def test_the_last_vote_of_each_person_counts_on_the_ordinal_scale(store, asked, vote, read) -> None:
    first, second = items.add(store, "ann", [asked("a", "x", "y"), asked("b", "x", "y")])
    told = [(first, "ann", 0, 3), (first, "bob", 1, 1), (first, "eve", "tie", None), (second, "ann", "both_bad", None)]
    store.append(*(vote(i, who, payload={"choice": c, "strength": s}) for i, who, c, s in told))
    store.append(vote(second, "bob", payload={"choice": 1, "strength": None}))
    store.append(vote(first, "bob", purpose="overlap", payload={"choice": 0, "strength": 2}))  # bob again: this holds
    found = cast(read(), "pair")
    names = [found.votes.names["annotator"][who] for who in found.who]
    said = {
        (int(u), name): (int(c), int(level))
        for u, name, c, level in zip(found.unit, names, found.category, found.level, strict=True)
    }
    assert said == {
        (0, "ann"): (0, 0),
        (0, "bob"): (0, 1),
        (0, "eve"): (2, 3),
        (1, "ann"): (3, -1),  # both bad has no place
        (1, "bob"): (1, -1),  # others said how much, bob did not
    }
    assert found.item.tolist() == [first, second]


def test_where_nobody_says_how_much_a_choice_counts_one() -> None:
    level = votes.levels_of(np.array([0, 1, 2, 3]), np.zeros(4))
    assert level.tolist() == [2, 4, 3, -1]


def test_ratings_are_a_scale(store, asked, vote, read) -> None:
    [number] = items.add(store, "ann", [asked("a", "x", "y", "z")])
    for who, score in (("ann", 1.5), ("bob", 4.0)):
        payload = {"candidate": 1, "score": score, "low": 1, "high": 5}
        store.append(vote(number, who, kind="rating", purpose="import", payload=payload))
    found = cast(read(), "rating")
    assert (found.unit.tolist(), sorted(found.level.tolist())) == ([0, 0], [0, 1])


def test_skips_flags_and_gold(store, project, asked, vote) -> None:
    [number] = items.add(store, "ann", [asked("a", "x", "y")])
    flag = vote(number, kind="flag", payload={"why": None})
    gold = {"answer": {"choice": 1}, "explanation": "", "on": True}
    store.append(
        vote(number, kind="skip", payload={"why": None}),
        vote(number, kind="skip", payload={"why": None}, purpose="write"),  # an answer that was not written
        flag,
        vote(number, kind="undo", payload={"of": str(flag.uid)}),
        vote(number, "lead", kind="gold", payload=gold),
    )
    with store.cursor() as cur:
        assert votes.skips_and_flags(cur, project.id, "overall") == {("ann", "skip"): 1}
        assert votes.gold(cur, project.id, "overall") == {number: {"choice": 1}}
        store.append(vote(number, "lead", kind="gold", payload=gold | {"on": False}))
        assert votes.gold(cur, project.id, "overall") == {}


RICH = """# Tea

Boil **hot** water, **two** cups:
- one
* two
 3. three

```py
# a comment
```
## End
a # b -c **d"""


def test_what_is_counted_in_texts(store, project) -> None:
    answers = (Candidate((Message("assistant", RICH),)), Candidate((Message("assistant", "好的，one two"),)))
    item = make_item(project.id, (Message("user", "how  to\nmake tea?"), Message("user", "泡茶")), answers)
    [number] = items.add(store, "ann", [item])
    found = facts(store, project.id)
    rich = [c.messages[0].content for c in item.candidates].index(RICH)
    told = dict(zip(STYLE, found.style[0, rich].tolist(), strict=True))
    assert told == {"length": len(RICH), "headers": 3, "list_items": 3, "bold": 2, "code_blocks": 1}
    assert found.style[0, 1 - rich].tolist() == [10, 0, 0, 0, 0]
    latin = len(RICH.split()) + 4 + 2  # how to make tea?  ，one two
    assert found.words[0] == pytest.approx(latin + 4 / 1.6)
    assert found.at(np.array([number])).tolist() == [0]
    items.add(store, "ann", [make_item(project.id, (Message("user", "later"),), answers[:1])])
    assert len(facts(store, project.id).item) == 2
