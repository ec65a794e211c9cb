"""Who labels what next: leases, answers, undo. In memory under the store's lock, rebuilt from the history.

Leaves out the rules of one line (`line`), checks of annotators (`checks`) and what a browser may see (`views`).
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from workbench.errors import NotFound, StorageUnavailable, UsageError, Withdrawn
from workbench.labelling import checks, limits, names
from workbench.labelling.line import NAMED, Line, Pick
from workbench.labelling.meaning import agrees
from workbench.labelling.ordering import policy_of
from workbench.labelling.people import People
from workbench.labelling.reading import Reading
from workbench.labelling.submission import KINDS, TEXTS, Submission, judgement_of, kin, payload_of, positions
from workbench.labelling.views import View, Views, shown
from workbench.schema import Item, Json, Judgement
from workbench.store import items, projects
from workbench.store.db import Store
from workbench.store.projects import OVERALL, Project

QUIET_SECONDS = 35.0
SHAPING = ("axes", "overlap", "names", "write")  # rules that the lines are made by
Held = tuple[str, Line, Pick]


class Queue:
    """One line per project, axis and task. A project is read when it is first asked for, and when its rules change.

    sees    may this person label in this project? Asked at every call, so a change holds at once
    """

    def __init__(
        self,
        store: Store,
        *,
        sees: Callable[[str, Project], bool] = lambda name, project: project.open_to(name),
        clock: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        [genesis] = store.latest("events", "kind = 'genesis'")
        self.store, self.sees, self.clock, self.views = store, sees, clock, Views(genesis["home"])
        self.rng = random.Random(seed)  # noqa: S311 no secret
        self.born = clock()
        self.lines: dict[tuple[int, str, str], Line] = {}
        self.rules: dict[int, Project] = {}  # under which the lines of a project were made
        self.people: dict[int, People] = {}
        self.workers: dict[int, set[tuple[str, str]]] = {}  # who was at work when we started, on which axis
        self.unsure: dict[UUID, Judgement] = {}
        self.reading = threading.Lock()

    def refresh(self, project: int) -> None:
        """Learn items, and judgements made elsewhere, that came since; leases stay, and nobody's label waits."""
        with self.store.lock:
            if project not in self.rules:
                return
        with self.reading:
            rules = projects.get(self.store, project)
            fresh = Reading(self.store, rules, self.clock)
            with self.store.lock:
                fresh.go_on()
                fresh.people = People(self.store, project)  # somebody may have been paused meanwhile
                self._take_over(rules, fresh)

    def lease(
        self,
        annotator: str,
        project: int,
        task: str,
        tab: str,
        want: int = 10,
        held: Iterable[str] = (),
        axis: str = OVERALL,
    ) -> dict[str, Json]:
        """All that a tab holds from now on, up to `want`: what it held before, first, then the next items."""
        with self.store.lock:
            rules = self._project(project)
            if not self.sees(annotator, rules):
                raise NotFound(f"no project {project}")
            line = self._line(rules, axis, task)
            lines, people = self._lines(rules.id), self.people[rules.id]
            reason = limits.closed(annotator, rules, people, line, lines)
            mine = [pick for _, where, pick in self._held(annotator, held) if where is line and not reason]
            picks = [pick for pick in mine if line.hold(annotator, tab, pick)]
            wait = self._quiet(annotator, rules.id, axis)
            want = min(want, limits.room(annotator, rules, lines, line, tab))
            if not reason:
                picks += line.recover(annotator, tab, want - len(picks), picks)
        served = self._shown(annotator, rules, task, line, picks)
        while not wait and not reason and len(served) < want:
            with self.store.lock:
                line = self._line(rules, axis, task)  # it may have learnt new items meanwhile
                more = self._next(annotator, rules, line, tab, want - len(served))
            if not more:
                break
            served += self._shown(annotator, rules, task, line, more)
        with self.store.lock:
            answer = {"items": served, "reason": reason, "progress": self._progress(annotator, rules, line)}
            return answer if served or reason else answer | self._why_empty(line, annotator, wait)

    def submit(self, annotator: str, body: Submission, project: int | None = None) -> dict[str, Json]:
        """Store one act for good, of this project if one is named. The same act again gets the same answer."""
        view = self.views.open(annotator, body.lease)
        if project not in (None, view.project):
            raise UsageError(f"lease: not of project {project}")
        self.views.check(body.lease, body.view, view.order)
        texts = items.get(self.store, view.item).candidates if body.kind in TEXTS else ()
        payload = payload_of(body, view, texts)
        judgement = judgement_of(body, view, payload)
        with self.store.lock:
            self._learn_late()
            line, pick = self._pick(view)
            if body.uid.bytes in self.store.known:
                seq = self._again(judgement)
            else:
                self._check(line, pick, judgement)
                now = line.purpose_now(annotator, pick)
                version = body.guideline or self.rules[view.project].version or None
                judgement = replace(judgement, purpose=now, guideline=version)
                seq = self._append(judgement)
                self._apply(view.project, judgement)
                if body.kind in ("undo", "edit"):
                    line.hold(annotator, body.tab, pick)
            taught = view.purpose == "calibration" and body.kind in KINDS[view.task]
            return {"ack": str(body.uid), "seq": seq} | (self._taught(line, pick, view, payload) if taught else {})

    def decide(self, judgement: Judgement) -> int:
        """Store what a lead says of an item: an adjudication, a cleared flag, gold, a withdrawal. Its number."""
        project = items.get(self.store, judgement.item).project
        with self.store.lock:
            seq = self._append(judgement)
            if project in self.rules:
                self._apply(project, judgement)
        return seq

    def heartbeat(self, annotator: str, tab: str, held: list[str]) -> dict[str, Json]:
        """Renew what a tab holds; what it can no longer have is `lost`. The guideline's version says what is new."""
        with self.store.lock:
            found = list(self._held(annotator, held))
            kept = {lease for lease, line, pick in found if line.hold(annotator, tab, pick)}
            versions = [self._project(self.views.open(annotator, lease).project).version for lease in kept]
            return {"lost": [lease for lease in held if lease not in kept], "version": max(versions, default=0)}

    def release(self, annotator: str, tab: str, leases: Iterable[str]) -> dict[str, Json]:
        """Give back what a tab will not show."""
        with self.store.lock:
            given = [line.release(annotator, pick, tab) for _, line, pick in self._held(annotator, leases)]
            return {"released": sum(given)}

    def forget(self, annotator: str, project: int | None = None) -> None:
        """Who left, everything or one project, holds nothing there any more."""
        with self.store.lock:
            for (number, _, _), line in self.lines.items():
                if project in (None, number):
                    line.forget(annotator)

    def progress(self, annotator: str, project: int, task: str, axis: str = OVERALL) -> dict[str, Json]:
        """Figures of one person and of all: labels done and needed, today, median seconds, calibration."""
        with self.store.lock:
            rules = projects.get(self.store, project)
            return self._progress(annotator, rules, self._line(rules, axis, task))

    def standing(self, project: int) -> People:
        """How each person stands in a project."""
        with self.store.lock:
            self._line(projects.get(self.store, project), OVERALL, "pair")
            return self.people[project]

    def held(self, project: int, axis: str) -> list[int]:
        """Items kept back because a model names itself in them, as far as the queue has come upon them."""
        with self.store.lock:
            lines = [line for (number, on, _), line in self.lines.items() if (number, on) == (project, axis)]
            return sorted({line.ids[place] for line in lines for place, why in line.shut.items() if why == {NAMED}})

    def pause(self, actor: str, project: int, annotator: str, *, on: bool) -> None:
        """Serve this person nothing more, or go on."""
        self.standing(project).pause(actor, annotator, on=on)

    def calibration(self, actor: str, project: int, annotator: str, state: str) -> None:
        """`passed` lets somebody through, `again` starts with the first gold item anew."""
        self.standing(project).calibration(actor, annotator, state)
        self.refresh(project)

    # --- lines

    def _project(self, number: int) -> Project:
        """Of one that is not there for everybody, not even the name is told."""
        found = next((p for p in projects.all(self.store) if p.id == number and not p.archived), None)
        if found is None:
            raise NotFound(f"no project {number}")
        return found

    def _line(self, rules: Project, axis: str, task: str) -> Line:
        known = self.rules.get(rules.id)
        if known is None or any(getattr(known, name) != getattr(rules, name) for name in SHAPING):
            self._take_over(rules, Reading(self.store, rules, self.clock))
        self.rules[rules.id] = rules
        if axis not in rules.guidelines:
            raise UsageError(f"axis {axis!r}: one of {', '.join(rules.guidelines)}")
        if (rules.id, axis, task) not in self.lines:
            raise UsageError(f"task {task!r}: one of {', '.join(t for _, on, t in self.lines if on == axis)}")
        self._learn_late()
        line = self.lines[rules.id, axis, task]
        line.expire()
        return line

    def _take_over(self, rules: Project, fresh: Reading) -> None:
        for name, line in fresh.lines.items():
            if name in self.lines:
                line.adopt(self.lines[name], hold=rules.names == "hold")
        self.lines = {name: line for name, line in self.lines.items() if name[0] != rules.id} | fresh.lines
        self.rules[rules.id], self.people[rules.id] = rules, fresh.people
        self.workers.setdefault(rules.id, fresh.workers)

    def _apply(self, project: int, judgement: Judgement) -> None:
        for line in self._lines(project):
            line.apply(judgement)

    def _lines(self, project: int) -> list[Line]:
        return [line for (number, _, _), line in self.lines.items() if number == project]

    def _append(self, judgement: Judgement) -> int:
        """A disk that refuses may have stored it all the same: whether it did shows when it is well again."""
        try:
            return self.store.append(judgement)[0]
        except StorageUnavailable:
            self.unsure[judgement.uid] = judgement
            raise

    def _learn_late(self) -> None:
        for uid in [uid for uid in self.unsure if uid.bytes in self.store.known]:
            judgement = self.unsure.pop(uid)
            for line in self.lines.values():
                line.apply(judgement)

    def _again(self, judgement: Judgement) -> int:
        """The number of an act that is stored already, with what was put in when it came."""
        _, old = self.store.find(judgement.uid)
        if isinstance(old, Judgement):
            judgement = replace(judgement, purpose=old.purpose, guideline=judgement.guideline or old.guideline)
        return self.store.append(judgement)[0]

    def _held(self, annotator: str, leases: Iterable[str]) -> Iterator[Held]:
        """Line and place of each token; a page may have kept some that mean nothing any more."""
        for lease in leases:
            with suppress(UsageError, Withdrawn, NotFound):
                yield lease, *self._pick(self.views.open(annotator, lease))

    def _pick(self, view: View) -> tuple[Line, Pick]:
        rules = self._project(view.project)
        if not self.sees(view.annotator, rules):
            raise Withdrawn("this project is no longer open to you", code="closed")
        line = self._line(rules, view.axis, view.task)
        place = line.places.of(view.item)
        if place is None:
            raise Withdrawn("this item is no longer asked for")
        return line, Pick(place, view.purpose, view.policy)

    def _check(self, line: Line, pick: Pick, judgement: Judgement) -> None:
        """May this act be stored now?"""
        if judgement.kind == "undo":
            line.undoable(judgement.annotator, UUID(judgement.payload["of"]), pick)
        else:
            line.admit(judgement.annotator, pick)
        for uid in filter(None, (judgement.supersedes, judgement.payload.get("of"))):
            _, old = self.store.find(UUID(str(uid))) or (0, None)
            if not isinstance(old, Judgement) or kin(old) != kin(judgement):
                raise UsageError("supersedes: no earlier answer of yours to this item")

    # --- what comes next

    def _next(self, annotator: str, rules: Project, line: Line, tab: str, want: int) -> list[Pick]:
        """Up to `want` places, leased. Lessons come alone; a check now and then takes the place of an item."""
        person, found = line.people[annotator], []
        learning = limits.calibration(annotator, rules, self.people[rules.id], line) == "going"
        while len(found) < want:
            check = (
                checks.lesson_for(line, annotator) if learning else checks.check_for(line, annotator, rules, self.rng)
            )
            if check:
                pick = line.lease(annotator, tab, check)
            else:
                policy = policy_of(self.rng.random()) if line.order else "control"
                pick = None if learning else line.take(annotator, tab, policy)
            if pick is None:
                break
            person.views += 1
            found.append(pick)
        return found

    def _shown(self, annotator: str, rules: Project, task: str, line: Line, picks: list[Pick]) -> list[dict[str, Json]]:
        """The items of these places as the browser gets them; needs no lock. Those a lead must see first are closed."""
        found, result = items.many(self.store, [line.ids[pick.place] for pick in picks]), []
        for pick in picks:
            item = found[line.ids[pick.place]]
            named = rules.names != "mask" and any(names.hits(m.content) for c in item.candidates for m in c.messages)
            if named and rules.names == "hold":
                with self.store.lock:
                    line.release(annotator, pick)
                    line.close(pick.place, NAMED)
                continue
            result.append(self._view(annotator, rules, task, line.axis, item, pick) | {"named": named})
        return result

    def _view(self, annotator: str, rules: Project, task: str, axis: str, item: Item, pick: Pick) -> dict[str, Json]:
        order = self.views.order(rules.id, axis, item.id, annotator, len(item.candidates))
        if pick.purpose == "repeat":
            order = order[::-1]
        purpose = "compare" if item.origin.get("compare") and pick.purpose == "label" else pick.purpose
        lease = self.views.lease(View(rules.id, axis, task, item.id, annotator, purpose, pick.policy, order))
        told = {"lease": lease, "view": self.views.token(lease, order), "teach": purpose == "calibration"}
        return told | shown(item, order, mask=rules.names == "mask")

    def _taught(self, line: Line, pick: Pick, view: View, payload: dict[str, Json]) -> dict[str, Json]:
        """What was right, after a lesson."""
        gold = line.gold.get(pick.place, {"answer": {}, "explanation": ""})
        answer = positions(gold["answer"], view.order)
        return {
            "taught": {"right": agrees(payload, gold["answer"]), "answer": answer, "explanation": gold["explanation"]}
        }

    def _progress(self, annotator: str, rules: Project, line: Line) -> dict[str, Json]:
        going = limits.calibration(annotator, rules, self.people[rules.id], line) == "going"
        told = line.progress(annotator) | {"all_today": limits.today(annotator, self._lines(rules.id))}
        # no number: it grows with an item that is called bad, and would not where that was gold
        told["to_write"] = any(here.wanted > here.got for here in self._lines(rules.id) if here.writes)
        return told | ({"calibration": checks.lesson(line, annotator)} if going else {})

    def _quiet(self, annotator: str, project: int, axis: str) -> float:
        """Seconds in which others may still come back for what they held before a restart."""
        others = {name for name, at in self.workers[project] if at == axis} - {annotator}
        return max(0.0, self.born + QUIET_SECONDS - self.clock()) if others else 0.0

    def _why_empty(self, line: Line, annotator: str, wait: float) -> dict[str, Json]:
        if not len(line.places):
            return {"reason": "no_items"}
        if wait:
            return {"reason": "restarted", "wait_s": wait}
        if wait := line.wait_for(annotator):
            return {"reason": "wait_s", "wait_s": wait}
        if line.got < line.wanted:
            return {"reason": "others"}
        return {"reason": "none_bad" if line.writes else "all_done"}
