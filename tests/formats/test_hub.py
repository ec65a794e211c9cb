"""The exported folder: what each config holds, the same bytes every time, and that `load_dataset` reads it."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from frozen import snapshot

from workbench.errors import UsageError
from workbench.formats.hub import export_dataset

ROWS = {
    **{"preference": 4, "preference_text": 1, "implicit": 4, "implicit_text": 1},
    **{"unpaired": 2, "unpaired_text": 1, "demonstrations": 1, "rankings": 1},
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    counts = export_dataset(
        snapshot(tmp_path / "snap"), tmp_path / "out", title="Tea: *or* coffee", license="cc-by-4.0"
    )
    assert counts == ROWS
    return tmp_path / "out"


def rows(out: Path, config: str, split: str = "train") -> list[dict]:
    return pq.read_table(next((out / config).glob(f"{split}-*.parquet"))).to_pylist()


def test_ties_are_dropped_and_splits_are_kept(out):
    assert len(rows(out, "preference")) == 3
    [held] = rows(out, "preference", "test")
    assert held["chosen"] == [{"role": "assistant", "content": " Yes 3."}]
    assert held["strength"] == 2.0


def test_text_is_never_chat(out):
    [row] = rows(out, "preference_text")
    assert (row["prompt"], row["chosen"]) == ("1 + 1 =", " Yes 5.")
    [whole] = rows(out, "implicit_text")
    assert whole["rejected"] == "1 + 1 = No 5."
    [thumb] = rows(out, "unpaired_text")
    assert (thumb["completion"], thumb["label"]) == (" So 8.", False)


def test_implicit_has_whole_conversations(out):
    roles = {tuple(m["role"] for m in row["chosen"]) for row in rows(out, "implicit")}
    assert roles == {("user", "assistant")}


def test_rankings_keep_their_tiers(out):
    [row] = rows(out, "rankings")
    assert row["tiers"] == [[2], [0, 1]]
    assert [c[0]["content"] for c in row["candidates"]] == ["a", "b", "c"]


def test_the_card_lists_only_what_is_there(out):
    card = (out / "README.md").read_text()
    head = card.split("---")[1]
    assert "license: cc-by-4.0" in head
    assert 'pretty_name: "Tea: *or* coffee"' in head
    assert "{split: test, path: preference/test-*.parquet}" in head
    assert "unpaired/test" not in head
    assert "rankings_text" not in card
    assert "undesirable_weight=1" in card
    assert r"Tea: \*or\* coffee" in card
    assert "0123456789ab" in card


def test_the_same_snapshot_gives_the_same_bytes(out, tmp_path):
    export_dataset(tmp_path / "snap", tmp_path / "again", title="Tea: *or* coffee", license="cc-by-4.0")
    files = [p.relative_to(out) for p in out.rglob("*") if p.is_file()]
    assert len(files) > 8
    assert all((out / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in files)
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["files"]) == {str(f) for f in files} - {"manifest.json"}


def test_an_older_export_is_replaced_and_anything_else_is_not(out, tmp_path):
    export_dataset(tmp_path / "snap", out, title="Second", license=None)
    card = (out / "README.md").read_text()
    assert "No licence was chosen" in card
    assert {p.name for p in tmp_path.iterdir()} == {"snap", "out"}
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="not an export"):
        export_dataset(tmp_path / "snap", tmp_path / "mine", title="x", license=None)
    kept = {p.name: p.read_bytes() for p in (tmp_path / "snap").iterdir()}
    with pytest.raises(UsageError, match="snap exists and is not an export"):
        export_dataset(tmp_path / "snap", tmp_path / "snap", title="x", license=None)
    assert {p.name: p.read_bytes() for p in (tmp_path / "snap").iterdir()} == kept
    (tmp_path / "mine" / "manifest.json").write_text("[not json")
    with pytest.raises(UsageError, match="not an export"):
        export_dataset(tmp_path / "snap", tmp_path / "mine", title="x", license=None)
    with pytest.raises(UsageError, match="license"):
        export_dataset(tmp_path / "snap", tmp_path / "new", title="x", license="evil: yes\n")


def test_load_dataset_reads_every_config(out, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    for config, count in ROWS.items():
        found = load_dataset(str(out), config, cache_dir=str(tmp_path / "cache"))
        assert sum(split.num_rows for split in found.values()) == count
    assert set(load_dataset(str(out), cache_dir=str(tmp_path / "cache"))) == {"train", "test"}


ROUND = [
    ("preference", "trl_preference", 3),
    ("preference_text", "trl_preference", 1),
    ("implicit", "trl_implicit", 3),
    ("unpaired", "trl_unpaired", 2),
    ("unpaired_text", "trl_unpaired", 1),
    ("demonstrations", "demonstrations", 1),
    ("rankings", "rankings", 1),
]


@pytest.mark.parametrize(("config", "dialect", "count"), ROUND)
def test_what_goes_out_comes_in_again(out, bring_in, config, dialect, count):
    """The same prompts, answers and labels, in the same form."""
    done = bring_in(next((out / config).glob("train-*.parquet")))
    assert (done.report["dialect"], done.report["accepted"], done.report["rejected"]) == (dialect, count, 0)
    for here, row in zip(rows(out, config), done.rows, strict=True):
        assert row["form"] == ("text" if config.endswith("_text") else "chat")
        answers = [c["messages"] for c in row["candidates"]]
        [vote] = row["judgements"] or [{"payload": {}}]
        if "choice" in vote["payload"]:
            chosen, rejected = (answers[at] for at in (vote["payload"]["choice"], 1 - vote["payload"]["choice"]))
            assert (plain(row["prompt"] + chosen), plain(row["prompt"] + rejected)) == whole(here, "chosen", "rejected")
        elif "label" in vote["payload"]:
            assert (plain(row["prompt"] + answers[0]), vote["payload"]["label"]) == (
                *whole(here, "completion"),
                here["label"],
            )
        elif "tiers" in vote["payload"]:
            told = [sorted(answers[at][0]["content"] for at in tier) for tier in vote["payload"]["tiers"]]
            assert told == [["c"], ["a", "b"]]


def plain(messages: list[dict]) -> str:
    return "|".join(m["content"] for m in messages)


def whole(row: dict, *columns: str) -> tuple[str, ...]:
    def text(value: object) -> list[str]:
        return [value] if isinstance(value, str) else [m["content"] for m in value]

    return tuple("|".join(text(row.get("prompt", [])) + text(row[c])) for c in columns)
