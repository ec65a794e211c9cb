"""Acts on data: import, snapshot, export. A file is parsed in a child; nothing is stored before it is confirmed."""

import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from workbench.app.acts.act import act
from workbench.app.acts.children import push_folder
from workbench.app.house import House
from workbench.errors import InputError, NotFound, UsageError
from workbench.formats import hub
from workbench.jobs import process
from workbench.jobs.folder import read_json, write_json
from workbench.store import batches, imports, items, judgements
from workbench.store import snapshots as frozen

PARSE_SECONDS = 3600
TASKS = ["pair", "thumb"]


@act("lead")
def import_file(
    house: House,
    actor: str,
    *,
    project: int | str | None,
    path: Path,
    name: str | None = None,
    dialect: str | None = None,
    mapping: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Parse a file into imports/<n>/: the report says what would be stored. No project: for one that is made later."""
    found = house.project(project) if project is not None else None
    if not path.is_file():
        raise NotFound(f"{path} is a folder: name one file in it" if path.is_dir() else f"no file {path}")
    number, folder = imports.next_folder(house.store)
    config = {"path": str(path.resolve()), "name": name or path.name, "dialect": dialect, "mapping": mapping}
    write_json(
        folder / "config.json", {**config, "tasks": found.tasks if found else TASKS, "project": found and found.id}
    )
    pid, known = process.start("workbench.formats.worker", ["--job", str(folder)], folder)
    end = time.monotonic() + PARSE_SECONDS
    while process.alive(pid, known) and time.monotonic() < end:
        time.sleep(0.02)
    late = process.alive(pid, known)
    process.stop(pid, known, grace=0)
    report = read_json(folder / "report.json")
    if report is None:
        why = (
            f"took longer than {PARSE_SECONDS // 60} minutes: cut it into smaller files"
            if late
            else (f"was ended by the system, perhaps for its 2 GB of memory or its time; see {folder / 'log.txt'}")
        )
        raise InputError(f"{config['name']}: reading it {why}")
    return {"import": number, "report": report}


@act("lead")
def import_confirm(
    house: House, actor: str, *, project: int | str, number: int, accept_rejects: bool = False
) -> dict[str, Any]:
    """Store what `import_file` parsed; refused while the report asks for more than consent to its rejects."""
    found = house.project(project)
    folder = _parsed(house, found.id, number)
    report = read_json(folder / "report.json")
    if report["error"]:
        raise InputError(report["error"])
    if report["needs"] and not (accept_rejects and report["needs"] == "--accept-rejects"):
        raise UsageError(f"{report['file']}: not stored yet; it needs {report['needs']}")
    stored = batches.append_batch(house.store, actor, folder, found.id)
    house.queue.refresh(found.id)
    return stored


@act("lead")
def import_discard(house: House, actor: str, *, project: int | str | None, number: int) -> dict[str, Any]:
    """Put a parsed import into the bin. Never one that is being stored, or was: the database is rebuilt from it."""
    own = house.project(project).id if project is not None else None
    with house.store.bulk:
        imports.discard(house.store, _parsed(house, own, number))
    return {"discarded": number}


def _parsed(house: House, project: int | None, number: int) -> Path:
    """The folder of an import that was parsed for this project, or for none yet, and that nobody has stored."""
    folder = house.home / "imports" / f"{number:06d}"
    asked = read_json(folder / "config.json", {"project": 0})["project"]
    if not (folder / "report.json").exists() or asked not in (None, project):
        raise NotFound(f"no parsed import {number} in this project")
    if any(done["id"] == number for done in imports.all(house.store)):
        raise UsageError(f"import {number} is stored already")
    return folder


@act("lead")
def data(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    """What the project holds, and how much of it each kind of method could use."""
    found = house.project(project)
    kinds = {0: "prompt", 1: "thumb", 2: "pair"}
    count = Counter(kinds.get(row.n_candidates, "rank") for row in items.iter_ids(house.store, found.id))
    votes = judgements.current(house.store, found.id)
    ready = frozen.tally(house.store, found.id)
    units = {name: counts["train"] + counts["test"] for name, counts in ready.items()}
    ties = units.get("ties", 0)
    return {
        "project": found.id,
        "items": {task: count[task] for task in ("pair", "thumb", "rank", "prompt")},
        "labels": dict(Counter(vote["kind"] for vote in votes)),
        "units": units | {"pairs": units["pairs"] - ties, "ties": ties},
        "imports": imports.all(house.store, found.id),
        "snapshots": snapshots(house, actor, project=found.id)["snapshots"],
    }


@act("lead")
def snapshot(
    house: House,
    actor: str,
    *,
    project: int | str,
    axis: str = "overall",
    both_bad_to_thumbs: bool = True,
    pairs_to_thumbs: bool = False,
    rankings: Literal["all", "adjacent", "best_vs_rest"] = "all",
    edits: bool = True,
    without: list[str] = [],
    min_agreement: float = 0.0,
    min_strength: float = 0.0,
) -> dict[str, Any]:
    """Freeze what holds now. The same labels and policy give the same snapshot.

    axis            the labels of this axis
    rankings        which pairs a ranking gives
    edits           better texts that annotators wrote win against what they improve
    without         annotators whose labels are left out
    min_agreement   least share of votes for the side taken, min_strength least mean strength
    """
    found = house.project(project)
    before = {s.hash for s in frozen.all(house.store, found.id)}
    made = frozen.freeze(
        house.store,
        actor,
        found.id,
        eval_share=found.eval_share,
        axis=axis,
        both_bad_to_thumbs=both_bad_to_thumbs,
        pairs_to_thumbs=pairs_to_thumbs,
        rankings=rankings,
        edits=edits,
        without=without,
        min_agreement=min_agreement,
        min_strength=min_strength,
    )
    return {"hash": made.hash, "rows": made.rows, "new": made.hash not in before}


@act("lead")
def snapshots(house: House, actor: str, *, project: int | str) -> dict[str, Any]:
    found = house.project(project)
    return {"snapshots": [{"hash": s.hash, "rows": s.rows} for s in frozen.all(house.store, found.id)]}


@act("lead")
def export_dataset(
    house: House,
    actor: str,
    *,
    project: int | str,
    snapshot: str | None = None,
    license: str | None = None,
    push: str | None = None,
    public: bool = False,
    out: Path | None = None,
) -> dict[str, Any]:
    """A Hub folder of one snapshot (a new one unless named), and its upload when `push` names a repository."""
    found = house.project(project)
    made = frozen.get(house.store, found.id, snapshot or globals()["snapshot"](house, actor, project=found.id)["hash"])
    folder = out or house.home / "exports" / f"dataset-{made.hash}"
    rows = hub.export_dataset(made.folder, folder, title=found.name, license=license)
    url = push_folder(house, folder, push, kind="dataset", public=public, tag=f"snapshot-{made.hash}") if push else None
    return {"folder": str(folder), "rows": rows, "snapshot": made.hash, "pushed": url}
