"""The check of a whole store finds what was changed behind its back."""

import pytest

from workbench.store import items
from workbench.store.fsck import fsck


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("UPDATE judgements SET annotator = 'eve' WHERE seq = 6", "number 6: the row is missing or differs"),
        ("UPDATE judgements SET payload = '{\"choice\":1}' WHERE seq = 6", "number 6: the row is missing or differs"),
        ("DELETE FROM judgements WHERE seq = 5", "number 5: the row is missing or differs"),
        ("UPDATE events SET h = 'x'::BLOB WHERE seq = 2", "number 2: the row is missing or differs"),
        ("DELETE FROM items WHERE id = 2", "import 1: items or judgements are missing"),
        (
            "INSERT INTO events SELECT 99, uuid(), ts, actor, kind, payload, h FROM events LIMIT 1",
            "1 rows after number 6",
        ),
    ],
)
def test_harm_is_found(store, project, asked, vote, harm: str, found: str) -> None:
    items.add(store, "ann", [asked("a", "x", "y"), asked("b", "x", "y")])
    store.append(vote(1), vote(2), vote(1))
    assert fsck(store) == []
    with store.transaction() as cur:
        cur.execute(harm)
    [wrong] = fsck(store)
    assert wrong.startswith(found)
