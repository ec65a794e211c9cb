"""The rows of a snapshot that a method trains on, as plain dictionaries. Leaves out what becomes of them (`units`)."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workbench.errors import EngineError
from workbench.training.methods import METHODS


def files(snapshot: Path, method: str) -> list[Path]:
    """The Parquet files that hold the method's data; a reward model learns from rankings beside pairs."""
    if not snapshot.is_dir():
        raise EngineError(f"snapshot {snapshot} is not there any more: freeze one and start a new run")
    data = METHODS[method].data
    wanted = [snapshot / f"{name}.parquet" for name in ((data, "rankings") if method == "rm" else (data,))]
    found = [path for path in wanted if path.exists()]
    if not found:
        raise EngineError(f"snapshot {snapshot.name} has no {data}: label some, or choose another method")
    return found


def read(snapshot: Path, method: str) -> list[dict[str, Any]]:
    tables = {path.stem: pq.read_table(path).to_pylist() for path in files(snapshot, method)}
    if "rankings" in tables:
        return _whole(tables.get("pairs", []), tables["rankings"])
    return tables[METHODS[method].data]


def _whole(pairs: list[dict[str, Any]], rankings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rankings in place of the pairs that were made of them; those pairs only tell how sure each comparison is."""
    parts: dict[str, dict[tuple[str, str], dict[str, Any]]] = {row["item_key"]: {} for row in rankings}
    alone = []
    for row in pairs:
        if row["item_key"] in parts:
            parts[row["item_key"]][str(row["chosen"]), str(row["rejected"])] = row
        else:
            alone.append(row)
    return alone + [row | {"pairs": parts[row["item_key"]]} for row in rankings]
