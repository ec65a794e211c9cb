"""Acts of a lead on figures and people: how far labels can be trusted, who labels how. Leaves out the arithmetic."""

import csv
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from workbench.app.acts.act import act
from workbench.app.acts.review import Axis, axis_of
from workbench.app.csv_text import harmless
from workbench.app.house import House
from workbench.errors import NotFound
from workbench.jobs.folder import write_json
from workbench.labelling.worth import projected
from workbench.schema import Json
from workbench.store import worth
from workbench.store.db import Store
from workbench.store.projects import Project

LONGEST = 2000  # characters of a message
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]


@act("lead")
def review_report(house: House, actor: str, *, project: int | str, axis: str = Axis) -> dict[str, Any]:
    """How far labels can be trusted: agreement, noise, bias, people; how long the rest takes, what more brings."""
    found = axis_of(house.project(project), axis)
    told = reported(house.store, found.id, axis)
    counts, pace = house.counted(actor, found, axis), told["median_s"]
    labels = [house.queue.progress(actor, found.id, task, axis) for task in found.tasks]  # a text takes longer
    hours = None if pace is None else sum(line["needed"] - line["done"] for line in labels) * pace / 3600
    files = {str(made["id"]): made["file"] for made in house.store.latest("imports", "project = ?", found.id)}
    imported = {f"{files.get(number, '')} ({number})": figures for number, figures in told["imported"].items()}
    progress = {"done": counts["done"], "needed": counts["needed"], "hours_left": hours}
    return told | {"imported": imported, "progress": progress, "worth": measured(house, found.id, axis)}


@act("lead")
def review_person(house: House, actor: str, *, project: int | str, annotator: str, axis: str = Axis) -> dict[str, Any]:
    """One annotator: the row of the report if there are labels, days, agreement with others, messages, standing."""
    found = axis_of(house.project(project), axis)
    told = reported(house.store, found.id, axis)
    row = next((person for person in told["people"] if person["annotator"] == annotator), None)
    stands = house.queue.standing(found.id)
    shared = told["confusion"]
    others = []
    if annotator in shared["people"]:
        at = shared["people"].index(annotator)
        columns = zip(shared["people"], shared["n"][at], shared["agreement"][at], strict=True)
        others = [{"annotator": who, "n": n, "agreement": share} for who, n, share in columns if who != annotator]
    return {
        "person": row,
        "days": [day for day in told["days"] if day["annotator"] == annotator],
        "others": others,
        "messages": stands.messages(annotator),
        "open": _labels(house, found, annotator),
        "paused": annotator in stands.paused,
        "calibration": "passed" if annotator in stands.calibrated else "again" if annotator in stands.again else None,
    }


@act("lead")
def review_pause(house: House, actor: str, *, project: int | str, annotator: str, on: bool) -> dict[str, Any]:
    """Give somebody no more items here, or let them on."""
    with house.store.lock:  # an import may be reading anew how people stand
        house.queue.pause(actor, house.project(project).id, annotator, on=on)
    return {"annotator": annotator, "paused": on}


@act("lead")
def review_calibrate(
    house: House, actor: str, *, project: int | str, annotator: str, state: Literal["passed", "again"]
) -> dict[str, Any]:
    """Let somebody answer the known items again before going on, or let them pass."""
    house.queue.calibration(actor, house.project(project).id, annotator, state)
    return {"annotator": annotator, "calibration": state}


@act("lead")
def review_message(house: House, actor: str, *, project: int | str, annotator: str, text: Text) -> dict[str, Any]:
    """Write to somebody who labels here: the Label page shows it until it is read."""
    found = house.project(project)
    if not _labels(house, found, annotator):
        raise NotFound(f"{annotator}: nobody of this name labels in {found.name}")
    with house.store.lock:  # an import may be reading anew how people stand
        return {"annotator": annotator, "id": house.queue.standing(found.id).message(actor, annotator, text)}


def _labels(house: House, project: Project, name: str) -> bool:
    """May somebody of this name label here?"""
    return house.accounts.role(name) is not None and house.sees(name, project)


@act("lead")
def review_export(house: House, actor: str, *, project: int | str, axis: str = Axis) -> dict[str, Any]:
    """Write the report: one JSON file with all of it, one CSV file per table."""
    found = axis_of(house.project(project), axis)
    told = review_report(house, actor, project=found.id, axis=axis)
    folder = house.home / "exports" / f"review-{found.id}-{axis}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", told)
    files = ["report.json", *(name for name, rows in tables_of(told).items() if write_csv(folder / name, rows))]
    return {"folder": str(folder), "files": files}


def tables_of(told: dict[str, Json]) -> dict[str, list[dict[str, Json]]]:
    """The report as flat tables by file name; `agreement.value`, `agreement.low` and so on beside each other."""
    shared = told["confusion"]
    pairs = [
        {"annotator": one, "other": other, "n": shared["n"][i][j], "agreement": shared["agreement"][i][j]}
        for i, one in enumerate(shared["people"])
        for j, other in enumerate(shared["people"])
        if i < j
    ]
    agreement = {"": told["agreement"], **told["imported"]}
    figures = [{"import": of, "figure": name} | est for of, group in agreement.items() for name, est in group.items()]
    noise = [{"figure": name} | est for name, est in told["noise"].items() if name != "repeat_sides"]
    bias = [{"figure": name} | told["bias"][name] for name in ("side", "length")]
    flat = {"agreement": figures, "noise": noise, "bias": bias, "style": told["bias"]["style"], "confusion": pairs}
    flat["progress"] = [told["progress"]]
    if found := told["worth"]:
        flat |= {"learning": found["points"], "worth": found["after"]}
    lists = {name: told[name] for name in ("weeks", "versions", "tags", "people", "days")}
    return {f"{name}.csv": [flattened(row) for row in rows] for name, rows in (flat | lists).items() if listed(rows)}


def listed(rows: Json) -> bool:
    """Not the reason why there are none."""
    return isinstance(rows, list)


def flattened(row: dict[str, Json]) -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{part}": cell for part, cell in value.items()}
        else:
            flat[name] = " ".join(map(str, value)) if isinstance(value, list) else harmless(value)
    return flat


def write_csv(path: Path, rows: list[dict[str, Json]]) -> bool:
    """False for a table without rows: nothing is written."""
    if rows:
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            table.writeheader()
            table.writerows(rows)
    return bool(rows)


def measured(house: House, project: int, axis: str) -> dict[str, Any] | None:
    """What more labels would bring: what was found last, with the hours that labels take now, and eps."""
    found = worth.noted(house.store, project, axis)
    if found is None:
        return None
    report = reported(house.store, project, axis)
    after = projected(found["law"], found["points"][-1]["n"], report["median_s"]) if found["predictable"] else []
    return found | {"after": after, "eps": report["noise"]["eps"]}


def reported(store: Store, project: int, axis: str) -> dict[str, Any]:
    """The report, kept until somebody judges something."""
    with store.cursor() as cur:
        newest = cur.execute("SELECT max(seq) FROM judgements").fetchone()[0]
    return _reported(store, project, axis, newest)


@lru_cache(8)
def _reported(store: Store, project: int, axis: str, newest: int) -> dict[str, Any]:
    from workbench.labelling.report import report  # with statistics that take seconds to import

    return report(store, project, axis)
