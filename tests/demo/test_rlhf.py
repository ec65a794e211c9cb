"""The three stages play by themselves and keep what they promise; what is told of a run comes from its lines."""

from pathlib import Path

import pytest

from workbench.demo.rlhf import gains, play
from workbench.settings import DEMO


def test_gains_are_read_from_the_first_and_last_evaluation() -> None:
    first = {"step": 0, "eval_objective/scores": -0.1, "eval_objective/score_std": 0.9}
    last = {"step": 4, "objective/kl": 1.0, "eval_objective/scores": 1.1, "eval_objective/score_std": 0.5}
    told = gains([first, {"step": 2, "objective/kl": 3.0}, last], kl_limit=20.0)
    expected = {"reward_before": -0.1, "reward_after": 1.1, "reward_std_base": 0.9, "kl": 3.0, "kl_limit": 20.0}
    assert told == expected


@pytest.mark.slow
@pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout")
def test_ppo_wins_a_standard_deviation_and_the_blind_comparison(tmp_path: Path) -> None:
    told = play(tmp_path / "home", say=lambda line: None)
    assert told["reward_after"] - told["reward_before"] >= told["reward_std_base"]
    assert told["kl"] < told["kl_limit"]
    assert told["win_rate"] >= 0.75
