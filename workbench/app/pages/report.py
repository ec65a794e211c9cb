"""What reading a file brought, for the eye: counts, three rows, what was left out and why. Leaves out the deciding."""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.app import words
from workbench.app.house import House
from workbench.app.pages import parts
from workbench.jobs.folder import read_json
from workbench.store import imports

REJECTS, LONG = 100, 600
COLUMNS = ("line", "column", "reason", "excerpt")


def folder_of(house: House, number: int) -> Path:
    return house.home / "imports" / f"{number:06d}"


def undecided(house: House, project: int) -> tuple[int, dict[str, Any]] | None:
    """The newest import of the project that was read and neither stored nor discarded."""
    stored = {done["id"] for done in imports.all(house.store, project)}
    for folder in sorted((house.home / "imports").glob("[0-9]*/report.json"), reverse=True):
        number, found = int(folder.parent.name), read_json(folder)
        config = read_json(folder.with_name("config.json"), {})
        if number not in stored and config.get("project") == project and found["items"] and not found["error"]:
            return number, found
    return None


def verdict(lang: str, found: Mapping[str, Any]) -> str:
    """How the file was read and how much of it can come in, or why nothing can."""
    sure = f"{found['scores'].get(found['dialect'], 1):.0%}"
    if found["error"]:
        return parts.line(found["error"], "bad")
    if found["dialect"]:
        return parts.line(words.say(lang, f"data.verdict{'' if found['items'] else '.none'}", sure=sure, **found))
    columns, scores = ", ".join(found["columns"]), ", ".join(f"{k} {v:.0%}" for k, v in found["scores"].items())
    text = words.say(lang, "data.needs_format", file=found["file"], columns=columns)
    return parts.line(text, "bad") + (parts.line(words.say(lang, "data.unclear", scores=scores)) if scores else "")


def details(lang: str, found: Mapping[str, Any], rejects: Path) -> str:
    """The first items, and the lines that stay out."""
    return (
        parts.line(words.say(lang, "data.preview"), "quiet")
        + "".join(row(item) for item in found["preview"])
        + left_out(lang, found, rejects)
    )


def row(item: Mapping[str, Any]) -> str:
    """A prompt with its answers, as plainly as they will be labelled."""
    asked = "\n\n".join(message["content"] for message in item["prompt"])
    answers = ("\n\n".join(m["content"] for m in candidate["messages"]) for candidate in item["candidates"])
    return parts.exhibit(cut(asked), map(cut, answers))


def cut(text: str) -> str:
    return text if len(text) <= LONG else text[:LONG] + " …"


def left_out(lang: str, found: Mapping[str, Any], rejects: Path) -> str:
    """Lines that will not come in, the first hundred of them."""
    if not found["rejected"]:
        return ""
    head = [words.say(lang, f"data.reject.{key}") for key in COLUMNS]
    with rejects.open(encoding="utf-8") as lines:
        first = [json.loads(each) for each in islice(lines, REJECTS)]
    rows = [(r["line"], r["column"] or "", words.say(lang, f"data.reason.{r['reason']}"), r["excerpt"]) for r in first]
    return parts.line(words.say(lang, "data.left_out", n=found["rejected"]), "bad") + parts.table(head, rows)
