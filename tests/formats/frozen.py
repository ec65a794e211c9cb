"""A small snapshot folder with every kind of row, made by hand in the store's own columns."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.store.frozen_rows import SCHEMAS

HASH = "0123456789ab" + "0" * 52


def said(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def row(at: int, *, form: str = "chat", split: str = "train", **columns: Any) -> dict[str, Any]:
    name = hashlib.sha256(str(at).encode()).hexdigest()
    common = {"id": name[:16], "group_id": name, "item_key": name, "form": form, "split": split, "weight": 1.0}
    return {**common, "source": "label", "prompt": said("user", f"Question {at}?"), **columns}


def pair(at: int, **rest: Any) -> dict[str, Any]:
    votes = {"tie": False, "strength": 2.0, "p_share": None, "p_posterior": None, "n_votes": 2, "n_agree": 2}
    answers = {"chosen": said("assistant", f" Yes {at}."), "rejected": said("assistant", f" No {at}.")}
    return row(at, **{**votes, **answers, **rest})


def thumb(at: int, label: bool, **rest: Any) -> dict[str, Any]:
    told = {"label": label, "p": float(label), "n_votes": 1}
    return row(at, completion=said("assistant", f" So {at}."), **told, **rest)


TABLES = {
    "pairs": [
        *(pair(at) for at in range(3)),
        pair(3, split="test"),
        pair(4, tie=True),
        pair(5, form="text", prompt=said("user", "1 + 1 =")),
    ],
    "thumbs": [thumb(6, True), thumb(7, False), thumb(8, False, form="text")],
    "demonstrations": [row(9, completion=said("assistant", "A good answer."))],
    "rankings": [
        row(10, candidates=[said("assistant", x) for x in "abc"], tiers=[[2], [0, 1]], n_votes=1),
    ],
    "prompts": [row(at) for at in range(11)],
}


def snapshot(folder: Path) -> Path:
    return write(folder, TABLES)


def write(folder: Path, tables: dict[str, list[dict[str, Any]]]) -> Path:
    """A snapshot folder with these rows."""
    folder.mkdir()
    for name, schema in SCHEMAS.items():
        kept = pa.schema([field for field in schema if field.name != "twin"])
        rows = [{c: row.get(c) for c in kept.names} for row in sorted(tables.get(name, []), key=lambda row: row["id"])]
        pq.write_table(pa.Table.from_pylist(rows, kept), folder / f"{name}.parquet")
    policy = {"eval_share": 0.1, "purposes": ["label"], "both_bad_to_thumbs": True}
    imports = [{"file": "a_b.jsonl", "dialect": "prompts", "accepted": 11, "rejected": 0}]
    told = {"hash": HASH, "policy": policy, "imports": imports, "left_out": {"hidden": 1}, "seq": 20}
    (folder / "manifest.json").write_text(json.dumps(told))
    return folder
