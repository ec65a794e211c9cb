"""A queue that is read out of the history is the queue that lived through it."""

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from workbench.errors import Conflict, Withdrawn
from workbench.labelling.line import Line
from workbench.labelling.queue import Queue
from workbench.schema import Judgement
from workbench.store import projects
from workbench.store.db import Store

PEOPLE = ("ann", "bob", "cid")


def state(line: Line) -> dict[str, Any]:
    """All that a line knows of the past, without what is only in the air (leases, when checks came)."""
    people = {
        name: (
            p.acts,
            p.checks,
            p.taught,
            list(p.labels),
            list(p.recent),
            {k: n for k, n in p.counts.items() if n},
            p.today,
        )
        for name, p in line.people.items()
        if p.counts.total() or p.checks or p.recent
    }
    return {
        "people": people,
        "sums": (line.wanted, line.got, list(line.done), list(line.needed), list(line.free)),
        "shut": {place: why for place, why in line.shut.items() if why},
        "said": {place: said for place, said in line.said.items() if said},
        "gold": line.gold,
        "bad": dict(line.bad) if line.writes else {},
    }


class Team:
    """People and a lead who do anything that can be done, by a fixed seed."""

    def __init__(self, queue: Queue, project: int, say: Callable[..., Any], seed: int) -> None:
        self.queue, self.project, self.say, self.rng = queue, project, say, random.Random(seed)
        self.done: list[tuple[str, dict, UUID]] = []
        self.flags: list[tuple[int, UUID]] = []

    def annotate(self, who: str, axis: str, task: str) -> None:
        found = self.queue.lease(who, self.project, task, who, 1, axis=axis)["items"]
        for shown in found[:1]:
            kind = self.rng.choice([task] * 6 + ["skip", "flag"] + ["edit"] * (task != "write"))
            payload = {
                "pair": self.rng.choice(
                    [{"choice": 0, "strength": 1}, {"choice": 1, "strength": 3}, *[{"choice": "both_bad"}] * 3]
                ),
                "rank": self.rng.choice([{"tiers": [[0], [2, 1]]}, {"tiers": []}]),
                "edit": {"candidate": 1, "text": f"better {self.rng.random()}"},
                "write": {"candidate": self.rng.choice([None, 0]), "text": f"good {self.rng.random()}"},
            }.get(kind, {"why": None})
            body = self.say(shown, kind, payload=payload)
            self.queue.submit(who, body)
            self.done.append((who, shown, body.uid))
            if kind == "flag":
                self.flags.append((self.queue.views.open(who, shown["lease"]).item, body.uid))

    def undo(self) -> None:
        who, shown, of = self.done[-1 - self.rng.randrange(min(6, len(self.done)))]
        try:
            self.queue.submit(who, self.say(shown, "undo", payload={"of": str(of)}))
        except (Conflict, Withdrawn):
            return

    def rule(self, item: int) -> None:
        kind = self.rng.choice(["adjudicate", "gold", "ungold", "withdraw", "clear"])
        if kind == "clear":
            for flagged, uid in self.flags[-1:]:
                self.queue.decide(Judgement(uuid4(), flagged, "lead", "clear", {"of": str(uid)}))
            return
        payload = {"adjudicate": {"choice": 0, "strength": 2}, "withdraw": {"why": None}}
        gold = {"answer": {"choice": 1}, "explanation": "", "on": kind == "gold"}
        purpose = "adjudication" if kind == "adjudicate" else "label"
        name = {"adjudicate": "pair", "ungold": "gold"}.get(kind, kind)
        self.queue.decide(Judgement(uuid4(), item, "lead", name, payload.get(kind, gold), purpose=purpose))


@pytest.mark.parametrize("seed", range(4))
def test_reading_a_history_gives_the_queue_that_lived_through_it(
    store: Store, project: int, clock: Any, fill: Any, say: Any, seed: int
) -> None:
    rules = {"axes": {"safety": ""}, "overlap": 0.5, "gold": 0.2, "repeats": 0.2, "write": True}
    projects.change(store, "lead", project, tasks=["pair", "rank"], **rules)
    ids = fill(60) + fill(40, answers=3)
    queue = Queue(store, clock=clock, seed=seed)
    team = Team(queue, project, say, seed)
    for step in range(240):
        task = team.rng.choice(["pair", "pair", "rank", "write", "write"])
        axis = "overall" if task == "write" else team.rng.choice(["overall", "overall", "safety"])
        team.annotate(team.rng.choice(PEOPLE), axis, task)
        if step % 7 == 0 and team.done:
            team.undo()
        if step % 9 == 0:
            team.rule(team.rng.choice(ids))
    for who in PEOPLE:
        queue.forget(who)
    again = Queue(store, clock=clock)
    again.standing(project)
    assert queue.lines[project, "overall", "write"].got > 5
    assert set(again.lines) == set(queue.lines)
    for name, line in queue.lines.items():
        assert state(again.lines[name]) == state(line), name


def test_calibration_answers_count_from_where_a_lead_said_again(
    store: Store, queue: Queue, project: int, fill: Any
) -> None:
    [item] = fill(1)
    lesson = Judgement(uuid4(), item, "ann", "pair", {"choice": 0, "strength": 1}, purpose="calibration")
    queue.decide(Judgement(uuid4(), item, "lead", "gold", {"answer": {"choice": 0}, "explanation": "", "on": True}))
    store.append(lesson)
    assert Queue(store).lines == {}
    again = Queue(store)
    again.standing(project)
    assert again.lines[project, "overall", "pair"].people["ann"].taught == [True]
    again.calibration("lead", project, "ann", "again")
    for found in (again, Queue(store)):
        found.standing(project)
        assert found.lines[project, "overall", "pair"].people["ann"].taught == []
