"""The Pipeline tab in words: what each stage says of itself, in both languages, and what the rounds tell."""

from typing import Any

import pytest

from workbench.app import words
from workbench.app.acts.rlhf import STAGES
from workbench.app.pages.pipeline import WHERE, advice, filled, history, so_far, told

NEXT = {
    "sft": ("more", "start", "done", "wait", "model"),
    "rm": ("more", "start", "again", "done", "wait", "model"),
    "ppo": ("more", "rewards", "start", "again", "done", "wait", "model"),
}
RESULTS = {
    "sft": {"eval_perplexity": 2.5},
    "rm": {"eval_accuracy": 0.75},
    "ppo": {"eval_objective/scores": 0.83, "objective/kl": 1.05},
}


def run(stage: str, state: str = "done", **rest: Any) -> dict[str, Any]:
    made = {"run": 3, "state": state, "step": 5, "steps": 20, "message": None, "model": "run-3", "result": {}}
    return made | {"result": RESULTS[stage]} | rest


def stage(next: str, newest: dict[str, Any] | None = None) -> dict[str, Any]:
    told = {"units": 1234, "missing": 7, "next": next, "start": "demo-tiny", "rewards": ["run-2"], "model": "run-3"}
    return told | {"run": newest}


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize(("name", "next"), [(name, next) for name in STAGES for next in NEXT[name]])
def test_every_stage_says_what_to_do_about_it(lang: str, name: Any, next: str) -> None:
    text = advice(lang, name, stage(next, run(name)))
    assert "rlhf." not in text
    assert "{" not in text
    assert ("7" in text) == (next == "more")


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize(("name", "figure"), [("sft", "2.50"), ("rm", "75%"), ("ppo", "0.83, KL 1.05")])
def test_a_finished_stage_shows_its_result(lang: str, name: Any, figure: str) -> None:
    text = told(lang, name, stage("done", run(name))).replace("，", ", ")
    assert figure in text
    assert "1,234" in text


def test_a_guard_that_ended_a_run_is_told() -> None:
    assert "ended after rollout 7" in told("en", "ppo", stage("done", run("ppo", message="ended after rollout 7: why")))


def test_a_failed_run_says_why_as_text() -> None:
    text = told("en", "rm", stage("start", run("rm", "failed", message="<b>no</b> tokenizer")))
    assert "Failed at step 5: &lt;b&gt;no" in text


def test_advice_that_needs_another_page_leads_there() -> None:
    assert 'href="/app/label"' in told("en", "rm", stage("more"))
    assert set(WHERE) <= {f"{name}.{next}" for name in STAGES for next in NEXT[name]}


def test_the_newest_round_stands_first() -> None:
    made = {"start": "run-1", "rewards": ["run-2"], "accuracy": 0.75, "comparisons": 97, "step": 5, "steps": 20}
    rounds = [
        made | {"run": 3, "state": "done", "before": -0.06, "after": 0.83, "kl": 1.05},
        made | {"run": 5, "state": "running", "before": 0.1, "after": None, "kl": None, "accuracy": None},
    ]
    text = history("en", rounds)
    assert text.index("Step 5 of 20") < text.index("run-3")
    assert all(shown in text for shown in ("75%", "97", "-0.06", "0.83", "1.05", "–"))
    assert "None yet" in history("en", [])


def test_the_stage_that_is_due_is_what_the_page_is_for() -> None:
    state = {"due": "rm", "stages": {"rm": stage("start"), "ppo": stage("rewards"), "sft": stage("more")}}
    looks = {name: filled("en", name, state, ["demo-tiny"])[1] for name in STAGES}
    assert {name: look.variant for name, look in looks.items()} == {
        "sft": "secondary",
        "rm": "primary",
        "ppo": "secondary",
    }
    assert {name: look.interactive for name, look in looks.items()} == {"sft": False, "rm": True, "ppo": True}


def test_the_running_stage_says_how_far_it_is() -> None:
    told = {"stage": "ppo", "state": "running", "step": 5, "steps": 20, "eta_s": 30.0}
    assert "PPO: Step 5 of 20 · 30 s" in so_far("en", told)
    assert so_far("en", {"stage": None}) == ""
