"""Items: stored once per key, numbered without gaps, read back as they were."""

import pytest

from workbench.errors import NotFound
from workbench.schema import Candidate, Message, make_item
from workbench.store import imports, items


def test_items_come_back_as_they_were(store, project) -> None:
    said = Message("assistant", "", extra={"tool_calls": [{"name": "kettle"}]})
    item = make_item(
        project.id,
        (Message("system", "Be brief."), Message("user", "Boil 水\u2028?", html="<p>Boil</p>")),
        (Candidate((said,), "m1", {"temperature": 0.7}), Candidate((Message("assistant", " 3 min\n"),), None)),
        root="thread-7",
        tools=[{"name": "kettle"}],
        lang="en",
        tags=("tea",),
        origin={"line": 3},
    )
    [number] = items.add(store, "ann", [item])
    stored = items.get(store, number)
    assert stored.key == item.key
    assert items.many(store, [number, 99, number]) == {number: stored}
    assert [stored.prompt, stored.candidates, stored.tools, stored.origin] == [
        *(item.prompt, item.candidates, item.tools, item.origin)
    ]
    assert (stored.group_id, stored.lang, stored.tags) == (item.group_id, "en", ("tea",))
    with pytest.raises(NotFound):
        items.get(store, 99)


def test_one_key_is_one_item_of_a_project(store, project, asked) -> None:
    assert items.add(store, "ann", [asked("a", "x", "y"), asked("b", "x"), asked("a", "y", "x")]) == [1, 2, 1]
    assert items.add(store, "ann", [asked("c"), asked("b", "x")]) == [3, 2]
    assert items.add(store, "ann", []) == []
    assert [(row.id, row.n_candidates) for row in items.iter_ids(store, project.id)] == [(1, 2), (2, 1), (3, 0)]
    assert [(i["items"], i["merged"], i["first_item"]) for i in imports.all(store, project.id)] == [
        (2, 1, 1),
        (1, 1, 3),
    ]
    assert list(items.iter_ids(store, 2)) == []
