"""The words of an import's report, and which import waits for a decision."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench import formats
from workbench.app import words
from workbench.app.pages import report
from workbench.store import imports, projects
from workbench.store.db import Store

FORMATS = Path(formats.__path__[0])
REASONS = {r for path in FORMATS.rglob("*.py") for r in re.findall(r'Reject\(\s*"([a-z_]+)"', path.read_text())}
FOUND = {"file": "a.jsonl", "dialect": None, "scores": {}, "columns": ["q"], "lines": 2, "accepted": 0, "rejected": 0,
         "items": 0, "judgements": 0, "preview": [], "error": None, "needs": "--dialect"}  # fmt: skip


@pytest.mark.parametrize("reason", sorted(REASONS))
@pytest.mark.parametrize("lang", words.LANGS)
def test_every_reason_has_words(lang: str, reason: str) -> None:
    assert words.say(lang, f"data.reason.{reason}") != f"data.reason.{reason}"


def test_a_verdict_names_the_file_and_the_way_out() -> None:
    assert "Columns found: q" in report.verdict("en", FOUND)
    assert "trl &lt;1&gt;" in report.verdict("en", {**FOUND, "error": "trl <1>"})
    assert "no line can come in" in report.verdict("en", {**FOUND, "dialect": "trl_preference"})


def test_the_rows_of_a_preview_are_cut(tmp_path: Path) -> None:
    long = {"prompt": [{"content": "x" * 700}], "candidates": []}
    shown = report.details("en", {**FOUND, "preview": [long]}, tmp_path / "rejects.jsonl")
    assert "x" * 600 + " …" in shown
    assert "x" * 601 not in shown


def test_the_newest_undecided_import_of_the_project_is_taken_up(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        mine, other = (projects.create(store, "ada", name).id for name in ("mine", "other"))
        house = SimpleNamespace(store=store, home=store.home)
        for project, items in ((mine, 3), (mine, 0), (other, 3)):
            _, folder = imports.next_folder(store)
            (folder / "config.json").write_text(json.dumps({"project": project}))
            (folder / "report.json").write_text(json.dumps({**FOUND, "items": items}))
        number, found = report.undecided(house, mine)
        assert (number, found["items"]) == (1, 3)
