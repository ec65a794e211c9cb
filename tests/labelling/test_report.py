"""The report: what was planted in a simulated team is found, and a published file has the libraries' figures."""

import json
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.labelling.report import report
from workbench.schema import Candidate, Judgement, Message, make_item, split_hash
from workbench.settings import Settings
from workbench.store import items, judgements, snapshots
from workbench.store.db import Store

MONDAY = datetime(2026, 11, 16, 12, tzinfo=UTC)


def said(item: int, who: str, choice: Any, **rest: Any) -> Judgement:
    strength = rest.pop("strength", 2 if choice in (0, 1) else None)
    payload = {"choice": choice, "strength": strength}
    fields = {"payload": payload, "shown_order": (0, 1), "ms_shown": 9000, "ts": MONDAY, "purpose": "overlap"} | rest
    return Judgement(uuid4(), item, who, "pair", **fields)


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["annotator"]: row for row in found["people"]}


def inside(found: dict[str, Any], planted: float) -> bool:
    return found["low"] <= planted <= found["high"]


def test_an_empty_project_has_a_report(store, project) -> None:
    found = report(store, project, "overall")
    assert (found["votes"], found["items"], found["overlap_items"], found["people"]) == (0, 0, 0, [])
    assert {e["why"] for e in found["agreement"].values()} == {"needs_30", "needs_20"}
    assert found["noise"]["eps"] == {"value": None, "why": "needs_50", "n": 0}
    assert found["bias"]["style"] == {"why": "needs_200"}
    assert found["confusion"] == {"people": [], "n": [], "agreement": []}
    json.dumps(found, allow_nan=False)


TEAM = ("ada", "bea", "cem", "left", "long", "spam")


def simulate(store: Store, project: int, make: Any) -> None:
    """600 items, each with two of six people. Three are right 9 times of 10; one of the others takes the left answer
    half the time, one the longer answer, and one throws a coin."""
    rng = np.random.default_rng(0)
    text = {name: "word " * n for name, n in (("short", 20), ("long", 60))}
    found = [make(project, f"q {i}", f"{i} {text['short']}", f"{i} {text['long']}") for i in range(600)]
    ids = items.add(store, "lead", found)
    longer = [int(len(item.candidates[1].messages[0].content) > 200) for item in found]
    truth, acts = rng.integers(0, 2, 600), []
    for at, id in enumerate(ids):
        for who in rng.permutation(6)[:2]:
            name, order = TEAM[who], tuple(int(c) for c in rng.permutation(2))
            choice = int(truth[at]) if rng.random() < 0.9 else int(1 - truth[at])
            if name == "spam" or (name in ("left", "long") and rng.random() < 0.5):
                choice = {"spam": int(rng.integers(2)), "left": order[0], "long": longer[at]}[name]
            ms = 400 if name == "spam" else 20_000
            acts.append(said(id, name, choice, shown_order=order, ms_shown=ms, strength=int(rng.integers(1, 4))))
            if name != "spam" and rng.random() < 0.2:
                again = choice if rng.random() < 0.82 else 1 - choice  # 0.9^2 + 0.1^2
                acts.append(said(id, name, again, purpose="repeat", shown_order=order[::-1]))
    store.append(*acts)


@pytest.fixture
def team(store, project, make) -> dict[str, Any]:
    simulate(store, project, make)
    return report(store, project, "overall")


def test_a_planted_team_is_found(team) -> None:
    people = by_name(team)
    assert sorted(people) == sorted(TEAM)
    assert (team["votes"], team["items"], team["overlap_items"]) == (1200, 600, 600)
    marked = {name: set(row["marked"]) for name, row in people.items()}
    assert "left" in marked["left"]
    assert inside(people["left"]["left"], 0.75)
    assert "longer" in marked["long"]
    assert inside(people["long"]["longer"], 0.75)
    assert {"majority", "kappa", "fast"} <= marked["spam"]
    assert people["spam"]["reliability"] < 0.62
    assert people["spam"]["fast"] == 1.0
    for name in ("ada", "bea", "cem"):
        assert not marked[name] & {"left", "longer", "self", "fast"}
        assert people[name]["reliability"] > 0.8
        assert inside(people[name]["left"], 0.5)
        assert inside(people[name]["self"], 0.82)
    # both sides: one vote of six is for the left three times of four
    assert inside(team["bias"]["side"], (5 * 0.5 + 0.75) / 6)
    assert inside(team["bias"]["length"], (5 * 0.5 + 0.75) / 6)
    assert {row["name"] for row in team["bias"]["style"]} == {"side", "length"}
    own = {row["name"]: row for row in team["bias"]["style_people"]["long"]}
    assert own["length"]["low"] > 1
    json.dumps(team, allow_nan=False)


def test_noise_of_the_team(team) -> None:
    # right with 0.9, 0.9, 0.9, 0.7, 0.7, 0.5; two agree with chance 1/2 + 2 (p - 1/2)(q - 1/2)
    d = np.array([0.4, 0.4, 0.4, 0.2, 0.2, 0.0])
    agree = 0.5 + 2 * (d.sum() ** 2 - (d**2).sum()) / 30
    assert inside(team["noise"]["A"], agree)
    assert inside(team["noise"]["eps"], (1 - np.sqrt(2 * agree - 1)) / 2)
    assert inside(team["noise"]["eps_self"], 0.1)
    assert inside(team["noise"]["R"], 0.82)
    sides = team["noise"]["repeat_sides"]
    assert sides["left"] + sides["right"] == round((1 - team["noise"]["R"]["value"]) * team["noise"]["R"]["n"])
    assert sides["p"] > 0.01
    confusion = team["confusion"]
    n = np.array(confusion["n"])
    assert confusion["people"] == [name for name in confusion["people"] if name in TEAM]
    assert (n == n.T).all()
    assert n.sum() - np.trace(n) == 2 * 600


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.2, 0.3])
def test_planted_flips_are_found(store, project, fill, eps: float) -> None:
    rng = np.random.default_rng(12)
    truth = rng.integers(0, 2, 500)
    flipped = np.where(rng.random((2, 500)) < eps, 1 - truth, truth)
    ids = fill(500)
    store.append(
        *(said(id, who, int(c)) for who, row in zip("ab", flipped, strict=True) for id, c in zip(ids, row, strict=True))
    )
    found = report(store, project, "overall")
    if eps == 0.3:  # A = 0.58, and 500 items leave it above a half
        assert found["noise"]["A"]["low"] > 0.5
    assert found["noise"]["eps"]["low"] - 1e-9 <= eps <= found["noise"]["eps"]["high"]


def test_which_votes_count(store, project, fill) -> None:
    ids = fill(60)
    plan = [said(id, who, n % 2) for n, id in enumerate(ids[:40]) for who in "ab"]
    odd = [
        *(said(id, "c", 0, purpose="tiebreak") for id in ids[:40]),
        *(said(id, "d", 1, purpose="compare") for id in ids[:40]),
        *(said(id, "lead", 1, purpose="adjudication") for id in ids[:40]),
        *(said(id, "e", 1, purpose=purpose) for id in ids[:40] for purpose in ("gold", "calibration", "repeat")),
        *(said(id, "import:1", 1, purpose="import", shown_order=None) for id in ids),
        *(said(id, "a", 1, axis="safe") for id in ids),
        said(ids[50], "a", 1, purpose="label"),
    ]
    undone = said(ids[0], "a", 0)
    undo = Judgement(uuid4(), ids[0], "a", "undo", {"of": str(undone.uid)})
    store.append(undone, undo, *plan, *odd)
    found = report(store, project, "overall")
    assert (found["votes"], found["items"], found["overlap_items"]) == (161, 41, 40)
    assert found["agreement"]["raw"] == {"value": 1.0, "low": pytest.approx(0.912, abs=1e-3), "high": 1.0, "n": 40}
    assert found["imported"] == {}
    assert [row["annotator"] for row in found["people"]] == ["a", "b", "c", "d"]


def test_where_a_model_chose_what_is_asked_the_control_arm_speaks(store, project, fill) -> None:
    ids = fill(250)
    arm = {row.id for row in items.iter_ids(store, project) if split_hash(row.group_id) < 2000}
    assert 30 <= len(arm) < 80
    for_all = [said(id, who, 0 if id in arm else n % 2) for id in ids for n, who in enumerate("ab")]
    store.append(*for_all)
    assert report(store, project, "overall")["agreement"]["raw"]["n"] == 250
    other = next(id for id in ids if id not in arm)
    store.append(said(other, "a", 0, policy="large_gap"))
    found = report(store, project, "overall")
    assert (found["agreement"]["raw"]["n"], found["agreement"]["raw"]["value"]) == (len(arm), 1.0)
    assert found["votes"] == 500


def test_people_by_hand(store, project, fill) -> None:
    ids = fill(10)
    gold = [Judgement(uuid4(), id, "lead", "gold", {"answer": {"choice": 0}, "on": True}) for id in ids[8:]]
    flag = Judgement(uuid4(), ids[6], "ann", "flag", {"why": "typo"})
    store.append(
        *(said(id, "ann", choice) for id, choice in zip(ids, (0, 1, "tie", "both_bad"), strict=False)),
        said(ids[0], "bob", 0, ms_shown=100),  # question 0 and two answers of 3 words: 8 words in 0.1 s
        said(ids[1], "bob", 0, ms_shown=8000, ts=MONDAY + timedelta(days=7)),
        *(Judgement(uuid4(), ids[n], "ann", "skip", {"why": None}) for n in (4, 5)),
        flag,
        *gold,
        said(ids[8], "ann", 0, purpose="gold"),
        said(ids[9], "ann", 1, purpose="gold"),
    )
    found = report(store, project, "overall")
    ann, bob = by_name(found).values()
    assert (ann["labels"], ann["ties"], ann["both_bad"], ann["median_s"]) == (4, 0.25, 0.25, 9.0)
    assert (ann["skips"], ann["flags"]) == (2 / 7, 1 / 7)
    assert (ann["gold"]["value"], ann["gold"]["n"]) == (0.5, 2)
    assert (ann["fast"], bob["fast"]) == (0.0, 0.5)
    assert (ann["majority"]["value"], ann["majority"]["n"]) == (0.5, 2)
    assert ann["kappa"] == {"value": None, "why": "needs_20", "n": 2}
    assert (ann["left"]["value"], ann["left"]["n"]) == (0.5, 2)
    assert found["confusion"] == {
        "people": ["ann", "bob"],
        "n": [[2, 2], [2, 2]],
        "agreement": [[1.0, 0.5], [0.5, 1.0]],
    }
    assert found["days"] == [
        {"day": "2026-11-16", "annotator": "ann", "labels": 4},
        {"day": "2026-11-16", "annotator": "bob", "labels": 1},
        {"day": "2026-11-23", "annotator": "bob", "labels": 1},
    ]


def test_weeks_versions_and_tags(store, project, fill) -> None:
    ids = fill(70, tags=("chat",)) + [
        items.add(store, "lead", [make_item(project, (Message("user", f"code {n}"),), pair(n), tags=("code",))])[0]
        for n in range(2)
    ]
    store.append(
        *(said(id, who, 0, guideline=1) for id in ids[:30] for who in "ab"),
        *(said(id, "a", 0, guideline=1) for id in ids[30:]),
        *(said(id, "b", n % 2, guideline=2, ts=MONDAY + timedelta(days=7)) for n, id in enumerate(ids[30:])),
    )
    found = report(store, project, "overall")
    assert [(w["week"], w["raw"]["value"], w["raw"]["n"]) for w in found["weeks"]] == [
        ("2026-W47", 1.0, 30),
        ("2026-W48", 0.5, 42),
    ]
    assert [(v["version"], v["raw"]["value"]) for v in found["versions"]] == [(1, 1.0), (2, 0.5)]
    assert [(t["tag"], t["raw"]["n"]) for t in found["tags"]] == [("chat", 70), ("code", 2)]
    assert found["tags"][1]["raw"]["why"] == "needs_30"


def pair(n: int) -> tuple[Candidate, Candidate]:
    return tuple(Candidate((Message("assistant", f"{n} {word}"),)) for word in ("yes", "no"))


def test_rankings_count_as_implied_pairs_drawn_by_prompt(store, project, fill) -> None:
    ids = fill(40, answers=3)
    tiers = ([[0], [1], [2]], [[0], [2], [1]])  # two of three implied pairs agree
    store.append(
        *(
            Judgement(uuid4(), id, who, "rank", {"tiers": t}, purpose="overlap")
            for id in ids
            for who, t in zip("ab", tiers, strict=True)
        )
    )
    found = report(store, project, "overall")
    assert found["kind"] == "rank"
    raw = found["agreement"]["raw"]
    assert (raw["value"], raw["n"]) == (pytest.approx(2 / 3), 40)
    assert raw["low"] == raw["high"] == pytest.approx(2 / 3)  # every prompt says the same
    assert found["overlap_items"] == 40


def test_best_and_worst_imply_five_of_six_pairs(store, project, fill) -> None:
    ids = fill(30, answers=4)
    store.append(
        *(
            Judgement(uuid4(), id, who, "best_worst", {"best": 2, "worst": 0}, purpose="overlap")
            for id in ids
            for who in "ab"
        ),
    )
    found = report(store, project, "overall")
    assert found["confusion"]["n"] == [[150, 150], [150, 150]]
    assert found["agreement"]["raw"]["value"] == 1.0


def test_thumbs_have_figures_too(store, project, fill) -> None:
    ids = fill(40, answers=1)
    store.append(
        *(
            Judgement(uuid4(), id, who, "thumb", {"candidate": 0, "label": label}, purpose="overlap", shown_order=(0,))
            for n, id in enumerate(ids)
            for who, label in (("a", n % 2 == 0), ("b", n % 4 < 2))
        )
    )
    found = report(store, project, "overall")
    assert (found["kind"], found["agreement"]["raw"]["value"]) == ("thumb", 0.5)
    assert found["agreement"]["alpha_nominal"]["value"] == found["agreement"]["alpha_ordinal"]["value"]
    assert found["bias"]["side"]["n"] == 0


@pytest.fixture(scope="module")
def published(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A published file whose every row was judged by three people, brought in as any file is."""
    house = House.open(Settings(home=tmp_path_factory.mktemp("published") / "home"))
    number = ACTIONS["project_create"](house, "local", name="published")["id"]
    parsed = ACTIONS["import_file"](house, "local", project=number, path=realdata / "pandalm/testset-v1.json")
    ACTIONS["import_confirm"](house, "local", project=number, number=parsed["import"], accept_rejects=True)
    yield house, number
    house.close()


def test_a_published_file_of_three_annotators(published) -> None:
    house, number = published
    votes: dict[int, dict[str, Any]] = defaultdict(dict)
    for vote in judgements.current(house.store, number):
        votes[vote["item"]][vote["annotator"].rsplit(":", 1)[1]] = vote["payload"]["choice"]
    rows = [v for v in votes.values() if len(v) == 3]
    assert len(votes) > 250
    codes = {0: 0, 1: 1, "tie": 2}
    table = np.array([[codes[v[who]] for who in sorted(v)] for v in rows])
    [found] = report(house.store, number, "overall")["imported"].values()

    assert found["raw"]["n"] == len(rows)
    same = [(t[i] == t[j]) for t in table for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found["raw"]["value"] == pytest.approx(np.mean(same))
    counts, _ = aggregate_raters(table, 3)
    assert found["fleiss"]["value"] == pytest.approx(fleiss_kappa(counts))
    n = counts.sum(0)
    pairs = [(a, b) for t in table for i, a in enumerate(t) for j, b in enumerate(t) if i != j]
    apart, by_chance = np.mean([a != b for a, b in pairs]), 1 - (n * (n - 1)).sum() / (n.sum() * (n.sum() - 1))
    assert found["alpha_nominal"]["value"] == pytest.approx(1 - apart / by_chance)
    kappas = [cohen_kappa_score(table[:, i], table[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found["cohen"]["value"] == pytest.approx(np.mean(kappas))
    for figure in found.values():
        assert figure["low"] < figure["value"] < figure["high"]


def test_a_published_file_gives_majorities_and_soft_labels(published) -> None:
    house, number = published
    made = snapshots.freeze(house.store, "lead", number)
    figures = made.manifest["labels"]
    assert figures["A"]["low"] > 0.5
    assert inside(figures["eps"], (1 - np.sqrt(2 * figures["A"]["value"] - 1)) / 2)
    said: dict[str, Counter[Any]] = defaultdict(Counter)
    keys = {row.id: row.key for row in items.iter_ids(house.store, number)}
    for vote in judgements.current(house.store, number):
        said[keys[vote["item"]]][vote["payload"]["choice"]] += 1
    a = (1 - figures["A"]["value"]) / (2 * figures["A"]["value"] - 1)
    known = {items.get(house.store, id).key: items.get(house.store, id) for id in list(keys)[:50]}
    pairs = pq.read_table(made.folder / "pairs.parquet").to_pylist()
    assert len(pairs) > 250
    for row in pairs:
        count = said[row["item_key"]]
        top = max(count.values())
        if not row["tie"] and top > 1:
            assert row["n_agree"] == top
            expected = (top + count["tie"] / 2 + a) / (count.total() + 2 * a)
            assert row["p_share"] == pytest.approx(min(0.99, max(0.5, expected)), abs=1e-6)
        if row["item_key"] in known and not row["tie"]:
            texts = [c.messages[0].content for c in known[row["item_key"]].candidates]
            best = texts.index(row["chosen"][0]["content"])
            assert count[best] >= count[1 - best]
        assert 0.5 <= row["p_posterior"] <= 0.99
    assert {row["p_share"] for row in pairs if row["tie"]} == {0.5}
    assert len({row["p_posterior"] for row in pairs}) > 4


@pytest.mark.slow
def test_a_hundred_thousand_judgements_take_three_seconds(store, project) -> None:
    """CPU seconds: of the first report, which also counts in the texts of 89,000 items, and of those after it."""
    rng = np.random.default_rng(0)
    answers = [
        [f"{i} {side} " + "some words of an answer. " * int(rng.integers(5, 30)) for side in "xy"]
        for i in range(89_000)
    ]
    ids = []
    for at in range(0, len(answers), 5000):
        part = enumerate(answers[at : at + 5000], at)
        made = [(i, tuple(Candidate((Message("assistant", text),)) for text in two)) for i, two in part]
        ids += items.add(store, "lead", [make_item(project, (Message("user", f"q {i}"),), two) for i, two in made])
    acts = []
    for at, id in enumerate(ids):
        for who in rng.permutation(20)[: 1 + (at % 8 == 0)]:
            choice = (0, 1, "tie", "both_bad")[rng.choice(4, p=[0.45, 0.45, 0.06, 0.04])]
            order = tuple(int(c) for c in rng.permutation(2))
            acts.append(
                said(
                    id,
                    f"person {who}",
                    choice,
                    shown_order=order,
                    strength=None if choice in ("tie", "both_bad") else 2,
                )
            )
    for at in range(0, len(acts), 5000):
        store.append(*acts[at : at + 5000])
    took = []
    for _ in range(3):
        began = time.process_time()
        found = report(store, project, "overall")
        took.append(round(time.process_time() - began, 2))
    print(f"{found['votes']} judgements, 2,000 resamples: {took} s")
    assert found["votes"] > 100_000
    assert min(took) <= 3
