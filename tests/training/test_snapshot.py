"""Snapshot files become rows as they were written; a ranking stands for the pairs made of it."""

import pyarrow.parquet as pq
import pytest

from workbench.errors import EngineError
from workbench.training.snapshot import files, read


@pytest.mark.parametrize("method", ["dpo", "kto", "sft"])
def test_rows_are_what_was_written(snapshot, method):
    [path] = files(snapshot, method)
    assert read(snapshot, method) == pq.read_table(path).to_pylist()


def test_a_reward_model_reads_rankings_in_place_of_their_pairs(snapshot_of, rankings, tmp_path):
    folder = snapshot_of(tmp_path / "ranked", rankings(8))
    rows = read(folder, "rm")
    assert [r["id"] for r in rows] == [*(f"p{i}" for i in range(8)), *(f"r{i}" for i in range(8))]
    assert [len(r["pairs"]) for r in rows[8:]] == [1, 5] * 4
    assert len(read(folder, "dpo")) == 8 + 4 * 1 + 4 * 5
    (folder / "pairs.parquet").unlink()
    assert len(read(folder, "rm")) == 8


def test_missing_data_names_the_way_out(tmp_path):
    with pytest.raises(EngineError, match="has no thumbs: label some"):
        read(tmp_path, "kto")
    with pytest.raises(EngineError, match="has no pairs"):
        read(tmp_path, "rm")
