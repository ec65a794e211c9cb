"""Checks keep their shares and distances and look like any item; calibration teaches before it lets through."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from workbench.labelling.checks import APART, SET, check_for, odds, through
from workbench.labelling.line import Line, Pick
from workbench.labelling.person import Person
from workbench.labelling.places import Places
from workbench.labelling.queue import Queue
from workbench.schema import Judgement
from workbench.store import items, judgements, projects
from workbench.store.db import Store
from workbench.store.projects import Project

Fill = Callable[..., list[int]]


def make_gold(queue: Queue, item: int, choice: int = 0, why: str = "It is kinder.") -> None:
    """As a lead does: a decision first, which then is what is right."""
    answer = {"choice": choice, "strength": 2}
    queue.decide(Judgement(uuid4(), item, "lead", "pair", answer, purpose="adjudication"))
    queue.decide(Judgement(uuid4(), item, "lead", "gold", {"answer": answer, "explanation": why, "on": True}))


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_gold_makes_its_share_of_views_and_keeps_its_distance(share: float) -> None:
    line = Line("overall", Places(np.arange(5000)), b"\1" * 5000, lambda: 0.0)
    for place in range(700):
        line.gold[place] = {}
    person, rules, rng, at = line.people["ann"], Project(1, "x", gold=share), Random(7), []
    for view in range(5000):
        if pick := check_for(line, "ann", rules, rng):
            person.checks[pick.place, "gold"] = "label"
            at.append(view)
        person.views += 1
    reachable = min(share, 1 / APART)
    assert len(at) / 5000 == pytest.approx(reachable, rel=0.15)
    assert min(np.diff(at)) >= APART
    assert len({place for place, _ in person.checks}) == len(at)  # each gold item once


def test_odds_are_worked_by_hand() -> None:
    # 5 % of views: every 20th, of which 9 must be others, so on the average the 11th of the views after them
    assert odds(0.05) == pytest.approx(1 / 11)
    assert (odds(0.0), odds(0.1), odds(0.2)) == (0.0, 1.0, 1.0)


def test_a_repeat_comes_after_fifty_others_with_its_sides_swapped_and_tells_nothing(
    store: Store, project: int, fill: Fill, say: Any, clock: Any
) -> None:
    projects.change(store, "lead", project, repeats=0.2)
    fill(200)
    queue, seen, first = Queue(store, clock=clock, seed=1), [], {}
    while found := queue.lease("ann", project, "pair", "t", 1)["items"]:
        [shown] = found
        view = queue.views.open("ann", shown["lease"])
        assert set(shown) == {"lease", "view", "teach", "named", "form", "lang", "prompt", "answers"}
        assert not shown["teach"]
        if view.purpose == "repeat":
            assert len(seen) - seen.index(view.item) > 50
            assert view.order == first[view.item][::-1]
        seen.append(view.item)
        first.setdefault(view.item, view.order)
        queue.submit("ann", say(shown))
    again = Counter(seen)
    assert set(again.values()) == {1, 2}
    assert 15 < sum(n == 2 for n in again.values()) < 60
    purposes = Counter(j.purpose for _, j in judgements.history(store, project))
    assert purposes == {"label": 200, "repeat": len(seen) - 200}
    assert queue.progress("bob", project, "pair")["done"] == 200
    assert queue.progress("ann", project, "pair")["mine"] == len(
        seen
    )  # a count that leaves repeats out would show them


def test_gold_is_asked_like_any_other_fills_no_slot_and_leaves_the_line(
    store: Store, project: int, fill: Fill, say: Any, clock: Any
) -> None:
    projects.change(store, "lead", project, gold=0.2)
    ids = fill(40)
    queue = Queue(store, clock=clock, seed=2)
    for item in ids[:5]:
        make_gold(queue, item)
    assert queue.progress("ann", project, "pair")["needed"] == 35
    while found := queue.lease("ann", project, "pair", "t", 3)["items"]:
        for shown in found:
            body = say(shown)
            before = queue.progress("ann", project, "pair")["done"]
            assert set(queue.submit("ann", body)) == {"ack", "seq"}
            assert queue.progress("ann", project, "pair")["done"] == before + 1
            queue.submit("ann", say(shown, "undo", payload={"of": str(body.uid)}))  # of gold as of any other
            queue.submit("ann", say(shown, supersedes=body.uid))
    purposes = Counter(vote["purpose"] for vote in judgements.current(store, project) if vote["kind"] == "pair")
    assert purposes["label"] == 35
    assert 2 <= purposes["gold"] <= 4  # at most one in ten views
    assert queue.progress("bob", project, "pair")["done"] == 35


def test_calibration_teaches_twenty_and_lets_through_with_sixteen(
    store: Store, project: int, fill: Fill, say: Any, clock: Any
) -> None:
    projects.change(store, "lead", project, calibrate=True)
    ids = fill(SET + 3)
    queue = Queue(store, clock=clock)
    for item in ids[:SET]:
        make_gold(queue, item)
    for n in range(SET):
        answer = queue.lease("ann", project, "pair", "t", 4)
        assert answer["progress"]["calibration"] == {"done": n, "of": SET}
        shown = answer["items"][0]
        assert shown["teach"]
        order = queue.views.open("ann", shown["lease"]).order
        right = order.index(0)
        body = say(shown, payload={"choice": right if n >= 4 else 1 - right, "strength": 1})
        told = queue.submit("ann", body)["taught"]
        assert (told["right"], told["answer"]["choice"], told["explanation"]) == (n >= 4, right, "It is kinder.")
        assert queue.submit("ann", body)["taught"] == told  # a lost answer is told again
    items = queue.lease("ann", project, "pair", "t")["items"]
    assert (len(items), items[0]["teach"]) == (3, False)
    assert Queue(store, clock=clock).lease("ann", project, "pair", "t")["items"][0]["teach"] is False


def test_whoever_fails_twice_waits_for_a_lead(store: Store, project: int, fill: Fill, say: Any, clock: Any) -> None:
    projects.change(store, "lead", project, calibrate=True)
    ids = fill(2 * SET + 1)
    queue = Queue(store, clock=clock)
    for item in ids[: 2 * SET]:
        make_gold(queue, item)
    for _ in range(2 * SET):
        shown = queue.lease("ann", project, "pair", "t", 1)["items"][0]
        queue.submit("ann", say(shown, payload={"choice": "tie"}))
    assert queue.lease("ann", project, "pair", "t")["reason"] == "untaught"
    queue.calibration("lead", project, "ann", "again")
    assert queue.lease("ann", project, "pair", "t")["items"][0]["teach"]
    queue.calibration("lead", project, "ann", "passed")
    queue.forget("ann")
    assert [shown["teach"] for shown in queue.lease("ann", project, "pair", "t")["items"]] == [False]


def test_sixteen_of_the_first_or_of_the_second_twenty_are_enough() -> None:
    def taught(*parts: tuple[int, int]) -> Person:
        return Person(taught=[at < right for right, n in parts for at in range(n)])

    assert through(taught((16, 20)))
    assert not through(taught((15, 20)))
    assert not through(taught((16, 19)))
    assert through(taught((3, 20), (16, 20)))
    assert not through(taught((15, 20), (15, 20)))


def test_a_gold_item_in_hand_is_not_given_twice() -> None:
    line = Line("overall", Places(np.arange(2)), b"\1\1", lambda: 0.0)
    line.gold[0] = {}
    line.people["ann"].views = 99
    rules = Project(1, "x", gold=0.2)
    line.lease("ann", "t", check_for(line, "ann", rules, Random(0)))
    line.people["ann"].views = 999
    assert list(line.leases["ann"]) == [(0, "gold")]
    assert check_for(line, "ann", rules, Random(0)) is None
    assert line.take("bob", "t", "control") == Pick(0)


@pytest.mark.parametrize("why", ["withdraw", "flag"])
def test_a_gold_item_that_was_closed_is_asked_of_nobody(
    store: Store, project: int, fill: Fill, say: Any, clock: Any, why: str
) -> None:
    projects.change(store, "lead", project, calibrate=True)
    ids = fill(SET + 1)
    queue = Queue(store, clock=clock)
    queue.standing(project)
    for item in ids:
        make_gold(queue, item)
    queue.decide(Judgement(uuid4(), ids[0], "lead", why, {"why": None}))
    for _ in range(SET):
        [shown] = queue.lease("ann", project, "pair", "t", 1)["items"]
        view = queue.views.open("ann", shown["lease"])
        assert view.item != ids[0]
        queue.submit("ann", say(shown, payload={"choice": view.order.index(0), "strength": 1}))
    assert queue.lease("ann", project, "pair", "t")["reason"] == "all_done"


def test_gold_in_which_a_model_names_itself_is_held_back_too(store: Store, project: int, make: Any) -> None:
    projects.change(store, "lead", project, calibrate=True, names="hold")
    texts = ["I am ChatGPT, made by OpenAI."] + [f"A herb {n}." for n in range(SET)]
    ids = items.add(store, "lead", [make(project, f"q {n}", text, "Other.") for n, text in enumerate(texts)])
    queue = Queue(store)
    for item in ids:
        make_gold(queue, item)
    found = queue.lease("ann", project, "pair", "t", 20)["items"]
    assert len(found) == 20
    assert "OpenAI" not in str(found)
    assert queue.held(project, "overall") in ([], [ids[0]])  # as far as the queue has come


def test_who_labelled_before_calibration_came_is_no_newcomer_unless_a_lead_says_again(
    store: Store, project: int, fill: Fill, say: Any, clock: Any
) -> None:
    ids = fill(SET + 2)
    queue = Queue(store, clock=clock)
    [shown] = queue.lease("ann", project, "pair", "t", 1)["items"]
    queue.submit("ann", say(shown))
    mine = queue.views.open("ann", shown["lease"]).item
    for item in [item for item in ids if item != mine][:SET]:
        make_gold(queue, item)
    projects.change(store, "lead", project, calibrate=True)
    teaches = {who: queue.lease(who, project, "pair", who, 1)["items"][0]["teach"] for who in ("ann", "bob")}
    assert teaches == {"ann": False, "bob": True}
    queue.forget("ann")
    queue.calibration("lead", project, "ann", "again")
    assert queue.lease("ann", project, "pair", "t", 1)["items"][0]["teach"]
