"""The report of a reward model by hand, then what its bins must keep; and of run folders as they are written."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evaluation.reward_report import (
    Compared,
    by_strength,
    histogram,
    interval,
    level,
    of_run,
    ordered,
    reliability,
    report,
)
from workbench.jobs.folder import write_json

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
LINE = {"step": 4, "eval_accuracy": 0.6, "eval_length_corr": 0.2, "eval_ece": None}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_right_comparisons_have_a_share_and_an_interval():
    # Wilson for 7 of 10: centre 0.6445, half width 0.2478
    found = interval(np.array([True] * 7 + [False] * 3))
    assert found == {
        "value": 0.7,
        "low": pytest.approx(0.3968, abs=1e-4),
        "high": pytest.approx(0.8922, abs=1e-4),
        "n": 10,
    }


def test_confidence_is_held_against_how_often_it_is_right():
    # sigmoid(ln 3) = 3/4 and sigmoid(ln 9) = 9/10, whichever answer the model prefers
    margins = np.log([9.0, 3.0, 1 / 9, 3.0])
    near, sure = reliability(margins, bins=2)
    assert near == {"confidence": pytest.approx(0.75), "right": 1.0, "n": 2}
    assert sure == {"confidence": pytest.approx(0.9), "right": 0.5, "n": 2}


def test_few_comparisons_have_fewer_bins():
    assert [found["n"] for found in reliability(np.array([1.0, 2.0, 3.0]))] == [1, 1, 1]


def test_scores_fall_in_common_bins():
    bars = histogram(np.array([1.0, 4.0, 4.0]), np.array([0.0, 1.0, 1.0]), bars=2)
    assert bars == [
        {"low": 0.0, "high": 2.0, "chosen": 1, "rejected": 3},
        {"low": 2.0, "high": 4.0, "chosen": 2, "rejected": 0},
    ]
    assert len(histogram(np.ones(3), np.ones(3))) == 20


@pytest.mark.parametrize(
    ("strength", "at"), [(None, 0), (0.0, 1), (1.0, 1), (-2.0, 2), (1.5, 2), (2.4, 2), (2.5, 3), (3.0, 3)]
)
def test_a_strength_belongs_to_the_nearest_level(strength, at):
    assert level(strength) == at


def test_agreement_is_told_by_strength_the_clearest_first():
    rows = by_strength(np.array([True, False, True, True]), np.array([1.0, 0.0, 3.0, 1.0]))
    assert [(row["level"], row["value"], row["n"]) for row in rows] == [(3, 1.0, 1), (1, 1.0, 2), (None, 0.0, 1)]


def test_answers_that_were_placed_level_are_not_compared():
    assert list(ordered([3.0, 2.0, 1.0, 5.0], (0, 1, 1, 2))) == [(3, 2), (3, 1), (3, 5), (2, 5), (1, 5)]
    assert list(ordered([1.0, 2.0, None], (0, 0))) == []


def test_nothing_compared_is_nothing_to_report():
    assert report(Compared(*np.zeros((3, 0))), LINE) is None


@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), min_size=1, max_size=60, unique_by=lambda x: x[0]))
def test_bins_keep_every_comparison_and_go_from_unsure_to_sure(drawn):
    margins = np.array([n / 10**5 * (1 if right else -1) for n, right in drawn])
    bins = reliability(margins)
    weighed = {key: sum(b[key] * b["n"] for b in bins) for key in ("confidence", "right")}
    assert sum(b["n"] for b in bins) == len(drawn)
    assert max(b["n"] for b in bins) - min(b["n"] for b in bins) <= 1
    assert [b["confidence"] for b in bins] == sorted(b["confidence"] for b in bins)
    assert weighed["right"] == pytest.approx(sum(right for _, right in drawn))
    assert weighed["confidence"] == pytest.approx(sum(1 / (1 + math.exp(-abs(m))) for m in margins))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run: two pairs, a tie, and a ranking of three of which two are level and a fourth is blank."""
    snapshot, folder = tmp_path / "snapshot", tmp_path / "runs" / "000001"
    snapshot.mkdir()
    (folder / "eval_rows").mkdir(parents=True)
    (folder / "out").mkdir()
    pairs = {"id": ["a", "b", "t", "r1"], "tie": [False, False, True, False], "strength": [3.0, None, 0.0, None]}
    pq.write_table(pa.table(pairs), snapshot / "pairs.parquet")
    ranking = {"id": ["r"], "tiers": [[[2], [3], [0, 1]]], "candidates": [[said(x) for x in ("x", "y", "z", " ")]]}
    schema = pa.schema(
        [("id", pa.string()), ("tiers", pa.list_(pa.list_(pa.int32()))), ("candidates", pa.list_(MESSAGES))]
    )
    pq.write_table(pa.table(ranking, schema), snapshot / "rankings.parquet")
    scored = {"id": ["a", "b", "t", "r"], "answer_0": [2.0, 0.0, 1.0, 3.0], "answer_1": [1.0, 1.0, 0.0, 2.5]}
    rows = scored | {"answer_2": pa.array([None, None, None, 4.0], pa.float32())}
    pq.write_table(pa.table(rows), folder / "eval_rows" / "000004.parquet")
    pq.write_table(pa.table(rows), folder / "eval_rows" / "000008.parquet")
    write_json(folder / "config.json", {"snapshot_path": str(snapshot), "hparams": {"empty": "drop"}})
    write_json(folder / "out" / "workbench.json", {"metrics": LINE})
    return folder


def told(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(row["level"], row["value"], row["n"]) for row in found["strength"]]


def test_a_run_is_read_in_the_order_of_its_snapshot(run):
    # right: pair a, and z over x; wrong: pair b, and z over y
    found = of_run(run)
    assert (found["step"], found["accuracy"]["value"], found["accuracy"]["n"]) == (4, 0.5, 4)
    assert told(found) == [(3, 1.0, 1), (None, pytest.approx(1 / 3), 3)]
    assert (found["length_corr"], found["ece"], found["accuracy_length_matched"]) == (0.2, None, None)
    assert sum(bar["chosen"] for bar in found["scores"]) == 4


def test_a_finished_run_is_read_once(run):
    assert of_run(run) is of_run(run)


@pytest.mark.parametrize("gone", ["out/workbench.json", "eval_rows/000004.parquet", "../../snapshot"])
def test_a_run_whose_files_are_gone_has_no_report(run, gone):
    (run / gone).resolve().rename(run.parent / "elsewhere")
    assert of_run(run) is None


def test_a_snapshot_without_rankings_is_enough(run):
    (run.parents[1] / "snapshot" / "rankings.parquet").unlink()
    assert told(of_run(run)) == [(3, 1.0, 1), (None, 0.0, 1)]
