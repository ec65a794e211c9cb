"""What a benchmark step is made of: lengths of prompts and answers, log-normal, cut into batches.

Leaves out the tokens themselves (`batches`) and who trains on them (`cell`).
"""

from dataclasses import dataclass

import numpy as np

PROMPT_CAP, ANSWER_CAP, SHORTEST = 2000, 1000, 2
POOL = 50  # batches' worth of groups from which the steps are taken


@dataclass(frozen=True)
class Shape:
    """Median and sigma of the lengths in tokens, pairs per step, and the K of K-way groups that fit a small machine."""

    prompt: tuple[int, float]
    answer: tuple[int, float]
    pairs: int = 4
    ks: tuple[int, ...] = (2,)


SHAPES = {
    "hh": Shape((150, 0.6), (60, 0.7), ks=(2, 4, 9)),
    "tldr": Shape((350, 0.25), (35, 0.35), ks=(2, 4, 9)),
    "ultra": Shape((150, 0.6), (280, 0.55), ks=(2, 4)),
    "long": Shape((1200, 0.3), (200, 0.5), pairs=2),
}


@dataclass(frozen=True)
class Group:
    """Lengths in tokens of a prompt and of its answers."""

    prompt: int
    answers: tuple[int, ...]

    @property
    def longest(self) -> int:
        return self.prompt + max(self.answers)


def draw(shape: Shape, n: int, answers: int, seed: int) -> list[Group]:
    """`n` groups with so many answers each."""
    rng = np.random.default_rng(seed)
    prompts = lengths(rng, *shape.prompt, PROMPT_CAP, (n,))
    replies = lengths(rng, *shape.answer, ANSWER_CAP, (n, answers))
    return [Group(int(p), tuple(map(int, a))) for p, a in zip(prompts, replies, strict=True)]


def lengths(rng: np.random.Generator, median: float, sigma: float, cap: int, size: tuple[int, ...]) -> np.ndarray:
    """Log-normal whole numbers from 2 to `cap`."""
    return np.exp(rng.normal(np.log(median), sigma, size)).round().clip(SHORTEST, cap).astype(int)


def cut(pool: list[Group], per_batch: int, batches: str, steps: int) -> list[list[Group]]:
    """The batches of a run: `random` as drawn, or `grouped` by length, taken evenly from short to long.

    The first step is not timed, so it is the middle one twice; the order of the others does not matter to anyone.
    """
    if batches == "grouped":
        pool = sorted(pool, key=lambda g: g.longest)
    whole = [pool[i : i + per_batch] for i in range(0, len(pool) - per_batch + 1, per_batch)]
    if batches == "random":
        return whole[:steps]
    timed = steps - 1
    return [whole[len(whole) // 2]] + [whole[(2 * i + 1) * len(whole) // (2 * timed)] for i in range(timed)]


def steps_of(shape: Shape, *, answers: int, batches: str, steps: int, seed: int = 0) -> list[list[Group]]:
    """What each step trains on. One answer per prompt means twice the prompts, so that a step has as many answers."""
    per_batch = shape.pairs * (2 if answers == 1 else 1)
    return cut(draw(shape, POOL * per_batch, answers, seed), per_batch, batches, steps)
