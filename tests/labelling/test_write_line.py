"""Both bad becomes a writing task: it comes and goes with the label, is leased like any other, and checks nobody."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from workbench.errors import Conflict, NotFound, UsageError
from workbench.labelling.queue import Queue
from workbench.schema import Judgement
from workbench.store import items, judgements, projects
from workbench.store.db import Store

BAD = {"choice": "both_bad"}
GOOD = {"choice": 0, "strength": 2}
NONE = {"tiers": []}


@pytest.fixture
def desk(store: Store, queue: Queue, project: int, say: Callable[..., Any]) -> "Desk":
    projects.change(store, "lead", project, tasks=["pair", "thumb", "rank"], write=True)
    return Desk(queue, project, say)


class Desk:
    """What people do, in few words."""

    def __init__(self, queue: Queue, project: int, say: Callable[..., Any]) -> None:
        self.queue, self.project, self.say = queue, project, say

    def lease(self, who: str, task: str = "write", **rest: Any) -> list[dict[str, Any]]:
        return self.queue.lease(who, self.project, task, who, **rest)["items"]

    def label(self, who: str, payload: dict[str, Any], kind: str = "pair") -> tuple[dict[str, Any], UUID]:
        shown = self.lease(who, kind, want=1)[0]
        return shown, self.send(who, shown, kind, payload)

    def send(self, who: str, shown: dict[str, Any], kind: str, payload: dict[str, Any], **rest: Any) -> UUID:
        body = self.say(shown, kind, payload=payload, tab=who, **rest)
        self.queue.submit(who, body)
        return body.uid

    def write(self, who: str, shown: dict[str, Any], text: str = "A good answer", **rest: Any) -> UUID:
        return self.send(who, shown, "write", {"candidate": None, "text": text}, **rest)

    def left(self) -> int:
        told = self.queue.progress("lea", self.project, "write")
        return told["needed"] - told["done"]


@pytest.mark.parametrize(("kind", "bad", "answers"), [("pair", BAD, 2), ("rank", NONE, 3)])
def test_an_item_whose_answers_are_all_bad_is_written_once(
    store: Store, desk: Desk, fill: Any, kind: str, bad: dict[str, Any], answers: int
) -> None:
    fill(3, answers=answers)
    assert desk.lease("bob") == []
    assert desk.left() == 0
    first, _ = desk.label("ann", bad, kind)
    desk.label("ann", GOOD if kind == "pair" else {"tiers": [[0, 1, 2]]}, kind)
    assert desk.left() == 1
    [shown] = desk.lease("bob")
    assert sorted(map(str, shown["answers"])) == sorted(map(str, first["answers"]))
    assert desk.lease("ann") == []  # it is with bob
    uid = desk.write("bob", shown)
    assert desk.left() == 0
    assert desk.lease("ann") == []
    [stored] = judgements.current(store, desk.project, ["write"])
    assert (stored["uid"], stored["kind"], stored["annotator"]) == (uid, "edit", "bob")
    assert stored["payload"]["messages"] == [{"role": "assistant", "content": "A good answer"}]
    assert (stored["payload"]["candidate"], stored["payload"]["distance"]) == (None, None)
    with pytest.raises(Conflict, match="already"):
        desk.write("bob", shown, "Another one")


@pytest.mark.parametrize(("kind", "bad", "good"), [("pair", BAD, GOOD), ("rank", NONE, {"tiers": [[0], [1, 2]]})])
def test_nobody_writes_before_everybody_has_labelled(
    store: Store, desk: Desk, fill: Any, kind: str, bad: dict[str, Any], good: dict[str, Any]
) -> None:
    projects.change(store, "lead", desk.project, overlap=1.0)
    fill(1, answers=2 if kind == "pair" else 3)
    desk.label("ann", bad, kind)
    assert (desk.lease("bob"), desk.left()) == ([], 0)
    desk.label("bob", good, kind)
    assert (desk.lease("cid"), desk.left()) == ([], 0)  # cid is to break the tie
    shown, label = desk.label("cid", bad, kind)
    assert desk.left() == 1
    desk.send("cid", shown, "undo", {"of": str(label)})
    assert (desk.lease("dan"), desk.left()) == ([], 0)
    desk.send("cid", shown, kind, bad, supersedes=label)
    desk.write("dan", desk.lease("dan")[0])
    assert (desk.left(), desk.lease("bob")) == (0, [])


def test_whoever_said_so_may_write_and_their_label_stands(store: Store, desk: Desk, fill: Any) -> None:
    fill(1)
    desk.label("ann", BAD)
    [shown] = desk.lease("ann")
    desk.send("ann", shown, "write", {"candidate": 1, "text": "better by far"})
    assert {vote["kind"] for vote in judgements.current(store, desk.project)} == {"pair", "edit"}
    told = desk.queue.progress("ann", desk.project, "write")
    assert (told["mine"], told["today"], told["all_today"], told["done"]) == (1, 1, 2, 1)


@pytest.mark.parametrize("restart", [False, True])
def test_taking_the_label_back_closes_the_item_unless_somebody_wrote(
    store: Store, desk: Desk, fill: Any, restart: bool
) -> None:
    fill(2)
    acts = [desk.label("ann", BAD), desk.label("ann", BAD)]
    [one, other] = desk.lease("bob")
    desk.write("bob", one)
    desk.queue.release("bob", "bob", [other["lease"]])
    if restart:
        desk.queue = Queue(store, clock=desk.queue.clock)
        desk.queue.born -= 60
    for shown, uid in acts:
        desk.send("ann", shown, "undo", {"of": str(uid)})
    told = desk.queue.progress("bob", desk.project, "write")
    assert (told["needed"], told["done"]) == (1, 1)
    assert desk.lease("cid") == []
    assert len(judgements.current(store, desk.project, ["write"])) == 1


def test_whoever_labels_learns_that_something_waits_but_not_how_much(desk: Desk, fill: Any) -> None:
    fill(3)
    for waits in (False, True, True):
        told = desk.queue.lease("ann", desk.project, "pair", "ann", 1)
        assert told["progress"]["to_write"] is waits
        desk.send("ann", told["items"][0], "pair", BAD)


def test_an_edit_taken_back_leaves_the_label_and_its_task(desk: Desk, fill: Any) -> None:
    fill(1)
    [shown] = desk.lease("ann", "pair")
    edit = desk.send("ann", shown, "edit", {"candidate": 0, "text": "half good"})
    desk.send("ann", shown, "pair", BAD)
    desk.send("ann", shown, "undo", {"of": str(edit)})
    assert desk.left() == 1


def test_a_lead_who_decides_closes_it(desk: Desk, fill: Any) -> None:
    [item] = fill(1)
    desk.label("ann", BAD)
    desk.queue.decide(Judgement(uuid4(), item, "lea", "pair", GOOD, purpose="adjudication"))
    assert desk.lease("bob") == []
    assert desk.left() == 0


def test_undo_brings_the_writing_back_and_a_new_text_replaces_it(store: Store, desk: Desk, fill: Any) -> None:
    fill(1)
    desk.label("ann", BAD)
    [shown] = desk.lease("bob")
    old = desk.write("bob", shown, "first try")
    desk.send("bob", shown, "undo", {"of": str(old)})
    assert desk.left() == 1
    assert desk.lease("cid") == []
    desk.write("bob", shown, "second try", supersedes=old)
    [stored] = judgements.current(store, desk.project, ["write"])
    assert stored["payload"]["messages"][0]["content"] == "second try"


def test_skips_and_flags_are_of_this_task_alone(desk: Desk, fill: Any) -> None:
    fill(2)
    labels = [desk.label("ann", BAD)[1], desk.label("ann", BAD)[1]]
    [one, other] = desk.lease("bob")
    desk.send("bob", one, "skip", {"why": None})
    assert desk.lease("bob", held=[other["lease"]])[0]["lease"] == other["lease"]
    assert len(desk.lease("cid")) == 1
    pairs = desk.queue.progress("bob", desk.project, "pair")
    assert (pairs["skipped"], pairs["done"]) == (0, 2)
    desk.send("bob", other, "flag", {"why": "broken"})
    assert desk.left() == 1  # nobody is to write it before a lead has looked
    with pytest.raises(UsageError, match="supersedes"):
        desk.write("cid", desk.lease("cid")[0], supersedes=labels[0])


def test_own_labels_of_other_tasks_are_not_replaced_by_what_is_written(desk: Desk, fill: Any) -> None:
    fill(1)
    _, label = desk.label("ann", BAD)
    [shown] = desk.lease("ann")
    with pytest.raises(UsageError, match="supersedes"):
        desk.write("ann", shown, supersedes=label)
    with pytest.raises(Conflict, match="undone"):
        desk.send("ann", shown, "undo", {"of": str(label)})


def test_whoever_comes_back_late_still_finds_the_item(desk: Desk, fill: Any, clock: Any) -> None:
    fill(1)
    desk.label("ann", BAD)
    [shown] = desk.lease("bob")
    clock.now += 1700
    assert desk.lease("cid") == []
    clock.now += 200
    [other] = desk.lease("cid")
    assert desk.queue.heartbeat("bob", "bob", [shown["lease"]])["lost"] == []
    desk.write("bob", shown)
    clock.now += 2000
    desk.queue.heartbeat("bob", "bob", [])
    with pytest.raises(Conflict, match="somebody else"):
        desk.write("cid", other)
    assert desk.left() == 0


def test_new_items_take_nobody_s_writing_away(store: Store, desk: Desk, fill: Any, make: Any) -> None:
    fill(1)
    desk.label("ann", BAD)
    [shown] = desk.lease("bob")
    items.add(store, "lea", [make(desk.project, "And now?", "a", "b")])
    desk.queue.refresh(desk.project)
    assert desk.lease("cid") == []
    assert [held["lease"] for held in desk.lease("bob", held=[shown["lease"]])] == [shown["lease"]]
    desk.write("bob", shown)
    assert desk.left() == 0


def test_of_two_who_write_the_first_is_heard(store: Store, desk: Desk, fill: Any, clock: Any) -> None:
    fill(2)
    for _ in range(2):
        desk.label("ann", BAD)
    [one, other] = desk.lease("bob")
    clock.now += 1900
    [late, _] = desk.lease("cid")  # bob's leases have ended, but he is still at it
    items = [desk.queue.views.open("bob", shown["lease"]).item for shown in (one, other)]
    assert desk.queue.views.open("cid", late["lease"]).item == items[0]
    uid = desk.write("bob", one)
    assert desk.queue.heartbeat("cid", "cid", [late["lease"]])["lost"] == [late["lease"]]
    with pytest.raises(Conflict) as caught:
        desk.write("cid", late, "Another one")
    assert caught.value.code == "taken"
    desk.send("bob", one, "undo", {"of": str(uid)})
    desk.write("cid", late, "Another one")
    assert [vote["annotator"] for vote in judgements.current(store, desk.project, ["write"])] == ["cid"]
    with pytest.raises(Conflict):
        desk.write("bob", one, "Once more", supersedes=uid)


def test_a_tab_holds_few_and_nobody_is_checked(store: Store, desk: Desk, fill: Any) -> None:
    projects.change(store, "lead", desk.project, gold=0.2, repeats=0.2, calibrate=True)
    ids = fill(90)
    for _ in range(60):
        desk.label("ann", BAD)
    answer = {"answer": {"choice": 0}, "explanation": "", "on": True}
    for item in ids[:25]:
        desk.queue.decide(Judgement(uuid4(), item, "lea", "gold", answer, purpose="adjudication"))
    assert len(desk.lease("bob")) == 3
    while found := desk.lease("bob"):
        desk.write("bob", found[0])
    purposes = {j.purpose for _, j in judgements.history(store, desk.project) if j.annotator == "bob"}
    assert purposes == {"write"}
    assert desk.left() == 0


def test_the_project_says_whether_there_is_such_a_task(store: Store, desk: Desk, fill: Any) -> None:
    fill(1)
    fill(1, answers=1)
    desk.label("ann", BAD)
    desk.label("ann", {"label": False}, "thumb")
    [shown] = desk.lease("bob")
    projects.change(store, "lead", desk.project, write=False)
    for ask in (lambda: desk.lease("bob"), lambda: desk.write("bob", shown)):
        with pytest.raises(UsageError, match="write"):
            ask()
    projects.change(store, "lead", desk.project, write=True, axes={"safety": ""})
    assert desk.left() == 1  # a single bad answer asks for none
    with pytest.raises(UsageError, match="write"):
        desk.lease("bob", axis="safety")
    with pytest.raises(NotFound):
        desk.queue.lease("bob", 99, "write", "t")
