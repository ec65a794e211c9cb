"""Steps, schedule, evaluation, logging, stop, divergence and lack of memory, with a real tiny model in this process."""

import math
import shutil

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import OFFLINE
from workbench.errors import EngineError
from workbench.jobs.folder import Reporter, read_json, write_json
from workbench.training import checkpoint
from workbench.training.budget import RowPlan
from workbench.training.data import stops
from workbench.training.hparams import make
from workbench.training.loop import Diverged, Loop, crosses
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.objectives import objective
from workbench.training.reference import with_reference
from workbench.training.room import tokens_of
from workbench.training.schedule import Plan, adamw, rate
from workbench.training.units import Unit, prepare


@pytest.fixture
def looped(tiny, rows, tmp_path):
    """looped("dpo", ...) is a Loop over 48 rows, ready to run; `folder` names its run folder."""

    def made(method, *, folder="a", n=48, table=None, **values):
        values = {"tuning": "full", "units_per_step": 8, "learning_rate": 3e-3, "epochs": 2} | values
        hparams = make(METHODS[method].hparams, values)
        policy = load(tiny, "reward" if method == "rm" else "causal", hparams)
        out = tmp_path / folder
        out.mkdir()
        table = table or rows(n)[METHODS[method].data]
        data = prepare(method, hparams, table, policy.tokenizer, stops(policy.tokenizer), limit=128, out=out)
        if METHODS[method].reference:
            data.train[:], data.test[:] = with_reference(policy, data.train), with_reference(policy, data.test)
        return Loop(objective(method, hparams, policy, data.train), data, hparams, Reporter(out))

    return made


def logged(loop, lines_of):
    return lines_of(loop.folder / "metrics.jsonl", timeless=True)


def test_schedules():
    hparams = lambda **kw: make(METHODS["dpo"].hparams, {"learning_rate": 1.0, **kw})  # noqa: E731
    linear = [rate(s, 10, hparams(schedule="linear", warmup=0.2)) for s in range(10)]
    assert linear == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert [rate(s, 4, hparams(schedule="constant", warmup=0.0)) for s in range(4)] == [1.0] * 4
    cosine = [rate(s, 100, hparams(schedule="cosine", warmup=0.0)) for s in range(100)]
    assert cosine[0] == pytest.approx(1.0)
    assert cosine[50] == pytest.approx(0.55)
    assert 0.1 < cosine[99] < 0.102


def test_plan_takes_every_unit_once_an_epoch():
    units = [Unit(str(i), "g", ()) for i in range(20)]
    plan = Plan(units, 8, 2, 0, seed=3, balanced=False)
    assert (plan.per_epoch, plan.steps) == (3, 6)
    first = [u.id for s in range(3) for u in plan.at(s)]
    second = [u.id for s in range(3, 6) for u in plan.at(s)]
    assert sorted(first) == sorted(second) == sorted(u.id for u in units)
    assert first != second
    assert len(plan.at(2)) == 4
    assert Plan(units, 8, 2, 4, seed=3, balanced=False).steps == 4


def test_marks_lie_evenly_and_end_the_run():
    assert [s for s in range(1, 41) if crosses(s, 40, 10)] == list(range(4, 41, 4))
    assert sum(crosses(s, 7, 10) for s in range(1, 8)) == 7
    assert sum(crosses(s, 12345, 500) for s in range(1, 12346)) == 500


def test_weight_decay_leaves_norms_and_biases_alone():
    linear = torch.nn.Linear(3, 3)
    groups = adamw(list(linear.parameters()), make(METHODS["dpo"].hparams, {"weight_decay": 0.1})).param_groups
    assert [(g["weight_decay"], g["params"][0].ndim) for g in groups] == [(0.1, 2), (0.0, 1)]


@pytest.mark.parametrize("method", OFFLINE)
def test_every_method_learns(method, looped, lines_of):
    loop = looped(method, epochs=4, **({"units_per_step": 16} if method == "kto" else {}))
    assert loop.run() is None
    lines = lines_of(loop.folder / "metrics.jsonl")
    first, last = lines[0], lines[-1]
    assert last["eval_loss"] < first["eval_loss"]
    assert last["step"] == loop.plan.steps
    if method != "sft":
        assert last["eval_rewards/accuracies"] >= 0.8
        assert last["eval_rewards/margins"] > 0
    assert {"step", "epoch", "loss", "grad_norm", "learning_rate", "num_tokens", "eta_s"} <= last.keys()


def test_a_shared_prompt_is_computed_once(looped, lines_of):
    loop = looped("dpo", epochs=1)
    loop.run()
    last = lines_of(loop.folder / "metrics.jsonl")[-1]
    assert last["num_tokens"] == sum(len(line) for u in loop.data.train for line in u.lines)
    steps = [loop.plan.at(step) for step in range(loop.plan.steps)]  # each of them fits one row
    assert last["num_tokens_computed"] == sum(map(tokens_of, steps)) < last["num_tokens"]


def test_step_zero_is_the_baseline(looped, lines_of):
    loop = looped("dpo", epochs=1)
    loop.run()
    first, *rest = lines_of(loop.folder / "metrics.jsonl")
    assert first["eval_loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert first["eval_rewards/accuracies"] is None
    assert "loss" not in first
    assert rest[-1]["eval_rewards/accuracies"] is not None
    assert [line["step"] for line in rest] == list(range(1, loop.plan.steps + 1))
    table = pq.read_table(loop.folder / "eval_rows" / "000000.parquet").to_pydict()
    assert set(table) == {"id", "answer_0", "answer_1", "margin"}
    assert sorted(table["id"]) == sorted(u.id for u in loop.test)


def test_same_seed_same_lines_other_seed_other_order(looped, lines_of):
    runs = [looped("dpo", folder=name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    for loop in runs:
        loop.run()
    a, b, c = (logged(loop, lines_of) for loop in runs)
    assert a == b
    assert a != c


def test_overfitting_eight_pairs(looped, rows, lines_of):
    table = [r | {"split": "train"} for r in rows(8)["pairs"]]
    loop = looped("dpo", table=table, epochs=30, schedule="constant", warmup=0.0)
    loop.run()
    lines = lines_of(loop.folder / "metrics.jsonl")
    assert lines[-1]["rewards/accuracies"] == 1.0
    assert lines[-1]["loss"] < 0.05
    assert not any(k.startswith("eval_") for k in lines[-1])


def test_a_number_that_is_not_finite_ends_the_run_before_the_step(looped):
    loop = looped("dpo", epochs=1)
    before = [p.detach().clone() for p in loop.parameters]
    part = loop.objective.part

    def broken(units, step):
        made = part(units, step)
        return type(made)(made.loss * float("nan"), made.metrics, made.answers)

    loop.objective.part = broken
    with pytest.raises(Diverged, match="step 1: loss nan"):
        loop.advance()
    assert all(torch.equal(a, b) for a, b in zip(before, loop.parameters, strict=True))


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_out_of_memory_restarts_the_step_with_the_same_result(looped, fails_at):
    calm, shaken = looped("dpo", folder="calm"), looped("dpo", folder="shaken")
    for loop in (calm, shaken):
        loop.room.use(RowPlan(60))
    part, calls = shaken.objective.part, []

    def failing(units, step):
        calls.append(len(units))
        made = part(units, step)
        if len(calls) == fails_at:
            raise torch.OutOfMemoryError("no room")
        return made

    shaken.objective.part = failing
    calm.advance()
    shaken.advance()
    assert shaken.room.plan == RowPlan(30)
    for a, b in zip(calm.parameters, shaken.parameters, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert shaken.means.take()["loss"] == pytest.approx(calm.means.take()["loss"], abs=1e-6)


def test_out_of_memory_for_ever_is_given_up(looped):
    loop = looped("dpo")

    def failing(units, step):
        raise torch.OutOfMemoryError("no room")

    loop.objective.part = failing
    with pytest.raises(torch.OutOfMemoryError):
        loop.advance()


def test_an_attempt_after_a_lost_team_begins_with_shorter_rows(looped):
    loop = looped("dpo", max_steps=1)
    loop.team.size = 2  # the other one is waiting in a shared pass

    def failing(units, step):
        raise torch.OutOfMemoryError("no room")

    loop.objective.part = failing
    loop.team.total = lambda value: value
    tokens = loop.room.plan.tokens
    with pytest.raises(torch.OutOfMemoryError):
        loop.gradients_that_fit(loop.plan.at(0)[:1])
    assert read_json(loop.folder / "rows.json")["tokens"] == tokens // 2
    loop.team.size = 1
    del loop.objective.part
    loop.room.use(RowPlan(tokens))
    assert loop.run() is None
    assert loop.room.plan.tokens == tokens // 2


@pytest.mark.parametrize(("wish", "kept"), [("save_and_stop", True), ("stop", False)])
def test_stopping_on_request(looped, wish, kept):
    loop = looped("dpo")
    loop.reporter.status("running")
    advance = loop.advance

    def then_ask():
        advance()
        if loop.step == 1:
            write_json(loop.folder / "control.json", {"action": wish})

    loop.advance = then_ask
    assert loop.run() == wish
    assert loop.step == 1
    assert (loop.folder / "checkpoints" / "step-000001").exists() == kept


def test_a_reference_that_is_not_the_start_model_is_refused(looped):
    loop = looped("dpo")
    with torch.no_grad():
        for parameter in loop.parameters:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    with pytest.raises(EngineError, match="the reference is not the start model"):
        loop.run()


def test_reward_model_reports_how_it_judges(looped, lines_of):
    loop = looped("rm", epochs=1)
    loop.run()
    last = lines_of(loop.folder / "metrics.jsonl")[-1]
    assert {
        "eval_accuracy",
        "eval_ece",
        "eval_length_corr",
        "eval_mean_reward",
        "min_reward",
        "max_reward",
    } <= last.keys()
    assert last["min_reward"] <= last["mean_reward"] <= last["max_reward"]


def test_only_evaluations_write_checkpoints_and_few_are_kept(looped):
    loop = looped("dpo", epochs=4)
    loop.run()
    kept = sorted(p.name for p in (loop.folder / "checkpoints").iterdir())
    assert kept[-1] == f"step-{loop.plan.steps:06d}"
    assert len(kept) <= 3


def test_early_stopping_ends_with_the_weights_of_the_best_evaluation(looped):
    loop = looped("sft", epochs=40, learning_rate=3e-2, early_stopping=2)
    assert loop.run() is None
    assert loop.step < loop.plan.steps
    assert loop.worse == 2
    assert loop.final is loop.best
    assert loop.best["step"] < loop.step == loop.last["step"]
    weights = load_file(checkpoint.at(loop.folder / "checkpoints", loop.best["step"]) / "weights.safetensors")
    for name, parameter in checkpoint.trained(loop.policy.model).items():
        assert torch.equal(parameter, weights[name])
    again = looped("sft", folder="b", epochs=40, learning_rate=3e-2, early_stopping=2)
    shutil.copytree(loop.folder, again.folder, dirs_exist_ok=True)
    again.resume(checkpoint.newest(again.folder / "checkpoints"))
    assert again.run() is None
    assert again.step == loop.step


def test_a_stop_right_after_an_evaluation_counts_it_once(looped):
    loop = looped("sft", early_stopping=2)
    save = loop.save

    def then_ask():
        save()
        write_json(loop.folder / "control.json", {"action": "save_and_stop"})

    loop.save = then_ask
    assert loop.run() == "save_and_stop"
    assert loop.best["step"] == loop.step
    assert loop.worse == 0


def test_resuming_past_damaged_checkpoints_forgets_them(looped):
    loop = looped("sft", epochs=1)
    loop.run()
    root = loop.folder / "checkpoints"
    first, last = sorted(root.iterdir())
    (last / "weights.safetensors").write_bytes(b"damaged")
    again = looped("sft", folder="b", epochs=1)
    (again.folder / "metrics.jsonl").write_bytes((loop.folder / "metrics.jsonl").read_bytes())
    assert checkpoint.newest(root) == first
    again.resume(first)
    assert list(root.iterdir()) == [first]


def test_a_step_has_a_row_for_each_process(looped):
    loop = looped("dpo")
    units, team = loop.data.train[:8], loop.team
    assert len(loop.objective.parts(units)) == 1
    team.size = 4
    parts = loop.objective.parts(units)
    assert len(parts) == 4
    assert sorted(u.id for part in parts for u in part) == sorted(u.id for u in units)
