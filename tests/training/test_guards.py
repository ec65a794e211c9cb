"""Guards: each trips on its own fault, and a healthy run passes all of them."""

from typing import Any

import pytest

from workbench.training.guards import tripped

Line = dict[str, Any]


def told(score: float = 0.0, kl: float = 5.0, length: float = 60.0, ends: float = 1.0, spread: float = 1.0) -> Line:
    names = ("scores", "kl", "length", "eos_rate", "score_std")
    return {f"objective/{n}": v for n, v in zip(names, (score, kl, length, ends, spread), strict=True)}


def held(score: float, watching: float) -> Line:
    return {"eval_objective/scores": score, "eval_watching/second": watching}


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (told(score=2.0, kl=60.0), "left the reference (KL 60): raise kl_coef"),
        (told(score=2.0, length=91.0), "rise with the length of the answers (60 to 91 tokens)"),
        (told(ends=0.4), "only 40% of the answers end"),
        (told(spread=0.0), "the same score"),
        (told(kl=-3.0), "KL per answer is -3, which cannot be"),
    ],
)
def test_each_fault_has_its_guard(last: Line, reason: str) -> None:
    assert reason in tripped([told(), *[last] * 3])


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [told()],
        [told(), *[told(score=2.0, kl=8.0)] * 5],
        [told(), *[told(score=0.4, kl=60.0, length=120.0)] * 5],  # nothing was won by it
        [told(ends=0.3), told(ends=0.4), told(ends=0.9)],  # it learns to end
        [told(spread=0.0), told(spread=0.0), told()],
        [{"step": 0, "eval_objective/scores": 0.0}, told(), told(), told(score=3.0)],
    ],
)
def test_a_healthy_run_goes_on(lines: list[Line]) -> None:
    assert tripped(lines) is None


def test_a_reward_model_that_only_watches_is_heard() -> None:
    rollouts = [told()] * 3
    falling = [held(0.0, 0.0), held(1.0, -0.6), held(2.0, -0.8)]
    assert "second, which only watches" in tripped([*rollouts, *falling])
    assert tripped([*rollouts, *falling[:2]]) is None
    assert tripped([*rollouts, held(0.0, 0.0), held(1.0, -0.9), held(2.0, -0.8)]) is None
    assert tripped([*rollouts, held(0.0, 0.0), held(0.1, -0.6), held(0.2, -0.8)]) is None
