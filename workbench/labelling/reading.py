"""The lines of a project out of its history: most of it counted by the database, the rest act by act.

Leaves out what the lines then do (`line`). Needs no lock; acts that come meanwhile are applied by `go_on`.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from workbench.labelling.line import Line
from workbench.labelling.ordering import Order
from workbench.labelling.people import People
from workbench.labelling.person import CHECKS, day_of
from workbench.labelling.places import Places
from workbench.labelling.submission import SIZES
from workbench.labelling.write_line import WriteLine
from workbench.schema import WRITE
from workbench.store import items, judgements, scores
from workbench.store.db import Store
from workbench.store.projects import OVERALL, Project
from workbench.store.verdicts import OURS

AT_WORK = timedelta(minutes=15)


class Reading:
    """`lines` by project, axis and task; `workers` are those who were at work of late, and on which axis."""

    def __init__(self, store: Store, project: Project, clock: Callable[[], float]) -> None:
        self.store, self.project, self.workers = store, project.id, set()
        self.people = People(store, project.id)
        self.lines: dict[tuple[int, str, str], Line] = {}
        rows = items.for_queue(store, project.id)
        for task, (least, most) in SIZES.items():
            mine = (rows["n_candidates"] >= least) & (rows["n_candidates"] <= most)
            for axis in project.guidelines:
                chosen = mine if axis == OVERALL else mine & ~rows["compare"]
                base = 1 + ((rows["chance"] < project.overlap) & ~rows["compare"])[chosen].astype(np.uint8)
                self.lines[project.id, axis, task] = Line(axis, Places(rows["id"][chosen]), base.tobytes(), clock)
        if project.write:
            several = (rows["n_candidates"] > 1) & ~rows["compare"]
            labels = [line for line in self.lines.values() if line.axis == OVERALL]
            self.lines[project.id, OVERALL, WRITE] = WriteLine(Places(rows["id"][several]), clock, labels)
        self.seq = store.seq
        self._count(project)
        self.go_on()

    def go_on(self) -> None:
        """Apply what came since the last act that was read."""
        since = datetime.now(UTC) - AT_WORK
        for seq, judgement in judgements.history(self.store, self.project, after=self.seq):
            self.seq = seq
            for line in self.lines.values():
                line.apply(judgement)
            if judgement.ts > since and judgement.purpose != "import":
                self.workers.add((judgement.annotator, judgement.axis))

    def _count(self, rules: Project) -> None:
        lines = list(self.lines.values())
        midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        standing = list(judgements.standing(self.store, self.project, self.seq, midnight))
        for line in lines:
            mine = [row for row in standing if row.axis == line.axis and (row.slot == WRITE) == line.writes]
            count(mine, line, day_of(midnight))
            if line.writes:
                blame([row for row in standing if (row.axis, row.slot) == (line.axis, "label")], line)
        if rules.ordered and (found := scores.latest(self.store, self.project)):
            line = self.lines[self.project, OVERALL, "pair"]
            line.order = Order(found, line.places)
            hear(line, [row for row in standing if (row.axis, row.slot) == (OVERALL, "label")])
        self._mark(lines)
        for line in lines:
            line.recount()
        self._recall(lines)

    def _mark(self, lines: list[Line]) -> None:
        """What opens and closes items, and the calibrations since a lead last let somebody try again."""
        for seq, judgement in judgements.remarkable(self.store, self.project, self.seq):
            for line in lines:
                if judgement.purpose != "calibration":
                    line.mark(judgement)
                elif seq > self.people.since(judgement.annotator):
                    line.apply(judgement)

    def _recall(self, lines: list[Line]) -> None:
        """Of each annotator what can still be undone, and how fast."""
        for latest in judgements.latest(self.store, self.project, self.seq):
            if latest.active > datetime.now(UTC) - AT_WORK:
                self.workers.add((latest.annotator, latest.axis))
            for line in lines:
                if line.axis == latest.axis:
                    recall(line, latest)


def hear(line: Line, rows: list[judgements.Standing]) -> None:
    """Let the reward model know of every label that it contradicts, in the order they came."""
    found = []
    for row in rows:
        places = line.places.of_many(row.items)
        against = set(line.order.against(places[places >= 0], row.word).tolist())
        found += [(seq, p, row) for seq, p in zip(row.seqs.tolist(), places.tolist(), strict=True) if p in against]
    for _, place, row in sorted(found, key=lambda told: told[0]):
        line.order.heard(place, row.word, row.annotator)


def count(rows: list[judgements.Standing], line: Line, today: int) -> None:
    """Acts that stand: imports only as labels of the item, checks only as acts of the person."""
    done, labels = np.frombuffer(line.done, np.uint16), defaultdict(list)
    for row in rows:
        places = line.places.of_many(row.items)
        here = places >= 0
        places = places[here]
        if row.act == "label" and row.slot in ("label", "import", WRITE):
            done += np.bincount(places, minlength=len(done)).astype(np.uint16)
        if row.slot != "import" and len(places):
            number(line, row, places, today, int(row.today[here].sum()))
        if row.act == "label" and row.slot in ("label", WRITE):
            labels[row.annotator].append((row.seqs[here], places))
    for annotator, parts in labels.items():
        seqs, places = (np.concatenate(part) for part in zip(*parts, strict=True))
        line.people[annotator].labels.frombytes(places[seqs.argsort()].astype(np.int32).tobytes())


def blame(rows: list[judgements.Standing], line: WriteLine) -> None:
    """Labels that call all answers of an item bad."""
    for row in rows:
        if row.word == "both_bad":
            for place in line.places.of_many(row.items).tolist():
                if place >= 0:
                    line.bad[place][row.annotator] = None


def number(line: Line, row: judgements.Standing, places: np.ndarray, day: int, today: int) -> None:
    """Acts of one person, of one kind and word."""
    person, listed = line.people[row.annotator], places.tolist()
    person.counts[row.act] += len(listed)
    person.views += len(listed)
    person.gold_at = person.views
    if row.act == "label":
        person.day, person.today = day, person.on(day) + today
    if row.slot in CHECKS:
        person.checks |= dict.fromkeys(((place, row.slot) for place in listed), row.act)
        return
    person.acts |= dict.fromkeys(listed, row.act)
    if row.act == "label" and row.word:
        for place in places[np.frombuffer(line.base, np.uint8)[places] > 1].tolist():
            line.said[place][row.annotator] = row.word


def recall(line: Line, latest: judgements.Latest) -> None:
    person = line.people[latest.annotator]
    for act in latest.acts:
        place = line.places.of(act.item)
        if place is None:
            continue
        if (act.purpose == WRITE) != line.writes:
            if line.writes and act.purpose in OURS and act.kind not in ("edit", "undo"):
                line.recognise(place, latest.annotator, act.uid)
            continue
        if act.kind == "undo":
            person.unedit(act.of)
            continue
        person.recent.append((act.uid, place))
        if act.kind == "edit" and not line.writes:
            person.edits.add(act.uid)
        elif act.kind not in ("skip", "flag") and act.spent:
            person.pace.append(act.spent)
