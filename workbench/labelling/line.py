"""One waiting line: the items of one project, axis and task, who holds which, and who did what. All in memory.

Leaves out storing (`queue`), the building out of the history (`reading`), when an annotator is checked (`checks`),
what is shown (`views`) and locking: the caller holds the store's lock.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

import numpy as np

from workbench.errors import Conflict, Withdrawn
from workbench.labelling.meaning import agrees, contradict, word_of
from workbench.labelling.ordering import Order
from workbench.labelling.person import CHECKS, Person, check_of, day_of
from workbench.labelling.places import Places
from workbench.schema import LABEL_KINDS, WRITE, Json, Judgement

LEASE_SECONDS = 600.0
CHUNK = 2000  # places of an order that are looked at together
WITHDRAWN, GOLD, ADJUDICATED, NAMED = "withdrawn", "gold", "adjudicated", "named"


class Pick(NamedTuple):
    """A place that was leased, why it is asked, and by which policy it was chosen."""

    place: int
    purpose: str = "label"
    policy: str = "control"


Slot = tuple[int, str]  # a place, and which check of its holder it is for, "" for none


class Lease(NamedTuple):
    tab: str
    until: float
    pick: Pick


class Line:
    """`free` marks places that one more person may take; `shut` says why others are served to nobody.

    base      labels an item needs: 1, or 2 where annotators overlap
    said      what was said of overlapping items, by annotator: two who contradict each other need a third
    order     what a reward model wishes, where the project lets one order the queue
    writes    answers are written here (`write_line`)
    """

    writes = False
    lease_seconds = LEASE_SECONDS
    most = 20  # items that one tab holds

    def __init__(self, axis: str, places: Places, base: bytes, clock: Callable[[], float]) -> None:
        size = len(places)
        self.axis, self.places, self.base, self.clock = axis, places, base, clock
        self.needed, self.done = bytearray(base), array("H", bytes(2 * size))
        self.leased, self.free = bytearray(size), bytearray(b"\1" * size)
        self.wanted, self.got = sum(base), 0
        self.shut: defaultdict[int, set[str]] = defaultdict(set)
        self.said: defaultdict[int, dict[str, str]] = defaultdict(dict)
        self.gold: dict[int, dict[str, Json]] = {}
        self.order: Order | None = None
        self.leases: defaultdict[str, dict[Slot, Lease]] = defaultdict(dict)
        self.people: defaultdict[str, Person] = defaultdict(Person)
        self.returned: dict[int, None] = {}  # places that came back: whoever has passed them looks here first
        self.soonest = float("inf")

    @property
    def ids(self) -> "array[int]":
        return self.places.ids

    # --- who holds what

    def recover(self, annotator: str, tab: str, want: int, known: Collection[Pick]) -> list[Pick]:
        """What a tab was given and does not know of: an answer of ours was lost, or the page was loaded anew."""
        own = [lease for lease in self.leases[annotator].values() if lease.pick not in known]
        mine = [lease.pick for lease in own if lease.tab == tab]
        if not mine and not known and self._next(annotator) is None:
            mine = [lease.pick for lease in own]  # left in another tab
        for pick in mine[: max(0, want)]:
            self.lease(annotator, tab, pick)
        return mine[: max(0, want)]

    def take(self, annotator: str, tab: str, policy: str) -> Pick | None:
        """Lease the next free place by a policy; in the order of the line where the policy has no more."""
        ways = ((name, self._wished(name)) for name in dict.fromkeys((policy, "control")))
        wished = ((name, place) for name, way in ways for place in way if self._takable(annotator, place))
        name, place = next(wished, None) or ("control", self._next(annotator))
        if place is None:
            return None
        chosen = "rm_conflict" if self._again(place) else name
        return self.lease(annotator, tab, Pick(place, self._purpose(place), chosen))

    def lease(self, annotator: str, tab: str, pick: Pick, until: float | None = None) -> Pick:
        slot, held = slot_of(pick), self.leases[annotator]
        until = until or self.clock() + self.lease_seconds
        if slot not in held and not slot[1]:
            self.leased[pick.place] += 1
        held[slot] = Lease(tab, until, pick)
        self.soonest = min(self.soonest, until)
        self._settle(pick.place)
        return pick

    def hold(self, annotator: str, tab: str, pick: Pick) -> bool:
        """Renew a tab's lease, or give back the one it says it had; False when that went to another."""
        held = self.leases[annotator].get(slot_of(pick))
        mine = held.tab == tab if held else self.open_to(annotator, pick.place, pick.purpose)
        if mine:
            self.lease(annotator, tab, pick)
        return mine

    def open_to(self, annotator: str, place: int, purpose: str = "label") -> bool:
        if self.people[annotator].did(place, purpose):
            return False
        return purpose in CHECKS or bool(self.free[place])

    def release(self, annotator: str, pick: Pick, tab: str | None = None) -> bool:
        """End a lease, of any tab or only of this one."""
        slot, held = slot_of(pick), self.leases[annotator]
        if slot not in held or tab not in (None, held[slot].tab):
            return False
        del held[slot]
        if not slot[1]:
            self.leased[pick.place] -= 1
            if not self.people[annotator].did(pick.place, pick.purpose):
                self.returned[pick.place] = None
        self._settle(pick.place)
        return True

    def expire(self) -> None:
        now = self.clock()
        if now < self.soonest:
            return
        for annotator, lease in list(self.everybodys()):
            if lease.until <= now:
                self.release(annotator, lease.pick)
        self.soonest = min((lease.until for _, lease in self.everybodys()), default=float("inf"))

    def everybodys(self) -> Iterator[tuple[str, Lease]]:
        return ((annotator, lease) for annotator, held in self.leases.items() for lease in held.values())

    def forget(self, annotator: str) -> None:
        """Everything this person holds goes back."""
        for lease in list(self.leases[annotator].values()):
            self.release(annotator, lease.pick)

    def admit(self, annotator: str, pick: Pick) -> None:
        """May this annotator answer now? `Conflict` when it was answered, or is with somebody else."""
        if WITHDRAWN in self.shut.get(pick.place, ()):
            raise Withdrawn("this item is no longer asked for")
        if self.people[annotator].did(pick.place, pick.purpose):
            raise Conflict("you have answered this item already", code="already_labelled")
        if slot_of(pick) not in self.leases[annotator] and not self.open_to(annotator, pick.place, pick.purpose):
            raise Conflict("somebody else has this item by now", code="taken")

    def wait_for(self, annotator: str) -> float | None:
        """Seconds until the first lease of others ends that this annotator could then have."""
        acts = self.people[annotator].acts
        ends = [
            lease.until
            for name, lease in self.everybodys()
            if name != annotator and not slot_of(lease.pick)[1] and lease.pick.place not in acts
        ]
        return max(0.0, min(ends) - self.clock()) if ends else None

    def adopt(self, old: "Line", *, hold: bool) -> None:
        """Leases, and with `hold` items held back, of this line as it was before new items or rules came."""
        for place in (place for place, why in old.shut.items() if hold and NAMED in why):
            if (here := self.places.of(old.ids[place])) is not None:
                self.close(here, NAMED)
        for annotator, lease in old.everybodys():
            here = self.places.of(old.ids[lease.pick.place])
            if here is not None and self.open_to(annotator, here, lease.pick.purpose):
                self.lease(annotator, lease.tab, lease.pick._replace(place=here), lease.until)
        for name, person in old.people.items():
            self.people[name].views = max(self.people[name].views, person.views)
            self.people[name].gold_at = max(self.people[name].gold_at, person.gold_at)

    def _next(self, annotator: str) -> int | None:
        """The first takable place: one that came back, else the next in the line that this person has not passed."""
        for place in list(self.returned):
            if not self.free[place]:
                del self.returned[place]
            elif self._takable(annotator, place):
                return place
        person = self.people[annotator]
        while (place := self.free.find(1, person.at)) >= 0:
            if self._takable(annotator, place):
                return place
            person.at = place + 1
        return None

    def _takable(self, annotator: str, place: int) -> bool:
        return self.open_to(annotator, place) and (place, "") not in self.leases[annotator]

    def _wished(self, policy: str) -> Iterator[int]:
        """Free places by a policy of the reward model."""
        way = self.order.way(policy) if self.order else np.array([], np.int64)
        for at in range(0, len(way), CHUNK):
            part = way[at : at + CHUNK]
            yield from part[np.frombuffer(self.free, np.uint8)[part] == 1].tolist()

    def purpose_now(self, annotator: str, pick: Pick) -> str:
        """Why this answer is wanted: as it was leased, or, when that lapsed, as the item stands now."""
        late = pick.purpose in ("label", "overlap", "tiebreak") and slot_of(pick) not in self.leases[annotator]
        return self._purpose(pick.place) if late else pick.purpose

    def _purpose(self, place: int) -> str:
        if self.done[place] >= self.base[place]:
            return "tiebreak"
        return "overlap" if self.base[place] > 1 else "label"

    # --- who did what

    def apply(self, j: Judgement) -> None:
        """Count one act as it happens."""
        self.mark(j)
        place = self.places.of(j.item)
        if place is None or j.axis != self.axis or j.purpose in ("adjudication", WRITE):
            return
        label, person = j.kind in LABEL_KINDS and j.kind != "edit", self.people[j.annotator]
        with self._weighing(place):
            if j.purpose == "import":
                self.done[place] += label
            elif j.kind == "edit":
                person.edits.add(j.uid)
                person.recent.append((j.uid, place))
            elif label or j.kind in ("skip", "flag", "undo"):
                self._act(person, place, j, "label" if label else j.kind)

    def mark(self, j: Judgement) -> None:
        """Note what opens or closes an item: flags and withdrawals on every axis, gold and adjudication on one."""
        place = self.places.of(j.item)
        if place is None:
            return
        with self._weighing(place):
            if j.kind in ("clear", "undo") and place in self.shut:
                self.shut[place].discard(j.payload["of"])
            elif j.kind == "flag":
                self.shut[place].add(str(j.uid))
            elif j.kind == "withdraw":
                self.shut[place].add(WITHDRAWN)
                for annotator, lease in list(self.everybodys()):
                    if lease.pick.place == place:
                        self.release(annotator, lease.pick)
            elif j.kind == "gold" and j.axis == self.axis:
                self._set_gold(place, j.payload)
            elif j.purpose == "adjudication" and j.kind in LABEL_KINDS and j.axis == self.axis:
                self.shut[place].add(ADJUDICATED)

    def _act(self, person: Person, place: int, j: Judgement, act: str) -> None:
        if act == "undo" and (of := UUID(j.payload["of"])) in person.edits:
            person.unedit(of)
            return
        if person.forget(place, j.purpose) == "label" and j.purpose not in CHECKS:
            self.done[place] -= 1
            self.said.get(place, {}).pop(j.annotator, None)
            if self.order:
                self.order.unheard(place, j.annotator)
        if act != "undo":
            person.note(place, j.purpose, act, j.uid, day_of(j.ts), j.ms_active or j.ms_shown)
        if act == "label" and j.purpose == "calibration":
            person.taught.append(agrees(j.payload, self.gold.get(place, {}).get("answer", {})))
        elif act == "label" and j.purpose not in CHECKS:
            self.done[place] += 1
            if self.base[place] > 1:
                self.said[place][j.annotator] = word_of(j.payload)
            if self.order:
                self.order.heard(place, word_of(j.payload), j.annotator)
        self.release(j.annotator, Pick(place, j.purpose))

    def undoable(self, annotator: str, uid: UUID, pick: Pick) -> None:
        """`Conflict` unless `uid` is among the last acts of this annotator and still holds."""
        person, place = self.people[annotator], pick.place
        if ADJUDICATED in self.shut.get(place, ()) and pick.purpose not in CHECKS:
            raise Conflict("a lead has decided this item by now", code="adjudicated")
        stands = uid in person.edits or (person.did(place, pick.purpose) and pick.purpose != "calibration")
        if (uid, place) not in person.recent or not stands:
            raise Conflict("this can no longer be undone", code="not_undoable")

    def golden(self) -> list[int]:
        """Gold items that may be shown: neither flagged nor withdrawn nor held back."""
        return [place for place in sorted(self.gold) if self.shut[place] <= {GOLD, ADJUDICATED}]

    def progress(self, annotator: str) -> dict[str, Json]:
        """Own checks count as items do: a sum that stood still after one would tell it."""
        person = self.people[annotator]
        aside = sum(act == "label" and purpose != "calibration" for (_, purpose), act in person.checks.items())
        return {**person.figures(), "done": self.got + aside, "needed": self.wanted + aside}

    def close(self, place: int, why: str) -> None:
        """Serve this place to nobody any more."""
        with self._weighing(place):
            self.shut[place].add(why)

    def recount(self) -> None:
        """All sums anew, after many acts were counted at once."""
        for place in {*self.said, *(self.order.again if self.order else ())}:
            self.needed[place] = self._needs(place)
        needed, done = np.frombuffer(self.needed, np.uint8), np.frombuffer(self.done, np.uint16)
        got = np.minimum(needed, done)
        open_ = np.ones(len(needed), bool)
        open_[[place for place, why in self.shut.items() if why]] = False
        self.wanted, self.got = int(np.where(open_, needed, got).sum()), int(got.sum())
        busy = done + np.frombuffer(self.leased, np.uint8)
        self.free[:] = (open_ & (busy < needed)).astype(np.uint8).tobytes()

    def _set_gold(self, place: int, payload: dict[str, Json]) -> None:
        if payload["on"]:
            self.gold[place] = payload
            self.shut[place].add(GOLD)
        else:
            self.gold.pop(place, None)
            self.shut[place].discard(GOLD)

    def _needs(self, place: int) -> int:
        split = self.base[place] > 1 and contradict(set(self.said.get(place, {}).values()))
        return self.base[place] + split + self._again(place)

    def _again(self, place: int) -> bool:
        return self.order is not None and place in self.order.again

    @contextmanager
    def _weighing(self, place: int) -> Iterator[None]:
        """Keep the sums and `free` true while something of a place changes."""
        wanted, got = self._weight(place)
        yield
        self.needed[place] = self._needs(place)
        wants, gets = self._weight(place)
        self.wanted, self.got = self.wanted + wants - wanted, self.got + gets - got
        self._settle(place)

    def _weight(self, place: int) -> tuple[int, int]:
        got = min(self.done[place], self.needed[place])
        return got if self.shut.get(place) else self.needed[place], got

    def _settle(self, place: int) -> None:
        was, busy = self.free[place], self.done[place] + self.leased[place]
        self.free[place] = not self.shut.get(place) and busy < self.needed[place]
        if self.free[place] and not was:
            self.returned[place] = None


def slot_of(pick: Pick) -> Slot:
    return pick.place, check_of(pick.purpose)
