"""A lead's acts on items: the queue, an item blind and after the decision, gold, flags, and what training then gets."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.app.acts.conftest import do as act
from workbench.app.house import House
from workbench.errors import NotFound, UsageError
from workbench.schema import Candidate, Judgement, Message, make_item
from workbench.store import items, judgements, projects, snapshots
from workbench.store.db import uid

PAIR = {"choice": 1, "strength": 3}
DECISIONS = {
    1: [{"candidate": 0, "label": False}],
    2: [PAIR, {"choice": "tie", "strength": None}, {"choice": "both_bad", "strength": None}],
    3: [{"tiers": [[2], [0, 1]]}, {"tiers": []}],
}


@pytest.fixture
def do(house: House) -> Callable[..., dict[str, Any]]:
    return partial(act, house)


@pytest.fixture
def project(do: Any) -> int:
    return do("project_create", name="herbs", eval_share=0.0)["id"]


@pytest.fixture
def item(house: House, project: int) -> Callable[[int], int]:
    """`item(n)`: the number of an item with n answers."""

    def make(n: int) -> int:
        answers = tuple(Candidate((Message("assistant", f"answer {i}"),), source=f"model {i}") for i in range(n))
        return items.add(house.store, "lea", [make_item(project, (Message("user", f"{n} answers?"),), answers)])[0]

    return make


def vote(house: House, item: int, who: str, choice: Any = 0, **rest: Any) -> Judgement:
    fields = {"kind": "pair", "payload": {"choice": choice, "strength": 2}, "shown_order": (1, 0)} | rest
    judgement = Judgement(uid(), item, who, **fields)
    house.store.append(judgement)
    return judgement


def test_who_answered_is_told_after_the_decision(house: House, do: Any, item: Any, project: int) -> None:
    pair = item(2)
    vote(house, pair, "ann", reason={"chips": ["clear"], "text": "It is."}, ms_active=4200)
    vote(house, pair, "bob", 1)
    found = do("review_queue", project=project)
    assert (found["kind"], found["items"], found["people"]) == ("disagreement", [pair], ["ann", "bob"])
    blind = do("review_item", item=pair)
    assert blind["models"] is None
    assert "model 0" not in str(blind)
    assert [turn["content"] for [turn] in blind["answers"]] == [
        items.get(house.store, pair).candidates[i].messages[0].content for i in blind["order"]
    ]
    [first, _] = blind["votes"]
    assert (first["ms_active"], first["shown_order"], first["reason"]["text"]) == (4200, (1, 0), "It is.")
    do("review_decide", item=pair, payload=PAIR, note=" As the guide says. ")
    told = do("review_item", item=pair)
    assert sorted(told["models"]) == ["model 0", "model 1"]
    assert (told["decision"]["payload"], told["decision"]["reason"]["text"]) == (PAIR, "As the guide says.")
    assert do("review_queue", project=project)["counts"] == dict.fromkeys(found["counts"], 0) | {"decided": 1}


@pytest.mark.parametrize(("answers", "payload"), [(n, p) for n, all_of in DECISIONS.items() for p in all_of])
def test_every_task_can_be_decided(house: House, do: Any, item: Any, answers: int, payload: Any) -> None:
    number = item(answers)
    do("review_decide", item=number, payload=payload)
    [stored] = [j for _, j in judgements.of_item(house.store, number)]
    kind = {1: "thumb", 2: "pair", 3: "rank"}[answers]
    assert (stored.kind, stored.purpose, stored.annotator, stored.payload) == (kind, "adjudication", "local", payload)
    assert stored.shown_order == tuple(do("review_item", item=number)["order"])


def test_what_cannot_be_is_named(do: Any, item: Any, house: House, project: int) -> None:
    for answers, payload, said in (
        (1, {"candidate": 2, "label": True}, "only answer 0"),
        (2, {"tiers": [[0], [1]]}, "pair"),
        (2, {"choice": "tie", "strength": 3}, "strength"),
        (2, {"choice": 0, "strength": 2.7}, "strength"),
        (3, {"tiers": [[0], [], [1], [2]]}, "answers once"),
        (3, {"tiers": [[0], [1]]}, "answers once"),
        (3, {"tiers": [[0], [1, 1, 2]]}, "answers once"),
    ):
        with pytest.raises(UsageError, match=said):
            do("review_decide", item=item(answers), payload=payload)
    [empty] = items.add(house.store, "lea", [make_item(project, (Message("user", "?"),), ())])
    with pytest.raises(UsageError, match="no answers yet"):
        do("review_item", item=empty)
    with pytest.raises(NotFound, match="no axis 'taste'"):
        do("review_queue", project=project, axis="taste")
    with pytest.raises(UsageError, match="decide it first"):
        do("review_gold", item=item(2))


def test_gold_takes_the_decision_and_may_end(house: House, do: Any, item: Any) -> None:
    pair = item(2)
    do("review_decide", item=pair, payload=PAIR)
    do("review_gold", item=pair, explanation="It is true.")
    gold = do("review_item", item=pair)["gold"]
    assert (gold["answer"], gold["explanation"]) == (PAIR, "It is true.")
    do("review_gold", item=pair, on=False)
    assert do("review_item", item=pair)["gold"] is None


def test_a_decision_ends_a_flag_and_so_does_clearing_it(house: House, do: Any, item: Any, project: int) -> None:
    pair, other = item(2), item(3)
    for number in (pair, other):
        vote(house, number, "ann", kind="flag", payload={"why": "broken"})
    assert do("review_queue", project=project)["counts"]["flag"] == 2
    do("review_decide", item=pair, payload=PAIR)
    assert do("review_queue", project=project)["items"] == [other]
    assert len(do("review_clear", item=other)["cleared"]) == 1
    assert do("review_queue", project=project)["counts"]["flag"] == 0
    do("review_withdraw", item=other, why="private")
    assert do("review_item", item=other)["withdrawn"]


def test_the_snapshot_of_real_votes_follows_the_lead(do: Any, house: House, project: int, realdata: Path) -> None:
    """Three annotators of PandaLM: of all items on which two chose opposite answers, the lead's word is what counts."""
    path = realdata / "pandalm" / "testset-v1.json"
    number = do("import_file", project=project, path=path)["import"]
    do("import_confirm", project=project, number=number, accept_rejects=True)
    before = chosen(snapshots.freeze(house.store, "lea", project))
    waiting = do("review_queue", project=project)
    said: dict[int, set[Any]] = {}
    for cast in judgements.current(house.store, project):
        said.setdefault(cast["item"], set()).add(cast["payload"]["choice"])
    assert set(waiting["items"]) == {item for item, choices in said.items() if {0, 1} <= choices}
    assert len(waiting["people"]) == 3
    turned = {}
    for item in items.many(house.store, waiting["items"]).values():
        texts = [candidate.messages[0].content for candidate in item.candidates]
        other = texts.index(before[item.key]) ^ 1 if item.key in before else 0
        do("review_decide", item=item.id, payload={"choice": other, "strength": 3})
        turned[item.key] = texts[other]
    assert do("review_queue", project=project)["counts"]["disagreement"] == 0
    assert chosen(snapshots.freeze(house.store, "lea", project)) == before | turned


def chosen(snapshot: snapshots.Snapshot) -> dict[str, str]:
    """The text that won, by key of the item."""
    rows = pq.read_table(snapshot.folder / "pairs.parquet").to_pylist()
    return {row["item_key"]: row["chosen"][-1]["content"] for row in rows}


def test_what_names_its_model_waits_for_a_lead_where_the_project_says_so(house: House, do: Any) -> None:
    number = do("project_create", name="held")["id"]
    projects.change(house.store, "local", number, names="hold")
    answers = tuple(Candidate((Message("assistant", text),)) for text in ("I am ChatGPT, made by OpenAI.", "Water it."))
    [held] = items.add(house.store, "local", [make_item(number, (Message("user", "Who?"),), answers)])
    assert house.queue.lease("ann", number, "pair", "tab")["items"] == []
    assert do("review_queue", project=number)["counts"]["held"] == 1
    assert do("review_queue", project=number)["items"] == [held]
    do("review_decide", item=held, payload=PAIR)
    assert do("review_queue", project=number)["counts"]["held"] == 0
