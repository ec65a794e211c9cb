"""Who labels what next: leases, answers, undo. In memory under the store's lock, rebuilt from the history.

Leaves out the rules of one line (`line`) and what a browser may see (`views`).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import NotFound, StorageUnavailable, UsageError, Withdrawn
from workbench.labelling.line import Line
from workbench.labelling.views import View, Views, shown
from workbench.schema import Json, Judgement, check_payload
from workbench.store import items, judgements, projects
from workbench.store.db import Store
from workbench.store.projects import Project

TASKS = {2: "pair", 1: "thumb"}
MOST = 20
AT_WORK = timedelta(minutes=15)
QUIET_SECONDS = 35.0


class Submission(BaseModel):
    """One act at the screen. Positions, never indexes: 0 is the answer shown first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uid: UUID
    tab: str = Field(max_length=64)
    lease: str = Field(max_length=1000)
    view: str = Field(max_length=64)
    kind: Literal["pair", "thumb", "skip", "flag", "undo"]
    payload: dict[str, Json]
    ms_shown: int = Field(0, ge=0, le=10**9)
    ms_active: int = Field(0, ge=0, le=10**9)
    guideline: int | None = None
    supersedes: UUID | None = None


class Queue:
    """One line per project and task. A project is read when it is first asked for."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        [genesis] = store.latest("events", "kind = 'genesis'")
        self.store, self.clock, self.views = store, clock, Views(genesis["home"])
        self.born = clock()
        self.lines: dict[tuple[int, str], Line] = {}
        self.unsure: dict[UUID, tuple[View, Judgement]] = {}
        self.workers: dict[int, set[str]] = {}  # of a project: who was at work when we started
        self.reading = threading.Lock()

    def refresh(self, project: int) -> None:
        """Learn items, and judgements made elsewhere, that came since; leases stay, and nobody's label waits."""
        with self.store.lock:
            if project not in self.workers:
                return
        with self.reading:
            fresh = Reading(self.store, project, self.clock)
            with self.store.lock:
                fresh.go_on()
                for name, line in fresh.lines.items():
                    line.adopt(self.lines[name])
                self.lines |= fresh.lines

    def lease(
        self, annotator: str, project: int, task: str, tab: str, want: int = 10, held: Iterable[str] = ()
    ) -> dict[str, Json]:
        """All that a tab holds from now on, up to `want`: what it held before, first, then the next items."""
        with self.store.lock:
            line = self._line(self._project(project).id, task)
            mine = [place for _, where, place in self._held(annotator, held) if where is line]
            kept = [place for place in mine if line.hold(annotator, tab, place)]
            served = self._shown(annotator, project, task, kept)
            wait, want = self._quiet(annotator, project), min(want, MOST)
            while not wait and (places := line.take(annotator, tab, max(0, want - len(served)), kept)):
                served += self._shown(annotator, project, task, places)
                kept += places
            answer = {"items": served, "reason": None, "progress": line.progress(annotator)}
            return answer if served else answer | self._why_empty(line, annotator, wait)

    def submit(self, annotator: str, body: Submission) -> dict[str, Json]:
        """Store one act for good. The same act again gets the same answer."""
        view = self.views.open(annotator, body.lease)
        self.views.check(body.lease, body.view, view.order)
        judgement = judgement_of(body, view)
        with self.store.lock:
            self._learn_late()
            if body.uid.bytes in self.store.known:
                [seq] = self.store.append(judgement)
            else:
                line, place = self._place(view)
                self._check(line, place, judgement)
                seq = self._append(judgement, view)
                line.apply(judgement)
                if judgement.kind == "undo":
                    line.hold(annotator, body.tab, place)
        return {"ack": str(body.uid), "seq": seq}

    def decide(self, judgement: Judgement) -> int:
        """Store what a lead says of an item: an adjudication, a cleared flag, gold, a withdrawal. Its number."""
        seq = self.store.append(judgement)[0]
        self.refresh(items.get(self.store, judgement.item).project)
        return seq

    def heartbeat(self, annotator: str, tab: str, held: list[str]) -> dict[str, Json]:
        """Renew what a tab holds; what it can no longer have is `lost`."""
        with self.store.lock:
            kept = {lease for lease, line, place in self._held(annotator, held) if line.hold(annotator, tab, place)}
            return {"lost": [lease for lease in held if lease not in kept]}

    def release(self, annotator: str, tab: str, leases: Iterable[str]) -> dict[str, Json]:
        """Give back what a tab will not show."""
        with self.store.lock:
            given = [line.release(annotator, place, tab) for _, line, place in self._held(annotator, leases)]
            return {"released": sum(given)}

    def progress(self, annotator: str, project: int, task: str) -> dict[str, Json]:
        """Figures of one person and of all: labels done and needed, today, median seconds."""
        with self.store.lock:
            return self._line(projects.get(self.store, project).id, task).progress(annotator)

    def _project(self, number: int) -> Project:
        found = projects.get(self.store, number)
        if found.archived:
            raise NotFound(f"project {found.name} is archived")
        return found

    def _line(self, project: int, task: str) -> Line:
        if task not in TASKS.values():
            raise UsageError(f"task {task!r}: one of {', '.join(TASKS.values())}")
        if project not in self.workers:
            fresh = Reading(self.store, project, self.clock)
            self.lines |= fresh.lines
            self.workers[project] = fresh.workers
        self._learn_late()
        line = self.lines[project, task]
        line.expire()
        return line

    def _append(self, judgement: Judgement, view: View) -> int:
        """A disk that refuses may have stored it all the same: whether it did shows when it is well again."""
        try:
            return self.store.append(judgement)[0]
        except StorageUnavailable:
            self.unsure[judgement.uid] = view, judgement
            raise

    def _learn_late(self) -> None:
        for uid in [uid for uid in self.unsure if uid.bytes in self.store.known]:
            view, judgement = self.unsure.pop(uid)
            self.lines[view.project, view.task].apply(judgement)

    def _held(self, annotator: str, leases: Iterable[str]) -> Iterator[tuple[str, Line, int]]:
        """Line and place of each token; a page may have kept some that mean nothing any more."""
        for lease in leases:
            with suppress(UsageError, Withdrawn):
                yield lease, *self._place(self.views.open(annotator, lease))

    def _place(self, view: View) -> tuple[Line, int]:
        line = self._line(view.project, view.task)
        place = line.place(view.item)
        if place is None:
            raise Withdrawn("this item is no longer asked for")
        return line, place

    def _check(self, line: Line, place: int, judgement: Judgement) -> None:
        """May this act be stored now?"""
        if judgement.kind == "undo":
            line.undoable(judgement.annotator, UUID(judgement.payload["of"]), place)
        else:
            line.admit(judgement.annotator, place)
        if judgement.supersedes:
            _, old = self.store.find(judgement.supersedes) or (0, None)
            if (getattr(old, "annotator", None), getattr(old, "item", None)) != (judgement.annotator, judgement.item):
                raise UsageError("supersedes: no earlier answer of yours to this item")

    def _shown(self, annotator: str, project: int, task: str, places: list[int]) -> list[dict[str, Json]]:
        """The items of these places as the browser gets them; what must not be served is closed instead."""
        line = self.lines[project, task]
        found, result = items.many(self.store, [line.ids[p] for p in places]), []
        for place in places:
            item = found[line.ids[place]]
            if item.origin.get("typed"):
                line.release(annotator, place)
                line.close(place)
                continue
            order = self.views.order(project, item.id, annotator, 0, len(item.candidates))
            purpose = "compare" if item.origin.get("compare") else "label"
            lease = self.views.lease(View(project, task, item.id, annotator, 0, purpose, order))
            result.append({"lease": lease, "view": self.views.token(lease, order), **shown(item, order)})
        return result

    def _quiet(self, annotator: str, project: int) -> float:
        """Seconds in which others may still come back for what they held before a restart."""
        others = self.workers[project] - {annotator}
        return max(0.0, self.born + QUIET_SECONDS - self.clock()) if others else 0.0

    def _why_empty(self, line: Line, annotator: str, wait: float) -> dict[str, Json]:
        if not line.ids:
            return {"reason": "no_items"}
        if wait := wait or line.wait_for(annotator) or 0.0:
            return {"reason": "wait_s", "wait_s": wait}
        return {"reason": "all_done"}


class Reading:
    """The lines of a project out of its history, and who was at work of late. Needs no lock."""

    def __init__(self, store: Store, project: int, clock: Callable[[], float]) -> None:
        self.store, self.project, self.seq, self.workers = store, project, 0, set()
        keys: dict[str, list[tuple[str, int]]] = {task: [] for task in TASKS.values()}
        for row in items.iter_ids(store, project):
            if row.n_candidates in TASKS:
                keys[TASKS[row.n_candidates]].append((row.key, row.id))
        self.lines = {(project, task): Line(rows, clock) for task, rows in keys.items()}
        self.go_on()

    def go_on(self) -> None:
        """Apply what came since the last act that was read."""
        since = datetime.now(UTC) - AT_WORK
        for seq, judgement in judgements.history(self.store, self.project, after=self.seq):
            self.seq = seq
            for line in self.lines.values():
                line.apply(judgement)
            if judgement.ts > since and judgement.purpose != "import":
                self.workers.add(judgement.annotator)


def judgement_of(body: Submission, view: View) -> Judgement:
    """The act as it is stored: positions become candidate indexes."""
    if body.kind in TASKS.values() and body.kind != view.task:
        raise UsageError(f"kind {body.kind!r}: this item asks for {view.task!r}")
    payload = check_payload(body.kind, body.payload)
    if body.kind == "pair":
        decided = payload["choice"] in (0, 1)
        if payload["strength"] not in ((1, 2, 3) if decided else (None,)):
            raise UsageError(f"pair: strength {payload['strength']!r}: 1, 2 or 3 with a choice, else null")
        payload["choice"] = view.order[payload["choice"]] if decided else payload["choice"]
    if body.kind == "thumb" and payload["candidate"] != 0:
        raise UsageError("thumb: candidate: there is only answer 0")
    return Judgement(
        uid=body.uid,
        item=view.item,
        annotator=view.annotator,
        kind=body.kind,
        payload=payload,
        purpose=view.purpose,
        guideline=body.guideline,
        shown_order=view.order,
        ms_shown=body.ms_shown,
        ms_active=body.ms_active,
        supersedes=body.supersedes,
    )
