"""The log: acts and decisions in it, labels and the state that acts leave behind not."""

from workbench.schema import Event, Judgement
from workbench.store import audit, projects
from workbench.store.db import uid
from workbench.store.tokens import Token, all, put


def test_acts_and_decisions_are_in_it_and_labels_are_not(store) -> None:
    projects.create(store, "lea", "tour")
    audit.note(store, "lea", "project_create", name="tour")
    store.append(Event(uid(), "lea", "pause", {"annotator": "ann", "on": True}))
    for who, kind, purpose, payload in (
        ("ann", "pair", "label", {"choice": 0, "strength": 2}),
        ("lea", "pair", "adjudication", {"choice": 1, "strength": 2}),
        ("lea", "gold", "label", {"answer": {}, "explanation": "", "on": True}),
    ):
        store.append(Judgement(uid(), 7, who, kind, payload, purpose=purpose))
    found = audit.entries(store)
    assert [e["act"] for e in found] == ["gold", "adjudication", "pause", "project_create"]
    assert (found[0]["on"], found[3]["on"]) == ({"item": 7, "axis": "overall"}, {"name": "tour"})
    assert [e["act"] for e in audit.entries(store, "lea", limit=2, before=found[1]["seq"])] == [
        "pause",
        "project_create",
    ]
    assert [e["who"] for e in audit.entries(store, act="gold")] == ["lea"]
    assert audit.choices(store) == (["lea"], ["adjudication", "gold", "pause", "project_create"])


def test_the_latest_token_of_a_number_holds(store) -> None:
    first = Token(1, "ann", "ci", "ab", "2026-01-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00")
    put(store, "ann", first)
    put(store, "ann", Token(2, "ann", "x", "cd", first.created, first.expires))
    put(store, "ada", Token(1, "ann", "ci", "ab", first.created, first.expires, revoked=True))
    assert [(t.id, t.revoked) for t in all(store)] == [(1, True), (2, False)]
