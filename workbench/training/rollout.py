"""Answers that a policy draws to prompts, to be learnt from: token ids with their stop token, and how they were drawn.

The same seed draws the same answers, whatever shares the batch. Leaves out what they are worth (`ppo`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from workbench.generation.decoding import Answer, decode
from workbench.generation.decoding import Row as Drawn
from workbench.generation.request import Sampling
from workbench.training.data import Ids, Line, Row, Stops
from workbench.training.policy import Policy

TOKENS_AT_ONCE = 32_768  # of a batch, prompts with room for their answers


@dataclass(frozen=True)
class Asked:
    """A prompt as text and as the token ids to answer."""

    row: Row
    ids: Ids


@dataclass(frozen=True)
class Episode:
    """One drawn answer. Its last token is the stop token where one was drawn; else it was cut.

    logps   log-probs with which its tokens were drawn
    """

    asked: Asked
    line: Line
    ended: bool
    logps: tuple[float, ...]

    @property
    def said(self) -> Ids:
        """The answer without its stop token."""
        return self.line.answer[:-1] if self.ended else self.line.answer


def roll_out(policy: Policy, asked: Sequence[Asked], stop: Stops, sampling: Sampling, seed: str) -> list[Episode]:
    """`sampling.n` answers to each prompt, in the order of the prompts."""
    drawn = [
        Drawn(one.ids.tolist(), stop.ids, _seed(f"{seed}|{i}|{k}"), "default" if policy.adapted else None)
        for i, one in enumerate(asked)
        for k in range(sampling.n)
    ]
    found: dict[int, Answer] = {}
    with policy.stock(), policy.casting():
        for batch in _batches(drawn, sampling.max_new_tokens):
            *_, answers = decode(policy.model, [drawn[i] for i in batch], sampling)
            found |= dict(zip(batch, answers, strict=True))
    return [_episode(asked[i // sampling.n], found[i]) for i in range(len(drawn))]


def _seed(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:7], "big")


def _batches(drawn: Sequence[Drawn], new_tokens: int) -> Iterator[list[int]]:
    """Prompts of like length together, so that little is padded."""
    batch: list[int] = []
    for i in sorted(range(len(drawn)), key=lambda i: len(drawn[i].prompt)):
        if batch and (len(batch) + 1) * (len(drawn[i].prompt) + new_tokens) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(i)
    yield batch


def _episode(asked: Asked, answer: Answer) -> Episode:
    ids = answer.ids if answer.stop is None else [*answer.ids, answer.stop]
    line = Line.of(asked.ids, np.array(ids, dtype=np.int32))
    return Episode(asked, line, answer.stop is not None, tuple(answer.logps))
