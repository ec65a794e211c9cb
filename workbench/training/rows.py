"""How lines are laid out for a model: packed into one row that holds each prompt once, or padded to one block.

Also how the lines of a step are dealt to rows. Leaves out the model (`policy`) and its attention (`attention`).
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.training.attention import Segments
from workbench.training.data import Line


@dataclass(frozen=True)
class Layout:
    """Lines as one input of a model. A sequence is one prompt with one completion; equal lines share a sequence.

    ids, pos                 (1, T) packed, (n, width) padded; `pos` and `segments` only when packed
    source, target           (S,) where the state that predicts each scored token stands, and the token
    sequence, in_answer      (S,) whose token it is, and whether it belongs to the answer or to the prompt
    last                     (n,) where the last token of each sequence stands
    answer_tokens, target_tokens   (n,) counts, float
    which                    (lines,) the sequence of each line; None when they are the same
    padding                  tokens computed for nothing
    """

    ids: Tensor
    source: Tensor
    target: Tensor
    sequence: Tensor
    in_answer: Tensor
    last: Tensor
    answer_tokens: Tensor
    target_tokens: Tensor
    padding: int = 0
    pos: Tensor | None = None
    segments: Segments | None = None
    which: Tensor | None = None


def packed(lines: Sequence[Line], device: torch.device) -> Layout:
    """[prompt | answer | answer ... | prompt | answer ...]: each distinct prompt once, each distinct answer of it once.

    The first completion of a prompt is read together with it; each further one sees the prompt's keys and itself.
    """
    groups: dict[bytes, dict[tuple[bytes, int], Line]] = {}
    names = [(line.prompt.tobytes(), (line.answer.tobytes(), line.first)) for line in lines]
    for (asked, said), line in zip(names, lines, strict=True):
        groups.setdefault(asked, {}).setdefault(said, line)
    ids, pos, lens_q, placed, number, at = [], [], [], [], {}, 0
    for asked, answers in groups.items():
        start = at
        for said, line in answers.items():
            fresh = 0 if at > start else len(line.prompt)  # tokens of the prompt that this segment brings
            number[asked, said] = len(placed)
            placed.append((line, start, at + fresh))
            ids += [line.prompt[:fresh], line.answer]
            pos.append(np.arange(len(line.prompt) - fresh, len(line)))
            lens_q.append(fresh + len(line.answer))
            at += lens_q[-1]
    kv = [
        part
        for line, a, b in placed
        for part in (np.arange(a, a + len(line.prompt)), np.arange(b, b + len(line.answer)))
    ]
    put = Put(device)
    segments = Segments(tuple(lens_q), tuple(len(line) for line, *_ in placed), put(np.concatenate(kv)))
    which = [number[name] for name in names]
    return _scored(
        placed,
        np.concatenate(ids)[None],
        put,
        pos=put(np.concatenate(pos)[None]),
        segments=segments,
        which=None if which == list(range(len(placed))) else put(np.array(which)),
    )


def padded(lines: Sequence[Line], device: torch.device) -> Layout:
    """One right-padded block, a line in each row. Causal attention never looks right, so no mask is needed."""
    width = max(map(len, lines))
    ids = np.zeros((len(lines), width), dtype=np.int64)
    for i, line in enumerate(lines):
        ids[i, : len(line)] = np.concatenate([line.prompt, line.answer])
    placed = [(line, i * width, i * width + len(line.prompt)) for i, line in enumerate(lines)]
    return _scored(placed, ids, Put(device), padding=ids.size - sum(map(len, lines)))


class Put:
    """numpy to a tensor on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, x: np.ndarray) -> Tensor:
        return torch.as_tensor(x, device=self.device)


def _scored(placed: Sequence[tuple[Line, int, int]], ids: np.ndarray, put: Put, **rest: Any) -> Layout:
    """The layout of sequences whose prompt starts at the first place and whose answer at the second."""
    source = [
        part
        for line, a, b in placed
        for part in (np.arange(a + line.first - 1, a + len(line.prompt)), np.arange(b, b + len(line.answer) - 1))
    ]
    target = [part for line, *_ in placed for part in (line.prompt[line.first :], line.answer)]
    answers, targets = (
        np.array([len(line.answer) for line, *_ in placed]),
        np.array([line.targets for line, *_ in placed]),
    )
    told = [part for a, t in zip(answers, targets, strict=True) for part in (np.zeros(t - a, bool), np.ones(a, bool))]
    return Layout(
        ids=put(ids.astype(np.int64)),
        source=put(np.concatenate(source)),
        target=put(np.concatenate(target).astype(np.int64)),
        sequence=put(np.repeat(np.arange(len(placed)), targets)),
        in_answer=put(np.concatenate(told)),
        last=put(np.array([b + len(line.answer) - 1 for line, _, b in placed])),
        answer_tokens=put(answers.astype(np.float32)),
        target_tokens=put(targets.astype(np.float32)),
        **rest,
    )


def deal_packed(groups: Sequence[Sequence[Line]], room: int, least: int = 1) -> list[list[int]]:
    """Indices of groups by row: rows of at most `room` tokens, equally full, equal prompts in the same row.

    A group is never cut; one that is larger than `room` has a row of its own.
    least   rows to make, as far as there are groups: one for each process
    """
    clusters, costs = _clusters(groups, room)
    n = max(least, math.ceil(sum(costs) / room))
    while True:
        rows, fullest = _longest_first(costs, n)
        if fullest <= max([room, *costs]) or n >= len(costs):
            return [sorted(i for c in row for i in clusters[c]) for row in rows if row]
        n += 1 + n // 16


def _clusters(groups: Sequence[Sequence[Line]], room: int) -> tuple[list[list[int]], list[int]]:
    """Groups of one prompt, while they fit one row, and the tokens each cluster computes: an equal answer once."""
    clusters: list[list[int]] = []
    costs: list[int] = []
    held: list[dict[tuple[bytes, int], int]] = []
    open_at: dict[bytes, int] = {}
    for i, lines in enumerate(groups):
        prompt, own = lines[0].prompt, {(line.answer.tobytes(), line.first): len(line.answer) for line in lines}
        at = open_at.get(asked := prompt.tobytes())
        fresh = own if at is None else {name: n for name, n in own.items() if name not in held[at]}
        if at is None or costs[at] + sum(fresh.values()) > room:
            at, fresh = len(clusters), own
            open_at[asked] = at
            clusters.append([])
            costs.append(len(prompt))
            held.append({})
        clusters[at].append(i)
        costs[at] += sum(fresh.values())
        held[at] |= fresh
    return clusters, costs


def _longest_first(costs: Sequence[int], n: int) -> tuple[list[list[int]], int]:
    """Longest-processing-time: each item, largest first, to the emptiest of n rows. Also how full the fullest is."""
    rows: list[list[int]] = [[] for _ in range(n)]
    loads = [(0, row) for row in range(n)]
    for item in sorted(range(len(costs)), key=lambda i: -costs[i]):
        load, row = heapq.heappop(loads)
        rows[row].append(item)
        heapq.heappush(loads, (load + costs[item], row))
    return rows, max(load for load, _ in loads)


def deal_padded(groups: Sequence[Sequence[Line]], room: int, least: int = 1) -> list[list[int]]:
    """Indices of groups by block: at most `room` tokens with padding, longest first. `least` as in `deal_packed`."""
    longest = [max(map(len, lines)) for lines in groups]
    if least > 1:
        room = min(room, math.ceil(sum(len(g) * n for g, n in zip(groups, longest, strict=True)) / least))
    parts: list[list[int]] = []
    count = 0
    for i in sorted(range(len(groups)), key=lambda i: -longest[i]):
        if not parts or (count + len(groups[i])) * longest[parts[-1][0]] > room:
            parts.append([])
            count = 0
        parts[-1].append(i)
        count += len(groups[i])
    return parts


def blocks(lines: Sequence[Line], least: int) -> list[list[int]]:
    """Indices of lines padded together: a new block where a line is much shorter and the last one large enough."""
    order = sorted(range(len(lines)), key=lambda i: -len(lines[i]))
    found: list[list[int]] = []
    for i in order:
        width = len(lines[found[-1][0]]) if found else 0
        if not found or (len(lines[i]) < 0.8 * width and len(found[-1]) * width >= least):
            found.append([])
        found[-1].append(i)
    return found
