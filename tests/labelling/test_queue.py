"""The queue against a real store: leases, answers, undo, races, restarts."""

import subprocess
import sys
import threading
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import Conflict, NotFound, UsageError, Withdrawn
from workbench.labelling.line import Pick
from workbench.labelling.queue import Queue
from workbench.schema import Judgement, split_hash
from workbench.store import items, judgements, projects, scores
from workbench.store.db import Store

Fill = Callable[..., list[int]]
Say = Callable[..., Any]


def lease(queue: Queue, who: str, project: int, *, task: str = "pair", tab: str = "t", **rest: Any) -> list[dict]:
    return queue.lease(who, project, task, tab, **rest)["items"]


def tokens(shown: list[dict]) -> list[str]:
    return [s["lease"] for s in shown]


def undo(queue: Queue, who: str, shown: dict, of: UUID, say: Say) -> dict:
    return queue.submit(who, say(shown, "undo", payload={"of": str(of)}))


def live(store: Store, project: int) -> list[dict]:
    return judgements.current(store, project)


def test_an_answer_becomes_one_row_with_index_order_and_times(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    body = say(shown, payload={"choice": 1, "strength": 3}, ms_shown=5000, ms_active=4000)
    ack = queue.submit("ann", body)
    [(seq, stored)] = judgements.history(store, project)
    assert ack == {"ack": str(body.uid), "seq": seq}
    assert stored.payload == {"choice": stored.shown_order[1], "strength": 3}
    assert (stored.annotator, stored.purpose, stored.ms_shown, stored.ms_active) == ("ann", "label", 5000, 4000)
    picked = items.get(store, stored.item).candidates[stored.payload["choice"]]
    assert picked.messages[0].content == shown["answers"][1][0]["content"]


@pytest.mark.parametrize("word", ["tie", "both_bad"])
def test_words_have_no_side(store: Store, queue: Queue, project: int, fill: Fill, say: Say, word: str) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    queue.submit("ann", say(shown, payload={"choice": word}))
    assert live(store, project)[0]["payload"] == {"choice": word, "strength": None}


def test_thumbs_have_their_own_line(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(2)
    fill(3, answers=1)
    assert len(lease(queue, "ann", project)) == 2
    shown = lease(queue, "ann", project, task="thumb")
    assert len(shown) == 3
    queue.submit("ann", say(shown[0], "thumb", payload={"label": False}))
    assert live(store, project)[0]["payload"] == {"candidate": 0, "label": False}
    assert queue.progress("ann", project, "thumb")["mine"] == 1
    assert queue.progress("ann", project, "pair")["mine"] == 0


def test_the_browser_gets_positions_and_sealed_tokens_only(queue: Queue, project: int, fill: Fill) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    assert set(shown) == {"lease", "view", "teach", "named", "form", "lang", "prompt", "answers"}
    assert "model of" not in str(shown)
    assert b"label" not in urlsafe_b64decode(shown["lease"])


def test_items_come_in_the_order_of_their_key(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(30)
    keys = {f"question {i}": key for i, (_, _, key, _) in enumerate(items.iter_ids(store, project))}
    shown = lease(queue, "ann", project, want=20)
    for s in shown:
        queue.submit("ann", say(s))
    shown += lease(queue, "ann", project, want=20)
    served = [s["prompt"][0]["content"] for s in shown]
    assert served == sorted(keys, key=keys.get)


def test_two_people_never_hold_one_item(queue: Queue, project: int, fill: Fill) -> None:
    fill(15)
    first, second = lease(queue, "ann", project), lease(queue, "bob", project)
    texts = [s["prompt"][0]["content"] for s in first + second]
    assert (len(first), len(second), len(set(texts))) == (10, 5, 15)
    empty = queue.lease("cid", project, "pair", "t")
    assert (empty["items"], empty["reason"], empty["wait_s"]) == ([], "wait_s", 600)


def test_nobody_gets_back_what_they_did_skipped_or_flagged(queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(3)
    shown = lease(queue, "ann", project)
    for s, kind in zip(shown, ("pair", "skip", "flag"), strict=True):
        queue.submit("ann", say(s, kind))
    assert queue.lease("ann", project, "pair", "t")["reason"] == "others"
    [skipped] = lease(queue, "bob", project)  # the flagged one waits for a lead
    assert skipped["prompt"] == shown[1]["prompt"]
    counts = queue.progress("ann", project, "pair")
    assert (counts["mine"], counts["skipped"], counts["flagged"]) == (1, 1, 1)
    assert (counts["done"], counts["needed"], counts["today"], counts["median_s"]) == (1, 2, 1, 4.0)


def test_a_held_item_comes_first_again_and_unchanged(queue: Queue, project: int, fill: Fill) -> None:
    fill(20)
    before = lease(queue, "ann", project, want=4)
    again = lease(queue, "ann", project, want=10, held=tokens(before[::-1]))
    assert again[:4] == before[::-1]
    assert len(again) == 10


def test_a_lost_answer_to_a_lease_costs_no_item(queue: Queue, project: int, fill: Fill) -> None:
    fill(10)
    assert lease(queue, "ann", project, want=6) == lease(queue, "ann", project, want=6)


def test_an_own_tab_left_open_is_taken_over_only_when_nothing_else_is_there(
    queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(4)
    left = lease(queue, "ann", project, tab="old", want=2)
    fresh = lease(queue, "ann", project, tab="new", want=10)
    assert len(fresh) == 2
    for s in fresh:
        queue.submit("ann", say(s))
    assert {*tokens(lease(queue, "ann", project, tab="new"))} == {*tokens(left)}
    assert queue.heartbeat("ann", "old", tokens(left))["lost"] == tokens(left)


@pytest.mark.rule("R17")
def test_one_item_in_two_tabs_ends_as_one_label(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(1)
    [one] = lease(queue, "ann", project, tab="a")
    [two] = lease(queue, "ann", project, tab="b")
    assert one["lease"] == two["lease"]
    queue.submit("ann", say(one, tab="a"))
    with pytest.raises(Conflict) as error:
        queue.submit("ann", say(two, tab="b"))
    assert error.value.code == "already_labelled"
    assert len(live(store, project)) == 1


@pytest.mark.rule("R18")
def test_fifty_equal_posts_are_one_row_and_fifty_acks(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    body = say(shown)
    with ThreadPoolExecutor(10) as pool:
        acks = list(pool.map(lambda _: queue.submit("ann", body), range(50)))
    assert acks == [acks[0]] * 50
    assert len(list(judgements.history(store, project))) == 1


def test_a_uid_stands_for_one_act(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(2)
    one, two = lease(queue, "ann", project)
    body = say(one)
    queue.submit("ann", body)
    for other in (say(one, uid=body.uid, payload={"choice": "tie"}), say(two, uid=body.uid)):
        with pytest.raises(Conflict) as error:
            queue.submit("ann", other)
        assert error.value.code == "uid_reused"
    assert len(live(store, project)) == 1


@pytest.mark.rule("S19")
def test_a_lease_serves_only_the_one_it_was_given_to(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    for act in (
        lambda: queue.submit("bob", say(shown)),
        lambda: queue.submit("ann", say(shown | {"view": "0" * 32})),
        lambda: queue.submit("ann", say(shown | {"lease": shown["lease"][:-4] + "AAAA"})),
        lambda: queue.submit("ann", say(shown | {"lease": "nonsense"})),
    ):
        with pytest.raises(UsageError):
            act()
    assert queue.heartbeat("bob", "t", tokens([shown]))["lost"] == tokens([shown])
    assert queue.release("bob", "t", tokens([shown])) == {"released": 0}
    assert live(store, project) == []


@pytest.mark.parametrize(
    "payload",
    [
        {"choice": 2, "strength": 1},
        {"choice": 0},
        {"choice": 0, "strength": 2.5},
        {"choice": "tie", "strength": 1},
        {"label": True},
    ],
)
def test_senseless_answers_are_refused(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say, payload: dict
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    with pytest.raises(UsageError):
        queue.submit("ann", say(shown, payload=payload))
    with pytest.raises(UsageError, match="asks for 'pair'"):
        queue.submit("ann", say(shown, "thumb"))
    assert live(store, project) == []


def test_an_expired_lease_may_still_answer_until_somebody_else_has_it(
    queue: Queue, project: int, clock: Any, fill: Fill, say: Say
) -> None:
    fill(2)
    one, two = lease(queue, "ann", project)
    clock.now += 601
    queue.submit("ann", say(one))
    [taken] = lease(queue, "bob", project)
    assert taken["prompt"] == two["prompt"]
    with pytest.raises(Conflict) as error:
        queue.submit("ann", say(two))
    assert error.value.code == "taken"
    assert queue.heartbeat("ann", "t", tokens([one, two]))["lost"] == tokens([one, two])
    queue.submit("bob", say(taken))


def test_heartbeats_keep_a_lease(queue: Queue, project: int, clock: Any, fill: Fill) -> None:
    fill(1)
    held = tokens(lease(queue, "ann", project))
    for _ in range(5):
        clock.now += 400
        assert queue.heartbeat("ann", "t", held)["lost"] == []
    assert lease(queue, "bob", project) == []


def test_a_heartbeat_after_the_answer_revives_nothing(queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    queue.submit("ann", say(shown))
    assert queue.heartbeat("ann", "t", tokens([shown]))["lost"] == tokens([shown])
    assert not list(queue.lines[project, "overall", "pair"].everybodys())


def test_release_gives_items_to_others(queue: Queue, project: int, fill: Fill) -> None:
    fill(3)
    held = tokens(lease(queue, "ann", project))
    assert queue.release("ann", "other tab", held) == {"released": 0}
    assert queue.release("ann", "t", held[1:]) == {"released": 2}
    assert len(lease(queue, "bob", project)) == 2


@pytest.mark.parametrize("kind", ["pair", "skip", "flag"])
def test_undo_brings_the_item_back_to_its_owner_in_the_same_order(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say, kind: str
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    first = say(shown, kind)
    queue.submit("ann", first)
    undo(queue, "ann", shown, first.uid, say)
    assert live(store, project) == []
    assert lease(queue, "bob", project) == []
    assert lease(queue, "ann", project, held=tokens([shown])) == [shown]
    second = say(shown, payload={"choice": "tie"}, supersedes=first.uid)
    queue.submit("ann", second)
    assert [vote["uid"] for vote in live(store, project)] == [second.uid]
    assert queue.progress("ann", project, "pair")["mine"] == 1
    assert queue.progress("ann", project, "pair")["skipped"] == 0


def test_undo_without_a_new_answer_frees_the_slot(queue: Queue, project: int, clock: Any, fill: Fill, say: Say) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    first = say(shown)
    queue.submit("ann", first)
    undo(queue, "ann", shown, first.uid, say)
    clock.now += 601
    assert len(lease(queue, "bob", project)) == 1


def test_undo_reaches_ten_back_and_only_ones_own_standing_acts(
    queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(12)
    done = []
    for _ in range(12):
        shown = lease(queue, "ann", project, want=1)[0]
        done.append((shown, say(shown)))
        queue.submit("ann", done[-1][1])
    for shown, body in (done[1], (done[5][0], done[6][1])):
        with pytest.raises(Conflict, match="no longer"):
            undo(queue, "ann", shown, body.uid, say)
    for shown, body in done[2:]:
        undo(queue, "ann", shown, body.uid, say)
    with pytest.raises(Conflict, match="no longer"):
        undo(queue, "ann", done[2][0], done[2][1].uid, say)
    assert queue.progress("ann", project, "pair")["mine"] == 2


@pytest.mark.rule("S19")
def test_an_answer_supersedes_only_ones_own(queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(2)
    [one] = lease(queue, "ann", project, want=1)
    body = say(one)
    queue.submit("ann", body)
    [two] = lease(queue, "bob", project)
    with pytest.raises(UsageError, match="supersedes"):
        queue.submit("bob", say(two, supersedes=body.uid))
    with pytest.raises(UsageError, match="supersedes"):
        queue.submit("bob", say(two, supersedes=uuid4()))


@pytest.mark.rule("R19")
def test_eight_people_at_once_label_eight_hundred_items_once_each(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(800)
    start, people = threading.Barrier(8), [f"ann{n}" for n in range(8)]

    def work(who: str) -> int:
        count = 0
        start.wait()
        while count < 100:
            for shown in lease(queue, who, project, want=min(10, 100 - count)):
                queue.submit(who, say(shown))
                count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, people)) == [100] * 8
    votes = live(store, project)
    assert len({vote["item"] for vote in votes}) == len(votes) == 800
    assert set(Counter(vote["annotator"] for vote in votes).values()) == {100}
    assert queue.lease("eve", project, "pair", "t")["reason"] == "all_done"


def test_a_restart_forgets_nothing(store: Store, queue: Queue, project: int, clock: Any, fill: Fill, say: Say) -> None:
    fill(20)
    shown = lease(queue, "ann", project)
    bodies = [say(s, kind) for s, kind in zip(shown, ("pair", "pair", "skip", "flag"), strict=False)]
    for body in bodies:
        queue.submit("ann", body)
    undo(queue, "ann", shown[1], bodies[1].uid, say)
    before = queue.progress("ann", project, "pair")

    again = Queue(store, clock=clock)
    assert again.progress("ann", project, "pair") == before
    assert again.submit("ann", bodies[0])["ack"] == str(bodies[0].uid)
    assert again.heartbeat("ann", "t", tokens(shown[1:2] + shown[4:]))["lost"] == []
    again.submit("ann", say(shown[5]))
    undo(again, "ann", shown[2], bodies[2].uid, say)
    assert lease(again, "ann", project, held=tokens(shown[4:5]), want=1) == shown[4:5]


def test_after_a_restart_others_wait_for_what_was_held(
    store: Store, queue: Queue, project: int, clock: Any, fill: Fill, say: Say
) -> None:
    fill(12)
    shown = lease(queue, "ann", project)
    queue.submit("ann", say(shown[0]))
    again = Queue(store, clock=clock)
    empty = again.lease("bob", project, "pair", "t")
    assert (empty["items"], empty["reason"], empty["wait_s"]) == ([], "restarted", 35)
    assert lease(again, "ann", project, held=tokens(shown[1:]), want=9) == shown[1:]
    clock.now += 35
    assert len(lease(again, "bob", project)) == 2


def test_new_items_join_and_leases_stay(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say, make: Any
) -> None:
    fill(2)
    held = lease(queue, "ann", project)
    new = items.add(store, "lead", [make(project, "fresh", "a", "b"), make(project, "voted", "a", "b")])
    vote = Judgement(uuid4(), new[1], "lead", "pair", {"choice": 0, "strength": 1}, purpose="compare")
    store.append(vote)
    assert len(lease(queue, "bob", project)) == 0
    queue.refresh(project)
    [fresh] = lease(queue, "bob", project)
    assert fresh["prompt"][0]["content"] == "fresh"
    assert queue.heartbeat("ann", "t", tokens(held))["lost"] == []
    assert queue.progress("bob", project, "pair")["done"] == 1


def test_labels_come_in_while_the_queue_learns(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a large project takes seconds, and no label waits for them."""
    fill(4)
    shown = lease(queue, "ann", project)
    read, left = judgements.standing, iter(shown[:2])
    with ThreadPoolExecutor(1) as annotator:

        def standing(*args: Any) -> Any:
            """The real one; before and after it somebody labels, who would wait for ever if she had to wait."""
            for after, found in enumerate((iter(()), read(*args))):
                yield from found
                annotator.submit(queue.submit, "ann", say(next(left))).result(timeout=20)
                assert queue.progress("ann", project, "pair")["done"] == after + 1

        monkeypatch.setattr(judgements, "standing", standing)
        queue.refresh(project)
    assert queue.progress("ann", project, "pair")["done"] == 2
    assert queue.heartbeat("ann", "t", tokens(shown))["lost"] == tokens(shown[:2])
    assert len(list(queue.lines[project, "overall", "pair"].everybodys())) == 2


def test_comparisons_keep_their_purpose_and_typed_prompts_are_not_served(
    store: Store, queue: Queue, project: int, say: Say, make: Any
) -> None:
    compare = {"compare": ["m1", "m2"]}
    set_of = make(project, "held out", "a", "b", origin=compare | {"set": "held-out"})
    typed = make(project, "typed", "a", "b", origin=compare | {"typed": True})
    items.add(store, "lead", [set_of, typed])
    [shown] = lease(queue, "ann", project)
    assert shown["prompt"][0]["content"] == "held out"
    queue.submit("ann", say(shown))
    assert live(store, project)[0]["purpose"] == "compare"
    assert queue.lease("ann", project, "pair", "t")["reason"] == "all_done"


def test_imported_labels_count_as_done(store: Store, queue: Queue, project: int, fill: Fill) -> None:
    numbers = fill(3)
    store.append(
        *(
            Judgement(uuid4(), n, "import:1", "pair", {"choice": 1, "strength": None}, purpose="import")
            for n in [numbers[0]] * 3 + [numbers[1]]
        )
    )
    assert len(lease(queue, "ann", project)) == 1
    assert queue.progress("ann", project, "pair")["done"] == 2


def test_projects_close_their_lines(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    assert queue.lease("ann", project, "pair", "t")["reason"] == "no_items"
    fill(1)
    queue.refresh(project)
    [shown] = lease(queue, "ann", project)
    queue.lines[project, "overall", "pair"] = queue.lines[project, "overall", "thumb"]
    with pytest.raises(Withdrawn):
        queue.submit("ann", say(shown))
    projects.change(store, "lead", project, archived=True)
    for number in (project, 99):
        with pytest.raises(NotFound, match=f"^no project {number}$"):
            queue.lease("ann", number, "pair", "t")


def test_an_unknown_task_is_named(queue: Queue, project: int) -> None:
    with pytest.raises(UsageError, match="'essay': one of"):
        queue.progress("ann", project, "essay")


FULL_DISK = """
import resource, sys, time
from pathlib import Path
from uuid import uuid4
from workbench.errors import StorageUnavailable
from workbench.labelling.queue import Queue
from workbench.labelling.submission import Submission
from workbench.store import db, judgements
from workbench.store.db import Store

db.HEAL_SECONDS = 0.2
with Store.open(Path(sys.argv[1])) as store:
    queue = Queue(store)
    [one, two] = queue.lease("ann", 1, "pair", "t")["items"]
    acts = [
        Submission(uid=uuid4(), tab="t", lease=s["lease"], view=s["view"], kind="pair", payload={"choice": "tie"})
        for s in (one, two)
    ]
    room = (Path(sys.argv[1]) / "journal/000001.jsonl").stat().st_size + 10
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    for act in acts * 2:
        try:
            queue.submit("ann", act)
            raise SystemExit("stored on a full disk")
        except StorageUnavailable:
            pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    time.sleep(0.3)
    assert queue.submit("ann", acts[1])["ack"] == str(acts[1].uid)
    assert queue.submit("ann", acts[0])["ack"] == str(acts[0].uid)
    assert len(judgements.current(store, 1)) == 2
    assert queue.progress("ann", 1, "pair")["mine"] == 2
    assert queue.lease("ann", 1, "pair", "t")["reason"] == "all_done"
    assert not queue.unsure and not list(queue.lines[1, "overall", "pair"].everybodys())
"""


@pytest.mark.rule("R4")
def test_labels_refused_by_a_full_disk_count_once_when_there_is_space_again(home: Path, make: Any) -> None:
    with Store.open(home) as store:
        project = projects.create(store, "lead", "Tea", overlap=0.0).id
        items.add(store, "lead", [make(project, "one", "a", "b"), make(project, "two", "a", "b")])
    child = subprocess.run([sys.executable, "-c", FULL_DISK, str(home)], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr


# --- what a project asks for


def overlapping(store: Store, project: int, **rules: Any) -> None:
    projects.change(store, "lead", project, overlap=1.0, **rules)


def code(act: Callable[[], Any]) -> str:
    with pytest.raises((Conflict, Withdrawn)) as error:
        act()
    return error.value.code


def purposes(store: Store, project: int) -> list[tuple[str, str]]:
    return [(j.annotator, j.purpose) for _, j in judgements.history(store, project) if j.kind != "undo"]


def test_two_people_label_what_overlaps_and_nobody_twice(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    overlapping(store, project)
    fill(3)
    held = {who: lease(queue, who, project) for who in ("ann", "bob")}
    assert [len(shown) for shown in held.values()] == [3, 3]
    assert lease(queue, "cid", project) == []
    for who, shown in held.items():
        for s in shown:
            queue.submit(who, say(s, payload={"choice": "tie"}))
    assert purposes(store, project) == [("ann", "overlap")] * 3 + [("bob", "overlap")] * 3
    assert not queue.lines[project, "overall", "pair"].returned  # answered is not given back
    progress = queue.progress("ann", project, "pair")
    assert (progress["done"], progress["needed"]) == (6, 6)


def test_a_share_of_items_overlaps_and_is_spread_over_the_line(store: Store, project: int, fill: Fill) -> None:
    projects.change(store, "lead", project, overlap=0.12)
    fill(1200)
    queue = Queue(store)
    base = (queue.progress("ann", project, "pair"), queue.lines[project, "overall", "pair"].base)[1]
    twice = [place for place, needed in enumerate(base) if needed == 2]
    assert 100 < len(twice) < 190
    assert sum(place < 600 for place in twice) / len(twice) == pytest.approx(0.5, abs=0.15)


def side_of(queue: Queue, who: str, shown: dict, candidate: int) -> dict:
    return {"choice": queue.views.open(who, shown["lease"]).order.index(candidate), "strength": 1}


@pytest.mark.parametrize(("second", "third"), [(0, False), (1, True), ("tie", False), ("both_bad", True)])
def test_contradicting_labels_are_broken_by_a_third(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say, second: Any, third: bool
) -> None:
    overlapping(store, project)
    fill(1)
    [one], [two] = lease(queue, "ann", project), lease(queue, "bob", project)
    queue.submit("ann", say(one, payload=side_of(queue, "ann", one, 0)))
    payload = {"choice": second} if isinstance(second, str) else side_of(queue, "bob", two, second)
    queue.submit("bob", say(two, payload=payload))
    assert lease(queue, "ann", project) == []
    assert len(lease(Queue(store), "cid", project)) == 0  # others may come back after the start
    asked = lease(queue, "cid", project)
    assert len(asked) == third
    if third:
        queue.submit("cid", say(asked[0]))
        assert purposes(store, project)[-1] == ("cid", "tiebreak")
        assert lease(queue, "dot", project) == []


def test_an_axis_is_a_pass_of_its_own(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(2)
    [one, _] = lease(queue, "ann", project)
    queue.submit("ann", say(one))
    projects.change(store, "lead", project, axes={"safety": "Do no harm."})
    other = queue.lease("ann", project, "pair", "t", axis="safety")["items"]
    assert len(other) == 2
    assert {s["lease"] for s in other}.isdisjoint({one["lease"]})
    queue.submit("ann", say(other[0]))
    assert [j.axis for _, j in judgements.history(store, project)] == ["overall", "safety"]
    assert queue.progress("ann", project, "pair")["done"] == 1
    assert queue.progress("ann", project, "pair", "safety")["done"] == 1
    with pytest.raises(UsageError, match="axis 'style'"):
        queue.lease("ann", project, "pair", "t", axis="style")


def test_rankings_come_with_all_their_answers(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(1, answers=4)
    [shown] = lease(queue, "ann", project, task="rank")
    order = queue.views.open("ann", shown["lease"]).order
    queue.submit("ann", say(shown, "rank", payload={"tiers": [[2], [0, 1], [3]]}))
    [vote] = live(store, project)
    assert vote["payload"] == {"tiers": [[order[2]], sorted([order[0], order[1]]), [order[3]]]}


def test_a_reason_and_the_guideline_go_with_the_label(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    queue.submit("ann", say(shown, reason={"chips": ["clear"], "text": "short"}, guideline=3))
    [(_, stored)] = judgements.history(store, project)
    assert (stored.reason, stored.guideline) == ({"chips": ["clear"], "text": "short"}, 3)


def test_the_guideline_in_force_goes_with_a_label_that_names_none(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    projects.change(store, "lead", project, guideline="Be kind.")
    [shown] = lease(queue, "ann", project)
    body = say(shown)
    assert queue.submit("ann", body) == queue.submit("ann", body)
    assert [j.guideline for _, j in judgements.history(store, project)] == [1]


def test_an_edit_stands_beside_the_choice_and_can_be_taken_back(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    edit = say(shown, "edit", payload={"candidate": 1, "text": "a far better answer"})
    queue.submit("ann", edit)
    assert lease(queue, "bob", project) == []
    assert queue.progress("ann", project, "pair")["mine"] == 0
    undo(queue, "ann", shown, edit.uid, say)
    assert live(store, project) == []
    again = say(shown, "edit", payload={"candidate": 1, "text": "a far better answer"})
    queue.submit("ann", again)
    choice = say(shown)
    queue.submit("ann", choice)
    assert [vote["kind"] for vote in live(store, project)] == ["edit", "pair"]
    undo(queue, "ann", shown, choice.uid, say)
    assert [vote["kind"] for vote in live(store, project)] == ["edit"]
    undo(queue, "ann", shown, again.uid, say)
    assert live(store, project) == []


def test_pause_quota_and_deadline_stop_the_queue_and_say_so(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    def reason() -> str | None:
        return queue.lease("ann", project, "pair", "t")["reason"]

    fill(30)
    projects.change(store, "lead", project, quota=3)
    shown = lease(queue, "ann", project)
    assert len(shown) == 3
    for s in shown:
        queue.submit("ann", say(s))
    assert (reason(), len(lease(queue, "bob", project))) == ("quota", 3)
    assert [len(lease(queue, "bob", project, tab=tab)) for tab in ("t", "t", "other")] == [3, 3, 0]
    projects.change(store, "lead", project, quota=None, paused=True)
    assert reason() == "paused"
    projects.change(store, "lead", project, paused=False, deadline="2026-01-01")
    assert reason() == "deadline"
    projects.change(store, "lead", project, deadline=None)
    queue.pause("lead", project, "ann", on=True)
    assert (reason(), Queue(store).lease("ann", project, "pair", "t")["reason"]) == ("paused", "paused")
    queue.pause("lead", project, "ann", on=False)
    assert reason() is None


def test_a_pause_holds_though_the_queue_was_just_learning(
    store: Store, queue: Queue, project: int, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(2)
    lease(queue, "ann", project)
    read = judgements.standing

    def standing(*args: Any) -> Any:
        queue.pause("lead", project, "ann", on=True)
        return read(*args)

    monkeypatch.setattr(judgements, "standing", standing)
    queue.refresh(project)
    assert queue.lease("ann", project, "pair", "t")["reason"] == "paused"


def test_names_are_covered_told_or_held_back(store: Store, queue: Queue, project: int, make: Any) -> None:
    items.add(store, "lead", [make(project, "who?", "I am ChatGPT, made by OpenAI.", "A program.")])
    [shown] = lease(queue, "ann", project)
    assert "OpenAI" not in str(shown)
    assert not shown["named"]
    projects.change(store, "lead", project, names="warn")
    [shown] = lease(queue, "ann", project, held=tokens([shown]))
    assert "OpenAI" in str(shown)
    assert shown["named"]
    projects.change(store, "lead", project, names="hold")
    assert queue.lease("ann", project, "pair", "t")["items"] == []
    assert queue.progress("ann", project, "pair")["needed"] == 0
    queue.refresh(project)
    assert len(queue.held(project, "overall")) == 1
    projects.change(store, "lead", project, names="mask")
    assert len(lease(queue, "ann", project)) == 1


# --- races


def test_what_came_back_is_asked_of_others_before_the_rest(queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(6)
    one, two = lease(queue, "ann", project, want=1), lease(queue, "bob", project, want=2)
    queue.release("ann", "t", tokens(one))
    again = lease(queue, "bob", project, held=tokens(two), want=3)
    assert again[2]["prompt"] == one[0]["prompt"]


def test_a_late_answer_to_what_became_a_tie_break_is_one(
    store: Store, queue: Queue, project: int, clock: Any, fill: Fill, say: Say
) -> None:
    """The third vote must never count as one of the two planned ones, from which agreement is taken."""
    overlapping(store, project)
    fill(1)
    [late] = lease(queue, "cid", project)
    clock.now += 601
    for who, candidate in (("ann", 0), ("bob", 1)):
        [shown] = lease(queue, who, project)
        queue.submit(who, say(shown, payload=side_of(queue, who, shown, candidate)))
    body = say(late)
    first = queue.submit("cid", body)
    assert purposes(store, project)[-1] == ("cid", "tiebreak")
    assert queue.submit("cid", body) == first


def test_another_axis_supersedes_nothing_here(store: Store, queue: Queue, project: int, fill: Fill, say: Say) -> None:
    projects.change(store, "lead", project, axes={"safety": ""})
    fill(1)
    [shown] = lease(queue, "ann", project)
    body = say(shown)
    queue.submit("ann", body)
    [other] = queue.lease("ann", project, "pair", "t", axis="safety")["items"]
    with pytest.raises(UsageError, match="supersedes"):
        queue.submit("ann", say(other, supersedes=body.uid))


def test_a_check_in_somebodys_hands_keeps_nobody_waiting(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    ids = fill(1)
    gold = {"answer": {"choice": 0, "strength": 1}, "explanation": "", "on": True}
    queue.decide(Judgement(uuid4(), ids[0], "lead", "gold", gold))
    queue.standing(project)
    queue.lines[project, "overall", "pair"].lease("bob", "t", Pick(0, "gold"))
    assert queue.lease("cid", project, "pair", "t")["reason"] == "all_done"


def test_whoever_is_removed_holds_nothing_any_more(queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(2)
    shown = lease(queue, "ann", project)
    assert lease(queue, "bob", project) == []
    queue.forget("ann")
    taken = lease(queue, "bob", project)
    assert len(taken) == 2
    assert code(lambda: queue.submit("ann", say(shown[0]))) == "taken"


def test_a_project_that_was_closed_to_somebody_takes_nothing_more_from_them(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(2)
    shown = lease(queue, "ann", project)
    projects.change(store, "lead", project, members=["bob"])
    assert code(lambda: queue.submit("ann", say(shown[0]))) == "closed"
    assert queue.heartbeat("ann", "t", tokens(shown))["lost"] == tokens(shown)
    with pytest.raises(NotFound):
        queue.lease("ann", project, "pair", "t")
    assert live(store, project) == []


def test_what_a_lead_decided_is_not_undone_behind_them(
    store: Store, queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    body = say(shown)
    queue.submit("ann", body)
    item = queue.views.open("ann", shown["lease"]).item
    word = Judgement(uuid4(), item, "lead", "pair", {"choice": 1, "strength": 2}, purpose="adjudication")
    queue.decide(word)
    assert code(lambda: undo(queue, "ann", shown, body.uid, say)) == "adjudicated"
    assert code(lambda: undo(Queue(store), "ann", shown, body.uid, say)) == "adjudicated"
    assert queue.progress("ann", project, "pair")["mine"] == 1


def test_an_item_withdrawn_while_somebody_reads_it_is_refused_and_comes_to_nobody(
    queue: Queue, project: int, fill: Fill, say: Say
) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    item = queue.views.open("ann", shown["lease"]).item
    queue.decide(Judgement(uuid4(), item, "lead", "withdraw", {"why": "broken"}))
    assert code(lambda: queue.submit("ann", say(shown))) == "withdrawn"
    queue.forget("ann")
    assert queue.lease("bob", project, "pair", "t")["reason"] == "all_done"


def test_a_cleared_flag_opens_the_item_again(queue: Queue, project: int, fill: Fill, say: Say) -> None:
    fill(1)
    [shown] = lease(queue, "ann", project)
    flag = say(shown, "flag")
    queue.submit("ann", flag)
    assert lease(queue, "bob", project) == []
    item = queue.views.open("ann", shown["lease"]).item
    queue.decide(Judgement(uuid4(), item, "lead", "clear", {"of": str(flag.uid)}))
    assert len(lease(queue, "bob", project)) == 1


def test_one_item_two_people_and_the_expiry_between_them(
    store: Store, queue: Queue, project: int, clock: Any, fill: Fill, say: Say
) -> None:
    """Both held the last item in turn; whoever comes first labels it, and the other is told."""
    fill(1)
    [first] = lease(queue, "ann", project)
    clock.now += 601
    [second] = lease(queue, "bob", project)
    start = threading.Barrier(2)

    def submit(who: str, shown: dict) -> str:
        start.wait()
        try:
            return queue.submit(who, say(shown))["ack"]
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        refused, stored = pool.map(submit, ("ann", "bob"), (first, second))
    assert (refused, UUID(stored)) == ("taken", live(store, project)[0]["uid"])
    assert len(live(store, project)) == 1


# --- a reward model has a say


def scored(store: Store, project: int, ids: list[int]) -> tuple[list[int], set[int]]:
    """Scores whose gap grows with the number and that favour candidate 0; the control arm as it is."""
    groups = {row.id: row.group_id for row in items.iter_ids(store, project)}
    control = {id for id in ids if split_hash(groups[id]) < 2000}
    columns = {"item": ids, "scores": [[float(id), 0.0] for id in ids]}
    columns |= {"control": [id in control for id in ids], "unseen": [True] * len(ids)}
    file = store.home / "scores" / "000001.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table(columns), file)
    scores.note(store, "lead", project, "judge", file, len(ids))
    projects.change(store, "lead", project, ordered=True)
    return sorted(set(ids) - control, reverse=True), control


def test_large_gaps_come_first_and_the_control_arm_in_its_own_order(
    store: Store, project: int, fill: Fill, say: Say
) -> None:
    ids = fill(400)
    gaps, control = scored(store, project, ids)
    queue = Queue(store, seed=5)
    seen: dict[str, list[int]] = {"large_gap": [], "control": []}
    for n in range(8):
        for shown in lease(queue, f"ann{n}", project):
            view = queue.views.open(f"ann{n}", shown["lease"])
            seen[view.policy].append(view.item)
    assert seen["large_gap"] == gaps[: len(seen["large_gap"])]
    assert (
        seen["control"]
        == [id for id in queue.lines[project, "overall", "pair"].ids if id in control][: len(seen["control"])]
    )
    assert 25 < len(seen["large_gap"]) < 60  # a half, of 80
    assert len(seen["control"]) == 80 - len(seen["large_gap"])  # no label is contradicted yet


def test_a_label_that_the_model_contradicts_is_asked_again_of_somebody_else(
    store: Store, project: int, fill: Fill, say: Say
) -> None:
    scored(store, project, fill(100))
    queue = Queue(store, seed=5)
    first = lease(queue, "ann", project, want=20)
    against = set()
    for n, shown in enumerate(first):
        queue.submit("ann", say(shown, payload=side_of(queue, "ann", shown, n % 2)))
        if n % 2:
            against.add(queue.views.open("ann", shown["lease"]).item)
    for found in (queue, Queue(store, seed=5)):
        found.born -= 60
        views = [found.views.open("bob", shown["lease"]) for shown in lease(found, "bob", project, want=20)]
        again = {view.item for view in views if view.policy == "rm_conflict"}
        assert again <= against
        assert again
        assert {view.purpose for view in views if view.item in again} == {"tiebreak"}
        found.forget("bob")


def test_a_lost_file_of_scores_leaves_the_order_of_the_line(store: Store, project: int, fill: Fill) -> None:
    scored(store, project, fill(5))
    (store.home / "scores" / "000001.parquet").unlink()
    assert len(lease(Queue(store), "ann", project)) == 5
