"""Where the scores of a reward model lie: mean and spread over answers that its start model draws to held-out prompts.

Leaves out what is done with them: people read scores as (r - shift) / scale; PPO measures its own reference (`ppo`).
Source: Ziegler et al. 2019, arXiv:1909.08593, section 2.2, which measures 256 answers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from workbench.generation.request import Sampling
from workbench.training.data import Row, Stops, prompt_ids
from workbench.training.model import length_limit
from workbench.training.policy import Policy
from workbench.training.rollout import Asked, roll_out

ANSWERS = 256
NEW_TOKENS = 128


@torch.no_grad()
def score_scale(judge: Policy, start: Policy, rows: Sequence[Row], stop: Stops, seed: int) -> dict[str, Any]:
    """`score_shift` and `score_scale`; nothing where there is no prompt that leaves room for an answer."""
    room = min(map(length_limit, (judge, start))) - NEW_TOKENS
    ids = [(row, prompt_ids(start.tokenizer, row.form, row.prompt)) for row in rows if row.prompt]
    asked = [Asked(row, np.array(tokens, np.int32)) for row, tokens in ids if 0 < len(tokens) <= room]
    if not asked:
        return {}
    spread = [asked[i % len(asked)] for i in range(ANSWERS)]
    sampling = Sampling(temperature=1.0, max_new_tokens=NEW_TOKENS)
    lines = [e.line for e in roll_out(start, spread, stop, sampling, f"{seed}|scale")]
    scores = torch.cat([judge([lines[i] for i in part]) for part in judge.deal([(line,) for line in lines])])
    return {"score_shift": scores.mean().item(), "score_scale": max(scores.std().item(), 1e-6)}
