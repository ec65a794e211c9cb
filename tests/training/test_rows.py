"""How lines are laid out: a row worked by hand, then what holds for any lines and any room."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.training.data import Line
from workbench.training.rows import blocks, deal_packed, deal_padded, packed, padded

CPU = torch.device("cpu")
ids = lambda *values: np.array(values, dtype=np.int32)  # noqa: E731


def drawn(n, prompts, seed=0):
    """n lines that share a few prompts, some of them twice."""
    rng = np.random.default_rng(seed)
    known = [rng.integers(0, 9, rng.integers(1, 12), dtype=np.int32) for _ in range(prompts)]
    return [
        Line.of(known[rng.integers(prompts)], rng.integers(0, 3, rng.integers(1, 5), dtype=np.int32)) for _ in range(n)
    ]


def test_a_row_worked_by_hand():
    # row [5 6 | 7 8 | 9 | 1 | 2]: prompt (5 6) with answers (7 8) and (9), prompt (1) with answer (2)
    row = packed([Line.of(ids(5, 6), ids(7, 8)), Line.of(ids(5, 6), ids(9)), Line.of(ids(1), ids(2))], CPU)
    assert row.ids.tolist() == [[5, 6, 7, 8, 9, 1, 2]]
    assert row.pos.tolist() == [[0, 1, 2, 3, 2, 0, 1]]
    assert (row.segments.lens_q, row.segments.lens_k) == ((4, 1, 2), (4, 3, 2))
    assert row.segments.kv.tolist() == [0, 1, 2, 3, 0, 1, 4, 5, 6]
    assert row.source.tolist() == [1, 2, 1, 5]
    assert row.target.tolist() == [7, 8, 9, 2]
    assert row.sequence.tolist() == [0, 0, 1, 2]
    assert row.last.tolist() == [3, 4, 6]
    assert row.which is None
    assert row.padding == 0


def test_a_learnt_prompt_is_scored_from_its_second_token():
    row = packed([Line.of(ids(5, 6), ids(7), whole=True), Line.of(ids(5, 6), ids(8))], CPU)
    assert row.source.tolist() == [0, 1, 1]
    assert row.target.tolist() == [6, 7, 8]
    assert row.in_answer.tolist() == [False, True, True]
    assert row.target_tokens.tolist() == [2, 1]
    assert row.answer_tokens.tolist() == [1, 1]


def test_equal_lines_are_computed_once_and_told_twice():
    first, second = Line.of(ids(5), ids(7)), Line.of(ids(6), ids(8))
    row = packed([second, first, second, Line.of(ids(5), ids(9))], CPU)
    assert row.ids.tolist() == [[6, 8, 5, 7, 9]]
    assert row.which.tolist() == [0, 1, 0, 2]


def test_a_padded_block_worked_by_hand():
    block = padded([Line.of(ids(5, 6), ids(7)), Line.of(ids(1), ids(2))], CPU)
    assert block.ids.tolist() == [[5, 6, 7], [1, 2, 0]]
    assert block.source.tolist() == [1, 3]
    assert block.target.tolist() == [7, 2]
    assert block.last.tolist() == [2, 4]
    assert block.padding == 1


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 99))
def test_each_layout_predicts_every_answer_token_from_the_one_before(n, prompts, seed):
    lines = drawn(n, prompts, seed)
    for made in (packed(lines, CPU), padded(lines, CPU)):
        flat = made.ids.flatten()
        which = made.which.tolist() if made.which is not None else range(n)
        for line, at in zip(lines, which, strict=True):
            own = made.sequence == at
            assert made.target[own].tolist() == line.answer.tolist()
            assert flat[made.source[own]].tolist() == [line.prompt[-1], *line.answer[:-1].tolist()]
            assert flat[made.last[at]] == line.answer[-1]
            assert made.answer_tokens[at] == len(line.answer)


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 99))
def test_keys_of_a_segment_are_its_prompt_and_itself(n, prompts, seed):
    row = packed(drawn(n, prompts, seed), CPU)
    flat, pos = row.ids.flatten(), row.pos.flatten()
    assert sum(row.segments.lens_q) == len(flat)
    for keys in row.segments.kv.split(row.segments.lens_k):
        assert pos[keys].tolist() == list(range(len(keys)))


@pytest.mark.parametrize("deal", [deal_packed, deal_padded])
@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 99), st.integers(1, 200))
def test_every_group_is_dealt_once_and_rows_keep_to_their_room(deal, n, prompts, seed, room):
    groups = [(line,) for line in drawn(n, prompts, seed)]
    rows = deal(groups, room)
    assert sorted(i for row in rows for i in row) == list(range(n))
    for row in rows:
        lines = [line for i in row for line in groups[i]]
        made = (packed if deal is deal_packed else padded)(lines, CPU)
        assert made.ids.numel() <= room or len(row) == 1


def test_equal_prompts_share_a_row_and_rows_are_equally_full():
    prompt, other = ids(1, 2, 3), ids(4, 5, 6)
    groups = [(Line.of(p, ids(k)),) for k in range(4) for p in (prompt, other)]
    assert sorted(deal_packed(groups, 7)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_an_answer_of_many_pairs_is_counted_once():
    prompt, answers = ids(*range(1, 11)), [ids(*range(20 + k, 30 + k)) for k in range(5)]
    pairs = [tuple(Line.of(prompt, a) for a in two) for two in combinations(answers, 2)]
    [row] = deal_packed(pairs, 60)
    assert row == list(range(10))
    assert packed([line for i in row for line in pairs[i]], CPU).ids.numel() == 60
    assert len(deal_packed(pairs, 59)) > 1


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 99), st.integers(1, 5))
def test_each_process_has_a_row_where_there_are_prompts_enough(n, prompts, seed, processes):
    groups = [(line,) for line in drawn(n, prompts, seed)]
    distinct = len({line.prompt.tobytes() for (line,) in groups})
    assert len(deal_packed(groups, 10**6, processes)) == min(processes, distinct)


def test_blocks_pad_lines_of_like_length_together():
    given_lines = drawn(40, 12)
    parts = blocks(given_lines, least=20)
    assert sorted(i for part in parts for i in part) == list(range(40))
    assert len(parts) > 1
    assert blocks(given_lines, least=10**6) == [sorted(range(40), key=lambda i: -len(given_lines[i]))]
