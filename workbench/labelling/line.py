"""One waiting line: the items of one project and task, who holds which, and who did what. All in memory.

Leaves out storing (`queue`), what is shown (`views`) and locking: the caller holds the store's lock.
"""

from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple
from uuid import UUID

from workbench.errors import Conflict
from workbench.schema import LABEL_KINDS, Json, Judgement

LEASE_SECONDS = 600.0
UNDOABLE = 10
PACE = 50


class Lease(NamedTuple):
    tab: str
    until: float


@dataclass
class Person:
    """What one annotator did here: place -> `label`, `skip` or `flag`, and figures of it."""

    acts: dict[int, str] = field(default_factory=dict)
    recent: deque[tuple[UUID, int]] = field(default_factory=lambda: deque(maxlen=UNDOABLE))
    pace: deque[int] = field(default_factory=lambda: deque(maxlen=PACE))
    counts: Counter[str] = field(default_factory=Counter)
    day: int = 0
    today: int = 0

    def on(self, day: int) -> int:
        """Labels of one day, the last one or today."""
        return self.today if self.day == day else 0


class Line:
    """Places are items in the order of their key's hash. `free` marks those that one more person may take."""

    def __init__(self, rows: Iterable[tuple[str, int]], clock: Callable[[], float]) -> None:
        self.ids = array("q", (id for _, id in sorted(rows)))
        size = len(self.ids)
        self.first = min(self.ids, default=0)
        self._places = array("i", [-1]) * (max(self.ids, default=-1) - self.first + 1)
        for place, id in enumerate(self.ids):
            self._places[id - self.first] = place
        self.needed = bytearray(b"\1" * size)
        self.done = array("H", bytes(2 * size))
        self.leased = bytearray(size)
        self.free = bytearray(b"\1" * size)
        self.wanted, self.got = size, 0
        self.closed: Counter[int] = Counter()
        self.leases: dict[tuple[int, str], Lease] = {}
        self.people: defaultdict[str, Person] = defaultdict(Person)
        self.clock = clock

    def place(self, item: int) -> int | None:
        """Where an item stands, None when it is not of this line."""
        at = item - self.first
        place = self._places[at] if 0 <= at < len(self._places) else -1
        return None if place < 0 else place

    # --- who holds what

    def take(self, annotator: str, tab: str, want: int, known: Collection[int]) -> list[int]:
        """Lease places to a tab that has the `known` ones: what it lost, what is free, else its owner's elsewhere."""
        acts, place = self.people[annotator].acts, -1
        own = {p: lease.tab for (p, name), lease in self.leases.items() if name == annotator and p not in known}
        found = [p for p, held_by in own.items() if held_by == tab][:want]
        while len(found) < want and (place := self.free.find(1, place + 1)) >= 0:
            if place not in acts and (place, annotator) not in self.leases:
                found.append(place)
        if not found and not known:
            found = list(own)[:want]
        for place in found:
            self._lease(annotator, tab, place)
        return found

    def hold(self, annotator: str, tab: str, place: int) -> bool:
        """Renew a tab's lease, or give back the one it says it had; False when that went to another."""
        lease = self.leases.get((place, annotator))
        mine = lease.tab == tab if lease else self.open_to(annotator, place)
        if mine:
            self._lease(annotator, tab, place)
        return mine

    def open_to(self, annotator: str, place: int) -> bool:
        return bool(self.free[place]) and place not in self.people[annotator].acts

    def release(self, annotator: str, place: int, tab: str | None = None) -> bool:
        """End a lease, of any tab or only of this one."""
        lease = self.leases.get((place, annotator))
        if lease is None or tab not in (None, lease.tab):
            return False
        del self.leases[place, annotator]
        self.leased[place] -= 1
        self._settle(place)
        return True

    def expire(self) -> None:
        now = self.clock()
        for place, annotator in [key for key, lease in self.leases.items() if lease.until <= now]:
            self.release(annotator, place)

    def close(self, place: int) -> None:
        """Serve this place to nobody any more."""
        self.closed[place] += 1
        self._settle(place)

    def admit(self, annotator: str, place: int) -> None:
        """May this annotator answer now? `Conflict` when it was answered, or is with somebody else."""
        if place in self.people[annotator].acts:
            raise Conflict("you have answered this item already", code="already_labelled")
        if (place, annotator) not in self.leases and not self.free[place]:
            raise Conflict("somebody else has this item by now", code="taken")

    def wait_for(self, annotator: str) -> float | None:
        """Seconds until the first lease of others ends that this annotator could then have."""
        acts = self.people[annotator].acts
        ends = [lease.until for (place, name), lease in self.leases.items() if name != annotator and place not in acts]
        return max(0.0, min(ends) - self.clock()) if ends else None

    def adopt(self, old: "Line") -> None:
        """The leases of this line as it was before new items came."""
        for (place, annotator), lease in old.leases.items():
            here = self.place(old.ids[place])
            if here is not None and self.open_to(annotator, here):
                self._lease(annotator, lease.tab, here, lease.until)

    # --- who did what

    def apply(self, judgement: Judgement) -> None:
        """Count one act, as it happens or out of the history."""
        place, label = self.place(judgement.item), judgement.kind in LABEL_KINDS
        if place is None or not (label or judgement.kind in ("skip", "flag", "undo")):
            return
        if judgement.purpose == "import":
            self._count(place, +1)
            return
        person = self.people[judgement.annotator]
        self._retract(person, place)
        if judgement.kind != "undo":
            self._record(person, place, judgement, "label" if label else judgement.kind)
        self.release(judgement.annotator, place)
        self._settle(place)

    def undoable(self, annotator: str, uid: UUID, place: int) -> None:
        """`Conflict` unless `uid` is among the last acts of this annotator and still holds."""
        person = self.people[annotator]
        if (uid, place) not in person.recent or place not in person.acts:
            raise Conflict("this can no longer be undone", code="not_undoable")

    def progress(self, annotator: str) -> dict[str, Json]:
        person = self.people[annotator]
        return {
            "mine": person.counts["label"],
            "skipped": person.counts["skip"],
            "flagged": person.counts["flag"],
            "done": self.got,
            "needed": self.wanted,
            "today": person.on(day_of(datetime.now(UTC))),
            "median_s": median(person.pace) / 1000 if person.pace else None,
        }

    def _record(self, person: Person, place: int, judgement: Judgement, act: str) -> None:
        person.acts[place] = act
        person.counts[act] += 1
        person.recent.append((judgement.uid, place))
        if act == "flag":
            self.closed[place] += 1
        if act == "label":
            day = day_of(judgement.ts)
            person.day, person.today = day, person.on(day) + 1
            spent = judgement.ms_active or judgement.ms_shown
            if spent:
                person.pace.append(spent)
            self._count(place, +1)

    def _retract(self, person: Person, place: int) -> None:
        act = person.acts.pop(place, None)
        if act is None:
            return
        person.recent = deque((r for r in person.recent if r[1] != place), maxlen=UNDOABLE)  # undone once, gone
        person.counts[act] -= 1
        if act == "flag":
            self.closed[place] -= 1
        if act == "label":
            person.today = max(0, person.today - 1)
            self._count(place, -1)

    def _count(self, place: int, by: int) -> None:
        before = min(self.done[place], self.needed[place])
        self.done[place] += by
        self.got += min(self.done[place], self.needed[place]) - before
        self._settle(place)

    def _lease(self, annotator: str, tab: str, place: int, until: float | None = None) -> None:
        if (place, annotator) not in self.leases:
            self.leased[place] += 1
        self.leases[place, annotator] = Lease(tab, until or self.clock() + LEASE_SECONDS)
        self._settle(place)

    def _settle(self, place: int) -> None:
        busy = self.done[place] + self.leased[place]
        self.free[place] = not self.closed[place] and busy < self.needed[place]


def day_of(ts: datetime) -> int:
    """The day in the server's time zone, as a number."""
    return ts.astimezone().toordinal()
