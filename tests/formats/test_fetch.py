"""Which file names are fetched: weights and rows by their own names, never a path that leaves the folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.formats.fetch import safe, wanted

pytestmark = [pytest.mark.rule("S25"), pytest.mark.rule("S31")]


@pytest.mark.parametrize(
    "name", ["a.parquet", "preference/train-00000-of-00001.parquet", "data/rows.jsonl", "x.csv", "ünï/日本.csv"]
)
def test_rows_are_wanted(name):
    assert wanted(name, "dataset")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "model-00001-of-00002.safetensors"]
)
def test_weights_are_wanted(name):
    assert wanted(name, "model")
    assert not wanted(f"onnx/{name}", "model")


@pytest.mark.parametrize(
    "name",
    [
        *("../a.parquet", "/etc/a.parquet", "a/../../b.csv", "a\\b.csv", "C:/a.csv", "c:a.csv", "", ".", "a//b.csv"),
        *(".git/a.csv", "a/.b.csv", "a\n.csv", "a\0.csv", "script.py", "a.bin", "a.parquet.py", "a.pkl", "a.zip"),
    ],
)
def test_anything_else_is_not(name):
    assert not wanted(name, "dataset")
    assert not wanted(name, "model")


@given(st.text(st.sampled_from("abc./\\:\0\n ~")))
def test_a_safe_name_stays_below_its_folder(name):
    if safe(name):
        root = Path("/srv/data")
        assert (root / name).resolve().is_relative_to(root)
        assert (root / name).resolve() != root
