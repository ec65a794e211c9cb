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

REJECTS = 100
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


def look(lang: str, found: Mapping[str, Any], rejects: Path | None) -> str:
    """The report whole."""
    text = parts.Html(parts.line(verdict(lang, found), "bad" if found["error"] or not found["items"] else ""))
    if found["scores"] and not found["dialect"]:
        sure = ", ".join(f"{name} {score:.0%}" for name, score in found["scores"].items())
        text += parts.line(words.say(lang, "data.unclear", scores=sure))
    if found["preview"]:
        text += parts.line(words.say(lang, "data.preview"), "quiet")
        text += "".join(row(item) for item in found["preview"])
    return text + left_out(lang, found, rejects)


def verdict(lang: str, found: Mapping[str, Any]) -> str:
    if found["error"]:
        return found["error"]
    if found["needs"] == "--dialect":
        return words.say(lang, "data.needs_format", file=found["file"], columns=", ".join(found["columns"]))
    sure = f"{found['scores'].get(found['dialect'], 1):.0%}"
    return words.say(lang, "data.verdict" if found["items"] else "data.verdict.none", **{**found, "sure": sure})


def row(item: Mapping[str, Any]) -> str:
    """A prompt with its answers, as plainly as they will be labelled."""
    asked = "\n\n".join(message["content"] for message in item["prompt"])
    answers = ("\n\n".join(m["content"] for m in candidate["messages"]) for candidate in item["candidates"])
    return parts.exhibit(asked, answers)


def left_out(lang: str, found: Mapping[str, Any], rejects: Path | None) -> str:
    """Lines that will not come in, the first hundred of them."""
    if not found["rejected"] or rejects is None:
        return ""
    head = [words.say(lang, f"data.reject.{key}") for key in COLUMNS]
    with rejects.open(encoding="utf-8") as lines:
        first = [json.loads(each) for each in islice(lines, REJECTS)]
    rows = [(r["line"], r["column"] or "", words.say(lang, f"data.reason.{r['reason']}"), r["excerpt"]) for r in first]
    return parts.line(words.say(lang, "data.left_out", n=found["rejected"]), "bad") + parts.table(head, rows)
