"""The child that reads one file into imports/<n>/: batch.parquet, rejects.jsonl, report.json. Stores nothing.

`python -m workbench.formats.worker --job imports/<n>`; config.json names path, name, dialect, mapping, tasks, project.
One full reading serves the preview and the import. The child has no network use, 2 GB of memory and a time limit.
"""

import argparse
import json
import os
import resource
import traceback
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

from workbench.errors import InputError, UsageError, WorkbenchError
from workbench.formats import batch, registry
from workbench.formats.containers import Line, rows
from workbench.formats.dialects import columns
from workbench.formats.dialects.llamafactory import Columns
from workbench.formats.reading import Reading
from workbench.formats.render import rendered
from workbench.formats.row import Row
from workbench.formats.strict import Reject, excerpt
from workbench.jobs.folder import read_json, write_json
from workbench.schema import Item, Json, messages_to_json

MEMORY = 2 * 2**30
FILES = 256
WRITTEN = 40 * 10**9
SECONDS_PER_100_MB = 600
SAMPLE, SPREAD, EVERY = 25, 5000, 200
MANY, TOO_MANY = 50, 0.20
SHOWN = 3
IDENTITIES = ("id", "prompt_id", "key", "idx", "question_id", "conversation_id", "message_tree_id")


def limits(size: int) -> None:
    """What this process may use, whatever the file says."""
    seconds = SECONDS_PER_100_MB * (1 + size // 10**8)
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_FSIZE, WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    os.umask(0o077)


class Reader:
    """One file on its way through a dialect, with what was counted."""

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "config.json")
        self.folder, self.number = folder, int(folder.name)
        self.path, self.name, self.project = Path(config["path"]), config["name"], config["project"]
        self.tasks, self.dialect, self.mapping = config["tasks"], config["dialect"], config["mapping"]
        self.columns, self.at = Columns(self.path, self.name), 0
        self.report: dict[str, Json] = {
            **{"file": self.name, "dialect": None, "scores": {}, "columns": []},
            **dict.fromkeys(("lines", "accepted", "rejected", "items", "judgements"), 0),
            **{"reasons": {}, "notes": {}, "preview": [], "error": None, "needs": None},
        }

    def run(self) -> dict[str, Json]:
        """The report. A file that cannot be read at all has `error`; one that the user must decide about, `needs`."""
        try:
            self._run()
        except MemoryError:
            self.report["error"] = f"{self.name}: reading it needs more than 2 GB of memory; cut it into smaller files"
        except OSError as error:
            self.report["error"] = f"{self.name}: reading stopped, nothing was stored ({error.strerror or error})"
        except WorkbenchError as error:
            self.report["error"] = error.message
        except Exception as error:
            traceback.print_exc()
            where = f", line {self.at}" if self.at else ""
            self.report["error"] = f"{self.name}{where}: a fault of the program, {type(error).__name__}: {error}"
        return self.report

    def _run(self) -> None:
        sample = self._sample()
        self.report["columns"] = list(dict.fromkeys(key for row in sample for key in row.fields))
        self.report["scores"] = registry.scores(sample) if sample else {}
        self.report["dialect"] = self._chosen()
        if sample and self.report["dialect"] is None:
            self.report["needs"] = "--dialect"
            return
        self._read_all()
        if not sample and not self.report["error"]:
            self.report["error"] = f"{self.name}: no line is a JSON object or a row ({self._reasons()})"

    def _chosen(self) -> str | None:
        if self.mapping is not None:
            columns.check(self.mapping)
            return "columns"
        if self.dialect is None:
            return registry.winner(self.report["scores"])
        if self.dialect not in registry.DIALECTS or self.dialect == "columns":
            known = ", ".join(name for name in registry.DIALECTS if name != "columns")
            raise UsageError(f"no dialect {self.dialect!r}; there are: {known}; or map the columns")
        return self.dialect

    def _sample(self) -> list[Row]:
        """25 rows from the start, 25 spread over the next 5,000."""
        first = islice(enumerate(rows(self.path, self.name)), SAMPLE + SPREAD)
        lines = [line for at, line in first if at < SAMPLE or (at - SAMPLE) % EVERY == 0]
        if not lines:
            raise InputError(f"{self.name}: the file has no rows")
        return [self._row(line) for line in lines if line.row is not None]

    def _row(self, line: Line) -> Row:
        return self.columns.row(line.row, line.cells)

    def _read_all(self) -> None:
        report, reasons, notes = self.report, Counter[str](), Counter[str]()
        writer = batch.BatchWriter(self.folder / "batch.parquet")
        with (self.folder / "rejects.jsonl").open("w", encoding="utf-8") as rejects:
            for line in rows(self.path, self.name):
                report["lines"], self.at = report["lines"] + 1, line.number
                try:
                    self._accept(line, writer, notes)
                    report["accepted"] += 1
                except Reject as reject:
                    report["rejected"] += 1
                    reasons[reject.reason] += 1
                    rejects.write(json.dumps(self._rejected(line, reject), ensure_ascii=False) + "\n")
        writer.close()
        report |= {"items": len(writer.keys), "judgements": writer.judgements}
        report |= {"reasons": dict(reasons.most_common()), "notes": dict(notes.most_common())}
        if report["lines"] >= MANY and report["rejected"] > TOO_MANY * report["lines"]:
            report["needs"] = "--accept-rejects"

    def _accept(self, line: Line, writer: batch.BatchWriter, notes: Counter[str]) -> None:
        """A row is taken whole or not at all."""
        if line.reject:
            raise line.reject
        row = self._row(line)
        made = list(self._items(row, line.number))
        for item, judgements in made:
            if len(self.report["preview"]) < SHOWN:
                self.report["preview"].append(_shown(item))
            writer.add(item, judgements)
        notes.update({*row.notes, *(["replacement_character"] if any(map(_broken, made)) else [])})

    def _items(self, row: Row, number: int) -> Iterator[Any]:
        for reading in self._read(row):
            origin = {"import": self.number, "file": self.name, "line": number, "dialect": self.report["dialect"]}
            if name := identity(row):
                origin["id"] = name
            for item, judgements in batch.items(reading, self.project, self.tasks, origin):
                yield rendered(item), judgements

    def _read(self, row: Row) -> list[Reading]:
        if self.mapping is not None:
            return columns.read(row, self.mapping)
        return registry.DIALECTS[self.report["dialect"]].read(row)

    def _rejected(self, line: Line, reject: Reject) -> dict[str, Json]:
        found = line.row if reject.found is None else reject.found
        place = {"file": self.name, "line": line.number, "column": reject.column}
        return place | {"reason": reject.reason, "excerpt": excerpt(found)}

    def _reasons(self) -> str:
        return ", ".join(f"{reason} {count}" for reason, count in self.report["reasons"].items())


def identity(row: Row) -> str | None:
    """What the source calls this row."""
    found = next((row.get(key) for key in IDENTITIES if key in row), None)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None


def _broken(made: tuple[Item, Any]) -> bool:
    """A text holds U+FFFD: something was lost before it came here. It is kept as it is."""
    item = made[0]
    return any("\ufffd" in m.content for m in (*item.prompt, *(m for c in item.candidates for m in c.messages)))


def _shown(item: Item) -> Json:
    """An item as the preview shows it."""
    candidates = [{"messages": messages_to_json(c.messages), "source": c.source} for c in item.candidates]
    return {"prompt": messages_to_json(item.prompt), "candidates": candidates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=Path, required=True)
    folder = parser.parse_args().job
    reader = Reader(folder)
    limits(reader.path.stat().st_size)
    write_json(folder / "report.json", reader.run())


if __name__ == "__main__":
    main()
