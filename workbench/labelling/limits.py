"""What keeps somebody from the next item: pauses, the deadline, the quota, a calibration that is not passed.

Leaves out who may come in at all (`app.accounts`) and what is served (`queue`).
"""

from collections.abc import Iterable
from datetime import date, datetime

from workbench.labelling import checks
from workbench.labelling.line import Line
from workbench.labelling.people import People
from workbench.labelling.person import day_of
from workbench.store.projects import Project


def closed(annotator: str, rules: Project, people: People, line: Line, lines: Iterable[Line]) -> str | None:
    """Why nothing is served to this person now."""
    if rules.paused or annotator in people.paused:
        return "paused"
    if rules.deadline and date.today() > date.fromisoformat(rules.deadline):
        return "deadline"
    if rules.quota is not None and today(annotator, lines) >= rules.quota:
        return "quota"
    return "untaught" if calibration(annotator, rules, people, line) == "failed" else None


def room(annotator: str, rules: Project, lines: list[Line], here: Line, tab: str) -> int:
    """How many items of one line a tab may hold: no more than the quota leaves beside what is held elsewhere."""
    if rules.quota is None:
        return here.most
    held = [(line, lease.tab) for line in lines for lease in line.leases[annotator].values()]
    return min(here.most, rules.quota - today(annotator, lines) - sum(at != (here, tab) for at in held))


def today(annotator: str, lines: Iterable[Line]) -> int:
    day = day_of(datetime.now().astimezone())
    return sum(line.people[annotator].on(day) for line in lines if annotator in line.people)


def calibration(annotator: str, rules: Project, people: People, line: Line) -> str:
    states = {"passed": annotator in people.calibrated, "again": annotator in people.again}
    return checks.calibration(line, annotator, rules, **states)
