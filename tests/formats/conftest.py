"""Fixtures of the room: the real files when they are here, and one import in a real child."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from workbench.formats.worker import Reader

sys.path.insert(0, str(Path(__file__).parent))  # fake_hub and frozen are shared by the tests of this room
JSON_COLUMNS = ("prompt", "candidates", "tools", "tags", "origin", "judgements")


class Imported:
    """What the child left in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = json.loads((folder / "report.json").read_text())
        rejects = folder / "rejects.jsonl"
        self.rejects = [json.loads(line) for line in rejects.read_text().splitlines()] if rejects.exists() else []

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows = pq.read_table(self.folder / "batch.parquet").to_pylist()
        return [row | {key: json.loads(row[key]) for key in JSON_COLUMNS if row[key] is not None} for row in rows]

    def conserved(self) -> bool:
        report = self.report
        counted = report["accepted"] + report["rejected"] == report["lines"]
        return counted and len(self.rejects) == report["rejected"] == sum(report["reasons"].values())


Import = Callable[..., Imported]


@pytest.fixture
def bring_in(tmp_path: Path) -> Import:
    """Import a file, or bytes under a name: here, or with `child` in a process of its own as the server does."""

    def run(what: Path | bytes | str, name: str | None = None, *, child: bool = False, **config: Any) -> Imported:
        folder = tmp_path / f"{len(list(tmp_path.iterdir())) + 1:06d}"
        folder.mkdir()
        if not isinstance(what, Path):
            path = folder / (name or "rows.jsonl")
            path.write_bytes(what.encode() if isinstance(what, str) else what)
            what = path
        full = {"path": str(what), "name": name or what.name, "dialect": None, "mapping": None, "project": 1}
        (folder / "config.json").write_text(json.dumps(full | {"tasks": ["pair", "thumb"]} | config))
        if child:
            command = [sys.executable, "-m", "workbench.formats.worker", "--job", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
        else:
            (folder / "report.json").write_text(json.dumps(Reader(folder).run()))
        return Imported(folder)

    return run
