"""The benchmark's arithmetic by hand, and its short form on the real thing; full tables are made before a release."""

import json
import math

import pytest
import torch

from tests.bench import gpu_check, growth, ppo, rollouts
from tests.bench.__main__ import main, parser
from tests.bench.batches import Fixed, labelled
from tests.bench.cell import Case, useful
from tests.bench.models import SIZES
from tests.bench.report import loss_difference, record, rendered
from tests.bench.rounds import cases, engines, measured, per_step, spread
from tests.bench.shapes import SHAPES, Group, Shape, cut, draw, steps_of
from workbench.training import attention
from workbench.training.budget import shape_of

CASE = Case("dpo", "hh", "tiny", "full", "grouped", 2, steps=2, dropped=1)
RATIOS = ["speed_vs_best", "speed_vs_patched", "memory_vs_best", "memory_vs_patched"]
KEYS = ["method", "shape", "size", "mode", "batches", "k", *RATIOS]
KEYS += ["max_rel_loss_diff", "valid", "noisy", "cpu_s", "growth_mb"]
AROUND = {"date": "2026-01-02", "device": "CPU only", "cpu": "a CPU", "threads": 1, "load_average": [0.5]}
AROUND |= {"versions": {"torch": "2.13"}, "commit": "abc"}


def raw(seconds, growth, losses=(0.5,)):
    return {"seconds": list(seconds), "growth_mb": growth, "losses": list(losses), "device": "cpu"}


def found(ours=1.0, trl=4.0, patched=2.0):
    """One repeat of two steps each; growth 100, 400 and 200 MB."""
    return {"ours": [raw([ours] * 2, 100)], "trl": [raw([trl] * 2, 400)], "trl_patched": [raw([patched] * 2, 200)]}


@pytest.mark.parametrize("name", SHAPES)
def test_lengths_have_the_medians_of_their_shape(name):
    groups = draw(SHAPES[name], 2000, 2, seed=1)
    prompts, answers = sorted(g.prompt for g in groups), sorted(a for g in groups for a in g.answers)
    assert prompts[1000] == pytest.approx(SHAPES[name].prompt[0], rel=0.1)
    assert answers[2000] == pytest.approx(SHAPES[name].answer[0], rel=0.1)
    assert min(prompts[0], answers[0]) >= 2
    assert prompts[-1] <= 2000
    assert answers[-1] <= 1000


def test_without_spread_every_length_is_the_median():
    assert draw(Shape((7, 0.0), (5, 0.0)), 2, 3, seed=0) == [Group(7, (5, 5, 5))] * 2


def test_grouped_batches_hold_equal_lengths_evenly_from_short_to_long():
    pool = [Group(n, (1, 2)) for n in (9, 1, 8, 2, 7, 3, 6, 4)]
    batches = cut(pool, 2, "grouped", steps=3)  # of four batches (1 2)(3 4)(6 7)(8 9): the third untimed, then 2nd, 4th
    assert [[g.prompt for g in batch] for batch in batches] == [[6, 7], [3, 4], [8, 9]]
    assert [[g.prompt for g in batch] for batch in cut(pool, 2, "random", steps=2)] == [[9, 1], [8, 2]]


def test_a_step_has_as_many_answers_whether_single_or_paired():
    pairs = steps_of(SHAPES["long"], answers=2, batches="random", steps=3)
    singles = steps_of(SHAPES["long"], answers=1, batches="random", steps=3)
    assert [sum(len(g.answers) for g in step) for step in pairs + singles] == [4] * 6


def test_nine_answers_make_all_thirty_six_pairs():
    made = labelled("rm", [str(i) for i in range(9)], good=True)
    assert len({(r["chosen"][0]["content"], r["rejected"][0]["content"]) for r in made}) == 36


def test_a_fixed_plan_gives_its_batches_in_order():
    plan = Fixed([["a"], ["b"]])
    assert (plan.steps, plan.per_epoch, plan.at(1)) == (2, 2, ["b"])


def test_useful_flops_by_hand():
    # prompt 3, answers 2 and 1: 5 * 6 / 2 = 15 pairs, then 1 * 2 / 2 + 1 * 3 = 4
    group, sizes = Group(3, (2, 1)), {"hidden_size": 4, "num_hidden_layers": 1, "intermediate_size": 8}
    shape = shape_of(sizes | {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10})
    # N = 2*4*4 + 2*4*2 + 3*4*8 = 144; 6 tokens, 3 scored
    linears, attention, head = 2 * 144 * 6, 4 * 1 * 4 * 19, 2 * 10 * 4 * 3
    assert useful(shape, "full", [group]) == 3 * linears + 3.5 * attention + 3 * head
    assert useful(shape, "lora", [group], scores=True) == 2 * linears + 3.5 * attention


def test_only_rewards_have_k_way_groups_and_only_fused_heads_a_patched_peer():
    made = cases(["dpo", "rm", "kto"], ["hh", "long"], ["random"], CASE)
    assert [(c.method, c.shape, c.k) for c in made] == [
        ("dpo", "hh", 2),
        ("dpo", "long", 2),
        *[("rm", "hh", k) for k in (2, 4, 9)],
        ("rm", "long", 2),
        ("kto", "hh", 1),
        ("kto", "long", 1),
    ]
    assert engines("cpo", gpu=False) == engines("dpo", gpu=True) == ["ours", "trl"]
    assert engines("kto", gpu=False) == ["ours", "trl", "trl_patched"]


def test_engines_take_turns_and_a_steady_one_is_not_asked_again():
    asked = []
    measured(lambda name: asked.append(name) or raw([1.0], 1), ["a", "b"], repeats=2)
    assert asked == ["a", "b", "a", "b"]


def test_a_restless_engine_gets_three_rounds_more_and_may_settle():
    figures = iter([1.0, 2.0, 1.05])
    assert len(measured(lambda _: raw([next(figures)], 1), ["a"], repeats=2)["a"]) == 3
    doubled = iter([1.0, 2.0, 4.0, 8.0, 16.0])
    assert len(measured(lambda _: raw([next(doubled)], 1), ["a"], repeats=2)["a"]) == 5
    # the two closest of 1, 2 and 2.2 are 0.2 apart, their median is 2.1
    assert spread([1.0, 2.2, 2.0], repeats=2) == pytest.approx(0.2 / 2.1)


def test_ratios_are_peer_over_ours_in_time_and_ours_over_peer_in_memory():
    made = record(CASE, found(), repeats=1)
    assert list(made) == KEYS
    assert (made["speed_vs_best"], made["speed_vs_patched"]) == (4.0, 2.0)
    assert (made["memory_vs_best"], made["memory_vs_patched"]) == (0.25, 0.5)
    assert (made["cpu_s"], made["growth_mb"], made["noisy"], made["valid"]) == (1.0, 100, False, True)


def test_without_a_patched_peer_its_ratios_are_empty():
    only = {name: raws for name, raws in found().items() if name != "trl_patched"}
    made = record(CASE, only, repeats=1)
    assert (made["speed_vs_patched"], made["memory_vs_patched"]) == (None, None)


def test_a_loss_that_differs_makes_the_record_invalid():
    apart = found() | {"trl": [raw([4.0] * 2, 400, losses=[0.5002])]}
    assert record(CASE, apart, repeats=1)["max_rel_loss_diff"] == pytest.approx(2e-4)
    assert not record(CASE, apart, repeats=1)["valid"]
    # above 1 the difference is relative: 0.001 of 100
    assert loss_difference({"ours": [raw([1], 1, [100.0])], "trl": [raw([1], 1, [100.001])]}) == pytest.approx(1e-5)
    assert loss_difference({"ours": [raw([1], 1, [1.0])], "trl": [raw([1], 1, [1.0, 2.0])]}) == math.inf
    broken = {"ours": [raw([1], 1, [math.nan])], "trl": [raw([1], 1, [1.0])]}
    assert loss_difference(broken) == math.inf
    assert record(CASE, found() | {"ours": [raw([1.0], 100, [math.nan])]}, repeats=1)["max_rel_loss_diff"] is None


def test_the_report_is_a_table_to_paste():
    made = record(CASE, found(), repeats=1)
    text = rendered(AROUND, [(made, found()), (made | {"valid": False, "noisy": True}, found())])
    assert "# Benchmark of 2026-01-02" in text
    assert "CPU only; CPU a CPU, 1 thread(s), load 0.5; torch 2.13; commit abc." in text
    row = "| hh grouped | 4.00 / 2.00 / 1.00 | 4.00x | 2.00x | 400 / 200 / 100 | 0.25x | 0.50x | 0.0e+00 |"
    assert f"{row}  |" in text
    assert f"{row} noisy, INVALID |" in text
    assert text.count("## DPO, tiny, full") == 1


def test_rows_of_the_growth_are_those_that_fit():
    assert growth.fitting((1024, 4096), room=5000) == [1024, 4096]
    assert growth.fitting((1024, 4096), room=3100) == [1024, 3072]


def test_growth_is_told_per_token(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "TOKENS", (512, 1024))
    made, raws = growth.measured(tmp_path, 1)
    assert [*made["us_per_token"]] == ["512", "1024"]
    assert [raws[n][0]["tokens"] >= int(n) for n in raws] == [True, True]
    assert made["speed_vs_best"] == pytest.approx(raws["512"][0]["us"] / raws["1024"][0]["us"], abs=1e-3)
    assert set(KEYS) < set(made)
    told = made | {"us_per_token": {"1024": 450.4, "51200": 460.2}}
    assert "450 in a row of 1,024, 460 in a row of 51,200 tokens" in rendered(AROUND, [(told, raws)])


def test_rollouts_are_compared_in_tokens_per_second():
    """Ours 100, 90 and 120 tokens in 1 s: median 100; batched 50 and one by one 25."""
    found = {"ours": [{"tokens": n, "seconds": 1.0} for n in (100, 90, 120)]}
    found |= {"batched": [{"tokens": 100, "seconds": 2.0}], "one_by_one": [{"tokens": 50, "seconds": 2.0}]}
    made = rollouts.record("tiny", "full", found)
    assert set(KEYS) <= set(made)
    assert (made["speed_vs_best"], made["speed_vs_one_by_one"], made["cpu_s"]) == (2.0, 4.0, 1.0)
    shown = "100 tokens per CPU second, `generate()` 50 in one batch and 25 one by one."
    assert shown in rendered(AROUND, [(made, found)])


def test_ppo_is_compared_with_a_plain_loop():
    made = ppo.record({"ours": [raw([2.0], 100)], "plain": [raw([5.0], 400)]}, repeats=1)
    assert set(KEYS) == set(made)
    assert (made["speed_vs_best"], made["memory_vs_best"], made["valid"]) == (2.5, 0.25, True)
    assert "2.50x the speed of a plain loop, 0.25x its growth" in rendered(AROUND, [(made, {})])
    assert not ppo.record({"ours": [raw([2.0], 100)], "plain": [raw([5.0], 400, [0.6])]}, repeats=1)["valid"]


def test_unknown_names_are_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--methods", "dpo,xpo"])
    assert "xpo: choose from dpo, kto" in capsys.readouterr().err


def test_sizes_for_a_gpu_are_refused_without_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--size", "7b", "--out", str(tmp_path)]) == 2
    assert "needs a GPU" in capsys.readouterr().err


def test_the_gpu_check_says_when_there_is_no_gpu(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 0
    assert capsys.readouterr().out == "no CUDA device here: nothing to check\n"


def test_lines_score_together_as_alone():
    passed, detail = gpu_check.together(SIZES["tiny"].config(), torch.float32, "cpu")
    assert passed, detail


def test_a_fault_in_our_attention_fails_the_gpu_check(monkeypatch):
    right = attention.attend
    monkeypatch.setattr(attention, "attend", lambda q, k, v, *rest: right(q, k, v.roll(1, 2), *rest))
    assert not gpu_check.together(SIZES["tiny"].config(), torch.float32, "cpu")[0]


@pytest.mark.parametrize("heads", gpu_check.HEADS)
def test_the_gpu_check_has_rows_for_our_attention(heads):
    row, segments = gpu_check.random_row(heads, "cpu")
    made = attention.one_by_one(*row, segments, None, 64)
    assert made.shape == (1, sum(segments.lens_q), heads[0], heads[3])
    assert segments.lens_q != segments.lens_k


@pytest.mark.timeout(600)
def test_quick(tmp_path):
    """What every change must keep: TRL's losses, and a good part of the advantage.

    A busy machine only ever adds to the seconds of a step: each engine counts with its fastest of at most three tries.
    """
    fastest: dict[str, float] = {}
    for _ in range(3):
        assert main(["--quick", "--out", str(tmp_path), "--json", str(tmp_path / "records.json")]) == 0
        [made] = json.loads((tmp_path / "records.json").read_text())
        [raws] = json.loads((tmp_path / "report.json").read_text())["raw"]
        assert made["valid"]
        assert made["memory_vs_best"] <= 1 / 3
        fastest = {name: min(per_step(raw), fastest.get(name, math.inf)) for name, [raw] in raws.items()}
        vs_best, vs_patched = (fastest[name] / fastest["ours"] for name in ("trl", "trl_patched"))
        if vs_best >= 2.8 and vs_patched >= 1.5:
            return
    pytest.fail(f"{vs_best:.2f}x trl and {vs_patched:.2f}x trl_patched, of at least 2.8x and 1.5x")
