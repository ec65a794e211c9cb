"""What a rollout is worth: scores of several judges in one unit, and what is told of answers to held-out prompts."""

import numpy as np
import pytest
import torch

from tests.training.conftest import turns
from workbench.training.actors import Judge
from workbench.training.data import Line, Row
from workbench.training.experience import Norm, held_out
from workbench.training.rollout import Asked, Episode


def test_scores_are_measured_in_units_of_the_reference():
    raw = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    norm = Norm.of(raw, "ref")
    assert norm.shift == [2.0, 20.0]
    assert norm.scale == pytest.approx([2**0.5, 200**0.5])
    assert norm(raw, [1.0, 1.0]).tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])
    assert Norm.of(raw, "center")(raw, [1.0, 3.0]).tolist() == pytest.approx([-7.75, 7.75])
    assert Norm.of(raw, "none")(raw, [1.0, 0.0]).tolist() == [1.0, 3.0]


def test_held_out_answers_are_told_with_those_who_only_watch():
    """Two answers of 1 and 3 tokens, the second cut; z of the watching judge is (-1, 1) / sqrt(2)."""
    ids, row = np.array([5, 6], np.int32), Row("0", "chat", turns("ask"), ())
    lines = [Line.of(ids, np.array(answer, np.int32)) for answer in ([3], [7, 8, 9])]
    episodes = [Episode(Asked(row, ids), line, ended, ()) for line, ended in zip(lines, (True, False), strict=True)]
    raw = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    judges = [Judge("helpful", 1.0, None), Judge("watcher", 0.0, None)]
    told = held_out(episodes, raw, torch.tensor([0.5, -0.5]), Norm.of(raw, "ref"), judges)
    assert told["eval_objective/scores"] == 0.0
    assert told["eval_objective/score_std"] == 0.5
    assert (told["eval_objective/eos_rate"], told["eval_objective/length"]) == (0.5, 2.0)
    assert (told["eval_objective/scores_raw/helpful"], told["eval_objective/scores_raw/watcher"]) == (2.0, 20.0)
    assert told["eval_watching/watcher"] == pytest.approx(0.0, abs=1e-6)
    assert "eval_watching/helpful" not in told
