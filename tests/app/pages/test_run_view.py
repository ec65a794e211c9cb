"""A run in words and in chart rows."""

from workbench.app.pages.run_view import (
    beside,
    chart,
    describe,
    fingerprint,
    gained,
    held_out,
    percent,
    reward_curve,
    series,
)


def run(state="running", metrics=(), **status):
    return {"status": {"state": state, "step": 3, "steps": 12, **status}, "metrics": list(metrics)}


def test_a_running_run_says_where_it_is():
    assert "Step 3 of 12" in describe("en", run())


def test_rows_that_were_left_out_are_told():
    assert "8 rows left out, 1 cut" in describe("en", run(left_out=8, cut=1))
    assert "left out" not in describe("en", run(left_out=0, cut=0))


def test_the_accuracy_is_that_of_the_model_which_was_kept():
    lines = [{"eval_accuracy": 0.8}, {"eval_accuracy": 0.6}]
    assert "accuracy 60%" in describe("en", run(metrics=lines))
    assert "accuracy 80%" in describe("en", {**run("done", metrics=lines), "result": {"metrics": lines[0]}})


def test_a_run_that_tells_its_engine_late_is_drawn_again():
    before, after = ({**run(engine=engine), "run": 1, "samples": []} for engine in (None, "packed"))
    assert fingerprint(before) != fingerprint(after)


def test_what_the_run_says_is_shown_as_text():
    text = describe("zh", run("failed", message="<img src=x> {{value}}"))
    assert "失败" in text
    assert "<img" not in text
    assert "{{" not in text


def test_progress_is_a_share_of_the_steps():
    assert percent(run()["status"]) == 25
    assert percent({"state": "done", "step": 7, "steps": 12}) == 100
    assert percent({"state": "queued", "step": 0, "steps": None}) == 0


def test_charts_show_training_beside_held_out_rows():
    lines = [{"step": 0, "eval_loss": 0.7}, {"step": 1, "loss": 0.6}, {"step": 2, "loss": None, "eval_loss": 0.5}]
    table = series("en", lines, "loss")
    assert table.values.tolist() == [[0, "held out", 0.7], [1, "training", 0.6], [2, "held out", 0.5]]


def test_held_out_accuracy_is_the_last_one_there_is():
    assert held_out([{"eval_accuracy": 0.5}, {"eval_accuracy": 0.9}, {"loss": 1.0}]) == 0.9
    assert held_out([{"eval_rewards/accuracies": None}]) is None


def test_charts_of_a_new_run_have_axes_of_numbers_before_they_have_points():
    assert {str(kind) for kind in series("en", [], "loss").dtypes} >= {"int64", "float64"}


def test_a_figure_that_the_method_never_logs_has_no_chart():
    told = {"config": {"method": "sft"}, "metrics": [{"step": 1, "loss": 0.6}]}
    assert chart("en", told, "loss").visible
    assert not chart("en", told, "rewards/margins").visible
    assert chart("en", {**told, "metrics": []}, "rewards/margins").visible


def test_answers_to_one_prompt_stand_under_each_other():
    samples = [{"step": step, "prompt": prompt, "text": "x"} for step in range(0, 21, 2) for prompt in "ab"]
    read = beside(samples)
    assert [(s["prompt"], s["step"]) for s in read] == [(p, s) for p in "ab" for s in (0, 4, 10, 16, 20)]
    assert beside([]) == []
    assert beside(samples[:2]) == samples[:2]


ROLLOUTS = [
    {"step": 0, "eval_objective/scores": -0.06, "eval_watching/run-5": 0.1},
    {"step": 1, "objective/scores": 0.2, "objective/kl": 0.0},
    {
        "step": 2,
        "objective/scores": 0.9,
        "objective/kl": 1.05,
        "eval_objective/scores": 0.83,
        "eval_watching/run-5": 0.4,
    },
]


def test_a_ppo_run_says_what_it_has_won_and_how_far_it_went():
    assert gained(ROLLOUTS) == {"before": "-0.06", "after": "0.83", "kl": "1.1"}
    assert gained(ROLLOUTS[:2]) is None
    assert "Held-out score -0.06 → 0.83, KL 1.1" in describe("en", run("done", metrics=ROLLOUTS))


def test_the_curve_has_a_point_for_each_rollout():
    told = {"config": {"method": "ppo"}, "metrics": ROLLOUTS}
    assert reward_curve("en", told).visible
    assert not reward_curve("en", {**told, "metrics": ROLLOUTS[:1]}).visible
    assert chart("en", {**told, "metrics": []}, "objective/scores").visible
    assert not chart("en", {**told, "metrics": []}, "rewards/margins").visible
    assert not chart("en", {"config": {"method": "dpo"}, "metrics": []}, "objective/scores").visible


def test_a_reward_model_that_watches_is_a_line_of_its_own():
    table = series("en", ROLLOUTS, "objective/scores")
    assert table[table.rows == "run-5"].value.tolist() == [0.1, 0.4]
