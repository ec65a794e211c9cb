"""Snapshot rows become units: certainty, margins, partners, order, and a count of what was lost."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import EngineError
from workbench.training import units
from workbench.training.cache import TokenCache
from workbench.training.data import stops
from workbench.training.hparams import make
from workbench.training.methods import METHODS
from workbench.training.snapshot import read
from workbench.training.units import Unit, margin_scale, next_other, order, prepare


@pytest.fixture
def made(words, tmp_path):
    tokenizer = words()

    def prepared(method, rows, **values):
        hparams = make(METHODS[method].hparams, {"units_per_step": 2} | values)
        return prepare(method, hparams, rows, tokenizer, stops(tokenizer), limit=128, out=tmp_path)

    return prepared


def test_pairs_keep_their_split_and_order(made, rows):
    data = made("dpo", rows(16)["pairs"])
    assert [u.id for u in data.test] == ["p0", "p8"]
    assert len(data.train) == 14
    assert all(len(u.lines) == 2 and u.p == 1.0 and u.weight == 1.0 for u in data.train)
    assert data.max_length == 64


def test_certainty_comes_from_the_chosen_column(made, rows):
    pairs = rows(16)["pairs"]
    assert {u.p for u in made("dpo", pairs, label_smoothing=0.1).train} == {0.9}
    assert {u.p for u in made("dpo", pairs, targets="share").train} == {0.9}
    with pytest.raises(EngineError, match="no p_posterior"):
        made("dpo", pairs, targets="posterior")
    thumbs = rows(16)["thumbs"]
    assert Counter(u.p for u in made("kto", thumbs).train) == {1.0: 14, 0.0: 14}


def test_ties_are_dropped_or_pulled_together(made, rows, tmp_path):
    pairs = rows(16)["pairs"]
    for row in pairs[1:9]:
        row["tie"] = True
    assert made("dpo", pairs).dropped == {"tie": 8}
    lost = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    assert lost[0]["id"] == "p1"
    assert lost[0]["reason"] == "tie"
    half = made("rm", pairs, ties="half")
    assert [(u.p, u.margin) for u in half.train if u.p == 0.5] == [(0.5, 0.0)] * 7


def test_what_was_dropped_is_replaced_whole(made, rows, tmp_path):
    """So that one process of a team can read it while another writes it."""
    pairs = rows(16)["pairs"]
    pairs[1]["tie"] = True
    made("dpo", pairs)
    with (tmp_path / "dropped.jsonl").open() as first:
        pairs[2]["tie"] = True
        made("dpo", pairs)
        assert [json.loads(line)["id"] for line in first] == ["p1"]
    assert [path.name for path in tmp_path.iterdir()] == ["dropped.jsonl"]


def test_margins_follow_strength(made, rows):
    pairs = rows(16)["pairs"]
    assert {u.margin for u in made("rm", pairs, margin_map="large").train} == {2.0}
    assert {round(u.margin, 6) for u in made("rm", pairs).train} == {0.666667}
    for row in pairs[:10]:
        row["strength"] = None
    assert {u.margin for u in made("rm", pairs).train} == {0.0}
    assert margin_scale(make(METHODS["dpo"].hparams, {}), []) == 0.0


def test_weights_get_mean_one(made, rows):
    pairs = rows(16)["pairs"]
    for row in pairs[::2]:
        row["weight"] = 3.0
    train = made("dpo", pairs).train
    assert sum(u.weight for u in train) == pytest.approx(len(train))
    assert max(u.weight for u in train) / min(u.weight for u in train) == pytest.approx(3.0)


def test_equal_answers_teach_nothing(made, rows):
    pairs = rows(16)["pairs"]
    pairs[1]["rejected"] = pairs[1]["chosen"]
    assert made("dpo", pairs).dropped == {"identical_pair": 1}


def test_too_many_lost_rows_are_refused(made, rows):
    pairs = rows(16)["pairs"]
    for row in pairs[1:5]:
        row["rejected"] = row["chosen"]
    with pytest.raises(EngineError, match=r"4 of 14 training rows cannot be used \(4 identical_pair\)"):
        made("dpo", pairs)
    assert len(made("dpo", pairs, allow="D06").train) == 10
    with pytest.raises(EngineError, match="14 training rows are left, one step needs 15"):
        made("dpo", rows(16)["pairs"], units_per_step=15)
    assert len(made("dpo", rows(16)["pairs"], units_per_step=15, allow="D06").train) == 14


@pytest.mark.parametrize("allow", ["", "D06"])
def test_nothing_left_is_refused_without_advice_that_does_not_help(made, rows, allow):
    pairs = rows(16)["pairs"]
    alike = [row | {"rejected": row["chosen"]} for row in pairs]
    with pytest.raises(EngineError, match=r"no training row can be used \(14 identical_pair\): fix the data"):
        made("dpo", alike, allow=allow)
    with pytest.raises(EngineError, match=r"no training row can be used \(all are ties\)"):
        made("dpo", [row | {"tie": True} for row in pairs], allow=allow)


def test_max_length_beyond_the_model_is_refused(made, rows):
    with pytest.raises(EngineError, match="at most 128 tokens"):
        made("dpo", rows(16)["pairs"], max_length=500)


def test_kto_partners_belong_to_other_prompts(made, rows):
    data = made("kto", rows(32)["thumbs"])
    by_answer = {u.lines[0].answer.tobytes(): u for u in data.train}
    for unit in data.train:
        assert unit.partner.prompt is unit.lines[0].prompt
        assert by_answer[unit.partner.answer.tobytes()].group != unit.group
    assert [u.partner.answer.tolist() for u in data.train] == [
        u.partner.answer.tolist() for u in made("kto", rows(32)["thumbs"]).train
    ]


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=30).filter(lambda groups: len(set(groups)) > 1))
def test_a_partner_is_the_next_of_another_prompt(groups):
    size = len(groups)
    nearest = [next((i + k) % size for k in range(1, size) if groups[(i + k) % size] != groups[i]) for i in range(size)]
    assert next_other(groups) == nearest


def test_one_prompt_that_has_nearly_all_answers_costs_no_more_than_many():
    class Group(str):
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other):
            Group.compared += 1
            return str.__eq__(self, other)

    size = 2000
    assert next_other([Group("a")] * (size - 1) + [Group("b")])[:2] == [size - 1, size - 1]
    assert Group.compared <= 2 * size


def test_kto_on_one_prompt_is_refused(made, rows):
    thumbs = [r | {"group_id": "g"} for r in rows(16)["thumbs"]]
    with pytest.raises(EngineError, match="at least two prompts"):
        made("kto", thumbs)


def test_imitation_of_the_prompt_is_chosen_by_name(made, rows):
    unit = made("orpo", rows(16)["pairs"], nll_scope="sequence").train[0]
    assert [line.first for line in unit.lines] == [1, len(unit.lines[1].prompt)]
    assert made("sft", rows(16)["demonstrations"], loss_on="all").train[0].lines[0].first == 1


def test_order_is_a_permutation_of_seed_and_epoch():
    units = [Unit(str(i), "g", (), p=float(i % 3 == 0)) for i in range(50)]
    seen = {(s, e): tuple(order(units, s, e)) for s in (0, 1) for e in (0, 1)}
    assert len(set(seen.values())) == 4
    assert all(sorted(line) == list(range(50)) for line in seen.values())
    assert order(units, 0, 1) == order(units, 0, 1)


@pytest.mark.parametrize("good", [0, 1, 7, 25, 49, 50])
@pytest.mark.parametrize("size", [4, 16])
def test_every_step_holds_its_share_of_both_labels(good, size):
    units = [Unit(str(i), "g", (), p=float(i < good)) for i in range(50)]
    line = order(units, 3, 2, balanced=True)
    assert sorted(line) == list(range(50))
    share = good / 50
    for start in range(0, 50 - size, size):
        held = sum(units[i].p for i in line[start : start + size])
        assert int(size * share) <= held <= -int(-size * share // 1)


@pytest.fixture
def ranked(snapshot_of, rankings, tmp_path):
    """Rows of a snapshot that holds pairs and rankings, as a reward model reads them."""
    return read(snapshot_of(tmp_path / "ranked", rankings(16)), "rm")


def test_rankings_and_pairs_are_units_of_one_run(made, ranked):
    data = made("rm", ranked)
    assert Counter(len(u.lines) for u in data.train) == {2: 14 + 6, 4: 8}
    whole = next(u for u in data.train if u.id == "r1")
    assert [(c.better, c.worse) for c in whole.comparisons] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert {c.p for u in data.train for c in u.comparisons} == {1.0}
    assert {u.weight for u in data.train} == {1.0}
    pair = next(u for u in data.train if u.id == "p1")
    assert [(c.better, c.worse, c.margin) for c in pair.comparisons] == [(0, 1, pair.margin)]


def test_tied_answers_of_a_ranking_are_left_out_or_pulled_together(made, ranked, tmp_path):
    half = next(u for u in made("rm", ranked, ties="half").train if u.id == "r1")
    assert [(c.better, c.worse) for c in half.comparisons if c.p == 0.5] == [(2, 3)]
    ranked[17]["tiers"] = [[0, 1, 2]]
    assert made("rm", ranked).dropped == {"tie": 1}
    all_tied = next(u for u in made("rm", ranked, ties="half").train if u.id == "r1")
    assert {c.p for c in all_tied.comparisons} == {0.5}


def test_how_sure_a_ranking_is_comes_from_its_pairs(made, ranked):
    data = made("rm", ranked, targets="share")
    assert {c.p for u in data.train if u.ranked for c in u.comparisons} == {0.8}
    assert {c.p for u in made("rm", ranked, label_smoothing=0.1).train for c in u.comparisons} == {0.9}
    ranked[17]["pairs"] = {}
    some = made("rm", ranked, targets="share")
    assert {c.p for u in some.train if u.ranked for c in u.comparisons} == {0.8, 1.0}
    for row in ranked:
        row.pop("p_share", None)
        row.get("pairs", {}).clear()
    with pytest.raises(EngineError, match="no p_share"):
        made("rm", ranked, targets="share")


def test_a_ranking_does_without_blank_and_equal_answers(made, ranked):
    row = ranked[17]
    row["candidates"][2] = [{"role": "assistant", "content": "  "}]
    row["candidates"][3] = row["candidates"][0]
    unit = next(u for u in made("rm", ranked).train if u.id == "r1")
    assert [(c.better, c.worse) for c in unit.comparisons] == [(0, 1), (0, 2)]
    row["tiers"] = [[0], [3]]
    assert made("rm", ranked).dropped == {"identical_pair": 1}
    row["tiers"] = [[0], [2]]
    assert made("rm", ranked).dropped == {"one_answer": 1}


def test_margins_of_a_ranking_follow_the_strength_of_its_pairs(made, ranked):
    for row in ranked[16:]:
        row["pairs"] = {key: pair | {"strength": 3.0} for key, pair in row["pairs"].items()}
    data = made("rm", ranked, ties="half")
    assert {(c.p, c.margin) for u in data.train if u.ranked for c in u.comparisons} == {(1.0, 1.0), (0.5, 0.0)}


LONG = "topic1 topic2 topic3 topic4 topic5 topic6 topic7 topic8"


def test_answers_that_differ_only_beyond_the_cut_are_dropped(made, rows):
    pairs = rows(16)["pairs"]
    pairs[1]["chosen"] = [{"role": "assistant", "content": f"{LONG} hey"}]
    pairs[1]["rejected"] = [{"role": "assistant", "content": f"{LONG} kindly"}]
    assert made("dpo", pairs, max_length=17).dropped == {"identical_pair": 1}
    assert made("dpo", pairs, max_length=17, truncation="drop").dropped == {"too_long": 1}


def test_prompts_longer_than_the_limit_and_blank_answers_are_counted(made, rows, tmp_path):
    pairs = rows(24)["pairs"]
    pairs[1]["prompt"] = [{"role": "user", "content": " ".join([LONG] * 4)}]
    pairs[2]["rejected"] = [{"role": "assistant", "content": " \n"}]
    assert made("dpo", pairs, max_length=30).dropped == {"prompt_fills": 1, "empty_answer": 1}
    lost = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    assert [(line["id"], line["reason"], len(line["lengths"])) for line in lost] == [
        ("p1", "prompt_fills", 1),
        ("p2", "empty_answer", 0),
    ]


def test_kto_on_one_kind_of_answer_is_refused(made, rows):
    thumbs = [r for r in rows(32)["thumbs"] if r["label"] or r["split"] == "test"]
    with pytest.raises(EngineError, match="all 28 training rows are good; label some of the other kind"):
        made("kto", thumbs)
    assert len(made("kto", thumbs, allow="D08").train) == 28


def test_a_foreign_tokenizer_is_refused_before_the_first_step(words, rows, tmp_path):
    tokenizer, hparams = words(), make(METHODS["dpo"].hparams, {"units_per_step": 2})
    highest = tokenizer("sincerely")["input_ids"][0]

    def prepared(vocabulary):
        return prepare(
            "dpo",
            hparams,
            rows(16)["pairs"],
            tokenizer,
            stops(tokenizer),
            limit=128,
            out=tmp_path,
            vocabulary=vocabulary,
        )

    assert len(prepared(highest + 1).train) == 14
    with pytest.raises(EngineError, match=rf"token {highest}, the model knows {highest} tokens"):
        prepared(highest)


def test_token_ids_of_an_earlier_run_are_used(words, rows, tmp_path, monkeypatch):
    tokenizer, cache = words(), TokenCache(tmp_path / "key")

    def prepared(**values):
        hparams = make(METHODS["dpo"].hparams, {"units_per_step": 2, **values})
        pairs = rows(24)["pairs"]
        pairs[2]["rejected"] = [{"role": "assistant", "content": " "}]
        return prepare("dpo", hparams, pairs, tokenizer, stops(tokenizer), limit=128, out=tmp_path, cache=cache)

    first = prepared()
    monkeypatch.setattr(units, "encode", None)
    again, shorter = prepared(), prepared(max_length=14)
    assert again.dropped == first.dropped == {"empty_answer": 1}
    for a, b in zip(first.train, again.train, strict=True):
        assert [(x.prompt.tolist(), x.answer.tolist()) for x in a.lines] == [
            (x.prompt.tolist(), x.answer.tolist()) for x in b.lines
        ]
    assert shorter.cut
