"""What a command found, in words."""

from workbench.app.outcome import cell, described, table

RUN = {"config": {"method": "ppo"}, "metrics": [{"step": 2, "objective/scores": 0.8312, "objective/kl": 1.0512}]}


def test_a_ppo_run_says_its_score_and_how_far_it_went() -> None:
    status = {"state": "running", "step": 2, "steps": 20, "eta_s": 90.0, "message": None}
    told = described(3, RUN | {"status": status})
    assert told == "run 3 ppo: running, step 2 of 20, score 0.831, KL 1.05, 1.5 min left"


def test_a_guard_is_told() -> None:
    status = {"state": "done", "step": 7, "steps": 20, "message": "ended after rollout 7: why"}
    assert described(3, RUN | {"status": status}).endswith(": ended after rollout 7: why")


def test_columns_are_aligned_and_what_is_missing_is_blank() -> None:
    rows = [{"name": "a", "n": 1.23456}, {"name": "long"}]
    assert table(rows, "name", "n") == "name  n\na     1.235\nlong"
    assert table([], "name") == "none yet"
    assert cell({"a": [1, 2]}) == "a=1,2"
