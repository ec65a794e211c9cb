"""Snapshots: worked by hand, the same for the same labels, and never moving a group."""

import os
import subprocess
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from workbench.errors import NotFound, StoreDamaged, UsageError
from workbench.schema import Candidate, Message, group_of, make_item, split_of
from workbench.store import items, projects, snapshots
from workbench.store.db import Store
from workbench.store.frozen_rows import SCHEMAS, short


def said(choice: int | str, strength: float | None = None) -> dict:
    return {"payload": {"choice": choice, "strength": strength}}


def read(snapshot, name: str) -> list[dict]:
    return pq.read_table(snapshot.folder / f"{name}.parquet").to_pylist()


def text(messages: list[dict]) -> str:
    return "".join(m["content"] for m in messages)


@pytest.fixture
def freeze(store, project):
    return lambda **policy: snapshots.freeze(store, "lead", project.id, **policy)


@pytest.fixture
def pair(store, asked):
    """The number of a stored pair item with answers `x` and `y`, and its candidates' texts by index."""

    def make(question: str = "Tea?", **rest) -> tuple[int, list[str]]:
        [number] = items.add(store, "ann", [asked(question, "x", "y", **rest)])
        return number, [c.messages[0].content for c in items.get(store, number).candidates]

    return make


def test_a_pair_by_hand(store, project, freeze, pair, vote) -> None:
    number, texts = pair()
    for who, one in (("ann", said(0, 3)), ("bob", said(0, 1)), ("eve", said(1, 1))):
        store.append(vote(number, who, purpose="overlap", **one))
    made = freeze()
    item = items.get(store, number)
    hashes = [c.hash for c in item.candidates]
    [row] = read(made, "pairs")
    assert row == {
        "id": short(item.key, *hashes),
        "group_id": item.group_id,
        "item_key": item.key,
        "form": "chat",
        "split": split_of(item.group_id),
        "weight": 1.0,
        "source": "label",
        "prompt": [{"role": "user", "content": "Tea?"}],
        "chosen": [{"role": "assistant", "content": texts[0]}],
        "rejected": [{"role": "assistant", "content": texts[1]}],
        "tie": False,
        "strength": 1.0,
        "p_share": None,
        "p_posterior": None,
        "n_votes": 3,
        "n_agree": 2,
    }
    assert made.rows == {"pairs": 1, "thumbs": 0, "demonstrations": 0, "rankings": 0, "prompts": 1}
    assert made.hash == made.folder.name == made.manifest["hash"][:12]
    assert made.manifest["files"]["pairs.parquet"]["rows"] == 1
    for name, schema in SCHEMAS.items():
        columns = [c for c in schema.names if c != "twin"]
        assert pq.read_schema(made.folder / f"{name}.parquet").names == columns


def test_ties_stay_and_both_bad_becomes_thumbs(store, freeze, pair, vote) -> None:
    (tie, texts), (bad, _) = pair("a"), pair("b")
    store.append(vote(tie, **said("tie")), vote(bad, **said("both_bad")))
    made = freeze()
    [row] = read(made, "pairs")
    assert (row["tie"], text(row["chosen"]), row["strength"]) == (True, texts[0], None)
    thumbs = read(made, "thumbs")
    assert {text(t["completion"]) for t in thumbs} == {"x", "y"}
    assert {(t["label"], t["p"], t["n_votes"]) for t in thumbs} == {(False, 0.0, 1)}
    assert read(made, "demonstrations") == []
    assert freeze(both_bad_to_thumbs=False).rows["thumbs"] == 0


def test_pairs_give_thumbs_and_demonstrations_where_asked(store, freeze, pair, vote) -> None:
    (firm, texts), (weak, _) = pair("a"), pair("b")
    store.append(vote(firm, **said(1, 2)), vote(weak, **said(0, 1)))
    [written] = read(freeze(), "demonstrations")
    assert (text(written["completion"]), written["source"]) == (texts[1], "winner")
    thumbs = read(freeze(pairs_to_thumbs=True), "thumbs")
    assert sorted((t["label"], t["p"]) for t in thumbs) == [(False, 0.0)] * 2 + [(True, 1.0)] * 2


def test_what_was_said_twice_is_demonstrated_once(store, freeze, asked, vote) -> None:
    numbers = items.add(store, "ann", [asked("a", "x", "y"), asked("a", "x", "z")])
    for number in numbers:
        best = next(i for i, c in enumerate(items.get(store, number).candidates) if c.messages[0].content == "x")
        store.append(vote(number, **said(best)))
    made = freeze()
    assert made.rows == {"pairs": 2, "thumbs": 0, "demonstrations": 1, "rankings": 0, "prompts": 1}
    ids = [row["id"] for row in read(made, "pairs")]
    assert ids == sorted(ids)


def test_single_answers(store, freeze, asked, vote) -> None:
    good, bad, shown, refused = items.add(
        store,
        "ann",
        [
            asked("a", "x"),
            asked("b", "x"),
            asked("c", "x", origin={"dialect": "demonstrations"}),
            asked("d", "x", origin={"dialect": "demonstrations"}),
        ],
    )
    for number, label in ((good, True), (bad, False), (refused, False)):
        store.append(vote(number, kind="thumb", payload={"candidate": 0, "label": label}, shown_order=(0,)))
    made = freeze()
    assert sorted(t["label"] for t in read(made, "thumbs")) == [False, False, True]
    found = {(text(d["prompt"]), d["source"]) for d in read(made, "demonstrations")}
    assert found == {("a", "thumb"), ("c", "demonstration")}
    assert shown


def test_a_tally_counts_what_a_snapshot_would_hold_and_holds(store, project, freeze, pair, asked, vote) -> None:
    pair()
    number, _ = pair("Coffee?")
    store.append(vote(number, **said(0, 2)))
    [ranked] = items.add(store, "ann", [asked("Rank?", "a", "b", "c", "d")])
    store.append(vote(ranked, kind="rank", payload={"tiers": [[2], [0, 3], [1]]}, shown_order=(0, 1, 2, 3)))
    told = snapshots.tally(store, project.id, eval_share=0)
    assert told["pairs"] == {"train": 1 + 5}
    assert told["rankings"] == {"train": 1}
    assert told["ties"] == {}
    assert told["comparisons"] == {"train": 1 + 1}  # a reward model takes the ranking whole
    assert snapshots.read_tally(freeze(eval_share=0)) == told


def test_thumbs_are_tallied_by_what_they_say(store, project, asked, vote) -> None:
    numbers = items.add(store, "ann", [asked(f"Tea {i}?", "x") for i in range(3)])
    for number, label in zip(numbers, (True, True, False), strict=True):
        store.append(vote(number, kind="thumb", payload={"candidate": 0, "label": label}, shown_order=(0,)))
    assert snapshots.tally(store, project.id, eval_share=0)["thumbs"] == {"train": 3, "true": 2, "false": 1}


def test_a_ranking_is_one_row_and_its_strict_pairs(store, freeze, asked, vote) -> None:
    [number] = items.add(store, "ann", [asked("a", "w", "x", "y", "z")])
    texts = [c.messages[0].content for c in items.get(store, number).candidates]
    store.append(vote(number, kind="rank", payload={"tiers": [[2], [0, 3], [1]]}, shown_order=(0, 1, 2, 3)))
    made = freeze()
    [row] = read(made, "rankings")
    assert (row["tiers"], [text(c) for c in row["candidates"]], row["n_votes"]) == ([[2], [0, 3], [1]], texts, 1)
    pairs = read(made, "pairs")
    order = {
        (texts[2], texts[0]),
        (texts[2], texts[3]),
        (texts[2], texts[1]),
        (texts[0], texts[1]),
        (texts[3], texts[1]),
    }
    assert {(text(p["chosen"]), text(p["rejected"])) for p in pairs} == order
    assert {(p["weight"], p["n_votes"], p["n_agree"]) for p in pairs} == {(0.2, 1, 1)}
    assert [text(d["completion"]) for d in read(made, "demonstrations")] == [texts[2]]


def test_the_same_labels_are_the_same_snapshot_anywhere(store, freeze, pair, vote, tmp_path, asked) -> None:
    (first, _), (second, _) = pair("a"), pair("b")
    store.append(vote(first, **said(0, 1)), vote(second, **said(1, 2)))
    made = freeze()
    seq = store.seq
    assert freeze() == made
    assert store.seq == seq
    with Store.open(tmp_path / "other") as other:
        projects.create(other, "lead", "Filler")
        twin = projects.create(other, "lead", "Elsewhere")
        # stored the other way round, in another project
        for question, one in (("b", said(1, 2)), ("a", said(0, 1))):
            [number] = items.add(other, "ann", [replace(asked(question, "x", "y"), project=twin.id)])
            other.append(vote(number, "someone", **one))
        again = snapshots.freeze(other, "lead", twin.id)
    assert again.manifest["hash"] == made.manifest["hash"]
    assert again.manifest["files"] == made.manifest["files"]


def test_a_changed_mind_is_another_snapshot(store, project, freeze, pair, vote) -> None:
    number, texts = pair()
    first = vote(number, **said(0, 2))
    store.append(first)
    one = freeze()
    store.append(vote(number, kind="undo", payload={"of": str(first.uid)}))
    assert freeze().rows["pairs"] == 0
    store.append(vote(number, supersedes=first.uid, **said(1, 2)))
    two = freeze()
    assert [text(p["chosen"]) for p in read(two, "pairs")] == [texts[1]]
    store.append(vote(number, "lead", purpose="adjudication", **said(0, 2)))
    three = freeze()
    [row] = read(three, "pairs")
    assert (text(row["chosen"]), row["source"], row["n_votes"], row["n_agree"]) == (texts[0], "adjudication", 1, 0)
    assert len({s.hash for s in snapshots.all(store, project.id)}) == 4
    assert freeze(eval_share=0.2).hash != three.hash
    assert snapshots.get(store, project.id, one.hash) == one


def test_adding_data_never_moves_a_test_group(store, freeze, asked, vote) -> None:
    def sides() -> dict[str, str]:
        return {row["group_id"]: row["split"] for row in read(freeze(), "pairs")}

    for number in items.add(store, "ann", [asked(f"q{n}", "x", "y") for n in range(60)]):
        store.append(vote(number, **said(0)))
    before = sides()
    assert {"train", "test"} == set(before.values())
    new = [asked(f"q{n}", "v", "w") for n in range(30)] + [asked(f"p{n}", "x", "y") for n in range(60)]
    for number in items.add(store, "ann", new):
        store.append(vote(number, **said(1)))
    after = sides()
    assert {group: after[group] for group in before} == before
    assert len(read(freeze(), "pairs")) == 150


def test_what_may_not_be_trained_on_is_left_out(store, project, freeze, pair, asked, vote) -> None:
    train = [q for q in (f"q{n}" for n in range(30)) if split_of(asked(q, "x").group_id) == "train"]
    flagged, withdrawn, gold, cleared, fine = (pair(question)[0] for question in train[:5])
    calls = Message("assistant", "", extra={"tool_calls": [{"name": "f"}]})
    answers = (Candidate((calls,)), Candidate((Message("assistant", "x"),)))
    [called] = items.add(store, "ann", [make_item(project.id, (Message("user", train[5]),), answers)])
    flag = vote(cleared, kind="flag", payload={"why": None})
    store.append(
        *(vote(number, **said(0, 2)) for number in (flagged, withdrawn, gold, cleared, fine, called)),
        vote(flagged, kind="flag", payload={"why": "typo"}),
        vote(withdrawn, "lead", kind="withdraw", payload={"why": "copyright"}),
        vote(gold, "lead", kind="gold", payload={"choice": 0, "explanation": "", "on": True}),
        flag,
        vote(cleared, "lead", kind="clear", payload={"of": str(flag.uid)}),
    )
    made = freeze()
    assert {p["item_key"] for p in read(made, "pairs")} == {items.get(store, n).key for n in (cleared, fine)}
    assert made.manifest["left_out"] == {"hidden": 2, "held": 1, "tool_calls": 1}


def test_votes_for_other_purposes_and_axes_do_not_count(store, freeze, pair, vote) -> None:
    number, _ = pair()
    store.append(
        *(vote(number, purpose=purpose, **said(1)) for purpose in ("gold", "repeat", "calibration")),
        vote(number, axis="safe", **said(1)),
    )
    assert freeze().rows["pairs"] == 0
    assert freeze(axis="safe").rows["pairs"] == 1


def test_compare_votes_count_only_for_typed_prompts(store, freeze, pair, vote) -> None:
    typed, _ = pair("typed", origin={"compare": ["a", "b"], "typed": True})
    test = next(q for q in (f"q{n}" for n in range(50)) if split_of(group_of((Message("user", q),))) == "test")
    drawn, _ = pair(test, origin={"compare": ["a", "b"], "set": 1})
    store.append(vote(typed, purpose="compare", **said(0)), vote(drawn, purpose="compare", **said(0)))
    made = freeze()
    assert [(text(p["prompt"]), p["source"]) for p in read(made, "pairs")] == [("typed", "compare")]
    assert freeze(purposes=["label"]).rows["pairs"] == 0


def test_a_damaged_snapshot_is_refused_and_replaced(store, project, freeze, pair, vote, home) -> None:
    number, _ = pair()
    store.append(vote(number, **said(0)))
    made = freeze()
    path = made.folder / "pairs.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"?")
    with pytest.raises(StoreDamaged, match=r"pairs.parquet is missing or changed"):
        snapshots.get(store, project.id, made.hash)
    assert freeze().hash == made.hash
    assert path.read_bytes() == good
    assert snapshots.get(store, project.id, made.manifest["hash"]).hash == made.hash
    assert len(list((home / "quarantine").iterdir())) == 1
    with pytest.raises(NotFound, match=f"it has: .*{made.hash}"):
        snapshots.get(store, project.id, "0" * 12)
    with pytest.raises(UsageError, match="no colour"):
        freeze(colour="red")


@pytest.mark.rule("R2")
def test_a_killed_freeze_leaves_no_half_snapshot(store, project, pair, vote, home) -> None:
    store.append(vote(pair()[0], **said(0)))
    store.close()
    code = "from workbench.store import db, snapshots; from pathlib import Path; import sys\n"
    code += "snapshots.freeze(db.Store.open(Path(sys.argv[1])), 'lead', 1)"
    env = os.environ | {"WORKBENCH_TESTING": "1", "WORKBENCH_FAILPOINT": "before_snapshot_rename"}
    assert subprocess.run([sys.executable, "-c", code, str(home)], env=env).returncode == 99
    with Store.open(home) as again:
        assert [path.suffix for path in (home / "snapshots").iterdir()] == [".part"]
        assert snapshots.all(again, 1) == []
        made = snapshots.freeze(again, "lead", 1)
        assert snapshots.get(again, 1, made.hash) == made
        assert [path.name for path in (home / "snapshots").iterdir()] == [made.hash]


def test_two_projects_may_share_a_snapshot(store, freeze, project) -> None:
    second = projects.create(store, "lead", "Second")
    with pytest.raises(NotFound, match="it has: none yet"):
        snapshots.get(store, second.id, freeze().hash)
    assert snapshots.freeze(store, "lead", second.id).hash == freeze().hash
    assert [len(snapshots.all(store, p)) for p in (project.id, second.id)] == [1, 1]


def edit(number: int, who: str, candidate: int, content: str, vote, **rest):
    payload = {"candidate": candidate, "messages": [{"role": "assistant", "content": content}], "distance": 0.4}
    return vote(number, who, kind="edit", payload=payload, **rest)


def chosen_over(rows: list[dict]) -> set[tuple[str, str]]:
    return {(text(row["chosen"]), text(row["rejected"])) for row in rows}


def test_an_edit_wins_and_is_demonstrated(store, freeze, pair, vote) -> None:
    (number, texts), (bad, _), (lost, others) = pair("a"), pair("b"), pair("c")
    store.append(
        vote(number, **said(0, 1)),
        edit(number, "ann", 0, "x better", vote),  # of the better one: the other is below it
        vote(bad, **said("both_bad")),
        edit(bad, "ann", 1, "mine", vote),
        vote(lost, **said(1, 3)),
        edit(lost, "ann", 0, "so-so", vote),  # of the worse one: nothing is said of the better
        edit(lost, "bob", 0, "so-so", vote),
        edit(lost, "eve", 0, others[1], vote),  # not a new text
    )
    made = freeze()
    rows = [row for row in read(made, "pairs") if text(row["chosen"]) not in "xy"]
    assert chosen_over(rows) == {
        *(("x better", answer) for answer in texts),
        *(("mine", answer) for answer in "xy"),
        ("so-so", others[0]),
    }
    told = {text(r["chosen"]): (r["strength"], r["n_votes"], r["n_agree"], r["weight"], r["source"]) for r in rows}
    assert told == {
        "x better": (2.0, 1, 1, 0.5, "label"),
        "mine": (2.0, 1, 1, 0.5, "label"),
        "so-so": (2.0, 2, 2, 1.0, "label"),
    }
    written = {text(d["completion"]) for d in read(made, "demonstrations") if d["source"] == "edit"}
    assert written == {"x better", "mine", "so-so"}
    plain = freeze(edits=False)
    assert plain.rows["pairs"] == 2
    assert not {text(d["completion"]) for d in read(plain, "demonstrations")} & written


def write(number: int, who: str, content: str, vote, candidate: int | None = None):
    payload = {"candidate": candidate, "messages": [{"role": "assistant", "content": content}], "distance": None}
    return vote(number, who, kind="edit", payload=payload, purpose="write")


def test_what_is_written_where_all_is_bad_wins_against_all_and_is_good(store, asked, freeze, pair, vote) -> None:
    number, texts = pair()
    [three] = items.add(store, "ann", [asked("Milk?", "p", "q", "r")])
    store.append(
        vote(number, "ann", **said("both_bad")),
        write(number, "bob", "A good cup of tea.", vote),
        write(number, "cid", texts[0], vote),  # no new text
        vote(three, "ann", kind="rank", payload={"tiers": []}),
        write(three, "ann", "Warm milk.", vote),
    )
    made = freeze()
    found = {
        (text(r["chosen"]), text(r["rejected"])): (r["weight"], r["strength"], r["source"], r["n_votes"])
        for r in read(made, "pairs")
    }
    tea = {("A good cup of tea.", worse): (1 / 2, 2.0, "write", 1) for worse in "xy"}
    assert found == tea | {("Warm milk.", worse): (1 / 3, 2.0, "write", 1) for worse in "pqr"}
    thumbs = {text(r["completion"]): (r["label"], r["p"], r["source"], r["n_votes"]) for r in read(made, "thumbs")}
    good = dict.fromkeys(("A good cup of tea.", "Warm milk."), (True, 1.0, "write", 1))
    assert thumbs == good | dict.fromkeys("xypqr", (False, 0.0, "label", 1))
    assert {text(r["completion"]) for r in read(made, "demonstrations") if r["source"] == "write"} == set(good)
    assert len({r["id"] for name in ("pairs", "thumbs") for r in read(made, name)}) == 5 + 7
    for without in ({"edits": False}, {"purposes": ["label"]}, {"without": ["ann", "bob", "cid"]}):
        assert freeze(**without).rows["pairs"] == 0
    assert freeze(min_strength=2.5).rows["pairs"] == 0


def test_what_is_written_does_not_beat_what_the_verdict_prefers(store, asked, freeze, pair, vote) -> None:
    (decided, _), (changed, _), (heard, _), (level, _), (same, _) = (pair(q) for q in "abcdg")
    ranked, alike = items.add(store, "ann", [asked(q, "p", "q", "r") for q in "ef"])
    bad = vote(changed, "ann", **said("both_bad"))
    store.append(
        vote(decided, "ann", **said("both_bad")),
        vote(decided, "lead", purpose="adjudication", **said(1, 2)),
        bad,
        vote(changed, "ann", supersedes=bad.uid, **said(0, 1)),
        vote(heard, "ann", **said("both_bad")),
        vote(heard, "bob", **said("both_bad")),
        vote(heard, "cid", **said(0, 1)),
        vote(level, "ann", **said("both_bad")),
        vote(level, "lead", purpose="adjudication", **said("tie")),
        vote(ranked, "lead", kind="rank", purpose="adjudication", payload={"tiers": [[2], [0, 1]]}),
        vote(alike, "lead", kind="rank", purpose="adjudication", payload={"tiers": [[0, 1, 2]]}),
        vote(same, "lead", purpose="adjudication", **said(0, 2)),
        edit(same, "eve", 0, f"new {same}", vote),  # the same text, by somebody who made it of the better one
        *(write(n, "zoe", f"new {n}", vote) for n in (decided, changed, heard, level, ranked, alike, same)),
    )

    def beaten(made, number: int) -> list[int]:
        answers = [c.messages[-1].content for c in items.get(store, number).candidates]
        rows = [r for r in read(made, "pairs") if text(r["chosen"]) == f"new {number}"]
        return sorted(answers.index(text(r["rejected"])) for r in rows)

    made = freeze()
    found = [beaten(made, number) for number in (decided, changed, heard, level, ranked, alike, same)]
    assert found == [[0], [1], [0, 1], [0, 1], [0, 1], [0, 1, 2], [0, 1]]
    for name in ("demonstrations", "thumbs"):
        assert len({text(r["completion"]) for r in read(made, name) if r["source"] == "write"}) == 7
    assert beaten(freeze(without=["ann", "bob"]), heard) == [1]  # of those who are heard, cid prefers answer 0
    assert beaten(freeze(without=["cid"]), heard) == [0, 1]
    assert beaten(freeze(without=["zoe"]), heard) == []


def test_rankings_under_each_policy(store, freeze, asked, vote) -> None:
    ranked, extremes, refused = items.add(store, "ann", [asked(q, "w", "x", "y", "z") for q in "abc"])
    store.append(
        vote(ranked, kind="rank", payload={"tiers": [[2], [0, 3], [1]]}),
        vote(extremes, kind="best_worst", payload={"best": 1, "worst": 3}),
        vote(refused, kind="rank", payload={"tiers": []}),
    )
    counts = {which: freeze(rankings=which).rows["pairs"] for which in ("all", "adjacent", "best_vs_rest")}
    assert counts == {"all": 5 + 5, "adjacent": 4 + 4, "best_vs_rest": 3 + 3}
    made = freeze()
    assert made.rows["rankings"] == 2
    assert [(t["label"], t["p"]) for t in read(made, "thumbs")] == [(False, 0.0)] * 4
    assert freeze(both_bad_to_thumbs=False).rows["thumbs"] == 0
    weights = {row["weight"] for row in read(freeze(rankings="adjacent"), "pairs")}
    assert weights == {0.25}
    with pytest.raises(UsageError, match="rankings 'some': one of all, adjacent, best_vs_rest"):
        freeze(rankings="some")


def test_what_a_lead_lets_in(store, freeze, pair, asked, vote) -> None:
    (split, _), (weak, _), (sure, _), (tie, _) = pair("a"), pair("b"), pair("c"), pair("d")
    store.append(
        *(vote(split, who, **said(choice, 3)) for who, choice in zip("abc", (0, 0, 1), strict=True)),
        vote(weak, "a", **said(0, 1)),
        *(vote(sure, who, **said(1, 3)) for who in "ab"),
        vote(tie, "a", **said("tie")),
    )
    keys = {
        items.get(store, n).key: name for n, name in ((split, "split"), (weak, "weak"), (sure, "sure"), (tie, "tie"))
    }

    def kept(**policy) -> set[str]:
        return {keys[row["item_key"]] for row in read(freeze(**policy), "pairs")}

    assert kept() == {"split", "weak", "sure", "tie"}
    assert kept(min_agreement=0.7) == {"weak", "sure", "tie"}
    assert kept(min_strength=2) == {"sure"}  # split: (3 + 3 - 3) / 3 = 1
    assert freeze(min_strength=2).hash == freeze(min_strength=2.0).hash
    assert kept(without=["c"]) == {"split", "weak", "sure", "tie"}
    assert kept(without=["a"]) == {"split", "sure"}
    made = freeze(without=["a", "b"])
    assert made.rows["pairs"] == 1
    assert made.manifest["policy"]["without"] == 2  # no names
    store.append(vote(split, "lead", purpose="adjudication", **said(0, 1)))
    assert "split" in kept(min_agreement=0.9)
    for wrong in ({"without": ["eve"]}, {"min_agreement": 1.2}, {"min_strength": -1}):
        with pytest.raises(UsageError, match=r"eve: no labels|from 0 to"):
            freeze(**wrong)


def twice(store, asked, vote, n: int, agree: int, **rest) -> list[int]:
    """`n` items that ann and bob both judged, of which they agree on the first `agree`."""
    numbers, acts = items.add(store, "lead", [asked(f"twice {i}", "x", "y") for i in range(n)]), []
    for at, number in enumerate(numbers):
        other = at % 2 if at < agree else 1 - at % 2
        for who, choice in (("ann", at % 2), ("bob", other)):
            acts.append(vote(number, who, **{"purpose": "overlap"} | rest, **said(choice, 2)))
    store.append(*acts)
    return numbers


def test_soft_labels_by_hand(store, freeze, pair, asked, vote) -> None:
    twice(store, asked, vote, 60, 45)  # A = 0.75, a = 0.5
    (alone, _), (third, _), (decided, _), (tied, _), (bad, _) = (pair(q) for q in "abcde")
    store.append(
        vote(alone, "ann", **said(0, 1)),
        *(vote(third, who, **said(c, 2)) for who, c in (("ann", 0), ("bob", 0))),
        vote(third, "eve", purpose="tiebreak", **said(1, 2)),
        vote(decided, "ann", **said(0, 2)),
        vote(decided, "lead", purpose="adjudication", **said(1, 2)),
        vote(tied, "ann", **said("tie")),
        vote(bad, "ann", **said("both_bad")),
        edit(bad, "zoe", 0, "mine", vote),
        write(bad, "zoe", "all mine", vote),
    )
    made = freeze()
    labels = made.manifest["labels"]
    # 61 items: the 60, and `third`, on which ann and bob agree
    assert (labels["n"], labels["A"]["value"]) == (61, pytest.approx(46 / 61))
    assert labels["eps"]["value"] == pytest.approx((1 - (2 * 46 / 61 - 1) ** 0.5) / 2)
    assert labels["eps_self"] == {"value": None, "why": "needs_50", "n": 0}
    assert labels["alpha"]["value"] == pytest.approx(0.51, abs=0.02)
    a = (15 / 61) / (31 / 61)
    p = {
        text(r["prompt"]): (r["p_share"], r["p_posterior"])
        for r in read(made, "pairs")
        if "mine" not in text(r["chosen"])
    }
    assert p["a"][0] == pytest.approx(46 / 61, abs=1e-6)
    assert p["c"] == (0.99, 0.99)
    assert p["d"] == (0.5, 0.5)
    assert p["b"][0] == pytest.approx((2 + a) / (3 + 2 * a), abs=1e-6)
    assert p["twice 0"][0] == pytest.approx((2 + a) / (2 + 2 * a), abs=1e-6)
    assert p["twice 0"][1] > p["a"][1] > 0.55
    [mine] = [r for r in read(made, "pairs") if text(r["chosen"]) == "mine"]  # zoe said nothing of the other answer
    written = [r for r in read(made, "pairs") if text(r["chosen"]) == "all mine"]
    for row in (mine, *written):
        assert (row["p_share"], row["p_posterior"]) == (pytest.approx(46 / 61, abs=1e-6), 0.8)
    assert len(written) == 2


@pytest.mark.parametrize(("n", "agree"), [(49, 40), (60, 33)])
def test_no_soft_labels_below_fifty_items_or_when_agreement_may_be_chance(store, freeze, asked, vote, n, agree) -> None:
    twice(store, asked, vote, n, agree)
    made = freeze()
    assert {(r["p_share"], r["p_posterior"]) for r in read(made, "pairs")} == {(None, None)}
    assert made.manifest["labels"]["eps"]["why"] == ("needs_50" if n < 50 else "not_identifiable")


def test_imports_of_several_people_have_agreement_of_their_own(store, freeze, asked, vote) -> None:
    numbers = items.add(store, "lead", [asked(f"q{i}", "x", "y") for i in range(60)])
    store.append(
        *(
            vote(number, who, purpose="import", **said(1 - at % 2 if who[-1] == "b" and at < 6 else at % 2))
            for at, number in enumerate(numbers)
            for who in ("ext:1:a", "ext:1:b", "ext:1:machine:m")
        )
    )
    labels = freeze().manifest["labels"]
    assert (labels["n"], labels["A"]["value"]) == (60, 0.9)  # a machine is nobody who could agree
    a = 0.1 / 0.8  # two people agree or are even; what the machine adds counts for nothing
    assert {r["p_share"] for r in read(freeze(), "pairs")} == {0.5, round((2 + a) / (2 + 2 * a), 6)}
    assert freeze(purposes=["label"]).manifest["labels"]["n"] == 0


def test_only_votes_of_people_say_how_sure_a_label_is(store, freeze, pair, asked, vote) -> None:
    twice(store, asked, vote, 60, 45)  # A = 0.75, a = 0.5
    (mixed, _), (spoken, _), (machines, _), (level, _), (compared, _) = (pair(q) for q in "abcde")
    ours = [vote(number, "ann", **said(0, 2)) for number in (mixed, spoken)]
    taken = {"ext:1:machine:m": (mixed, machines), "import:1": (mixed, machines), "ext:1:kim": (spoken,)}
    others = [vote(n, who, purpose="import", **said(0, 2)) for who, numbers in taken.items() for n in numbers]
    tie = vote(level, "ext:1:machine:m", purpose="import", **said("tie"))
    store.append(*ours, *others, tie, vote(compared, "ann", purpose="compare", **said(1)))
    rows = {text(row["prompt"]): row for row in read(freeze(), "pairs")}
    found = {q: (rows[q]["n_votes"], rows[q]["p_share"], rows[q]["p_posterior"]) for q in "abcde"}
    # One vote of a person says A, whatever machines, an import without people, or people of unknown agreement add
    assert found["a"][:2] == (3, pytest.approx(0.75, abs=1e-6))
    assert found["b"][:2] == (2, pytest.approx(0.75, abs=1e-6))
    assert found["a"][2] == found["b"][2] > 0.55
    assert {q: found[q][1:] for q in "cde"} == dict.fromkeys("cde", (None, None))


def test_soft_labels_do_not_depend_on_order(store, freeze, asked, vote, tmp_path) -> None:
    twice(store, asked, vote, 60, 50)
    made = freeze()
    with Store.open(tmp_path / "other") as other:
        twin = projects.create(other, "lead", "Tea")
        numbers = items.add(
            other, "ann", [replace(asked(f"twice {i}", "x", "y"), project=twin.id) for i in range(59, -1, -1)]
        )
        acts = []
        for at, number in zip(range(59, -1, -1), numbers, strict=True):
            second = at % 2 if at < 50 else 1 - at % 2
            acts.append(vote(number, "zed", purpose="overlap", **said(second, 2)))
            acts.append(vote(number, "amy", purpose="overlap", **said(at % 2, 2)))
        other.append(*acts)
        assert snapshots.freeze(other, "lead", twin.id).hash == made.hash
