"""A run in words and in chart rows."""

from workbench.app.pages.run_view import chart, describe, fingerprint, held_out, percent, series


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
