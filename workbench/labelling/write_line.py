"""The line of answers to be written: items of which a label says that all their answers are bad.

Leaves out what every line does (`line`) and what may be written (`submission`).
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from uuid import UUID

import numpy as np

from workbench.labelling.line import Line, Pick
from workbench.labelling.meaning import word_of
from workbench.labelling.places import Places
from workbench.schema import WRITE, Judgement
from workbench.store.projects import OVERALL
from workbench.store.verdicts import OURS


class WriteLine(Line):
    """An item is wanted once while a label calls all of it bad; once it was written for, it stays done.

    Not before it has all its labels: that it is offered tells what others said of it. Of several who write, also after
    their lease has ended, the first is heard; the others lose the item then.

    labels  lines in which the items are labelled; they count every act before this one does
    bad     by place: who calls it so, and by which label, None where that is too old to be undone
    """

    writes = True
    lease_seconds = 1800.0  # a text takes longer than a choice, and whoever looks something up is away
    most = 3

    def __init__(self, places: Places, clock: Callable[[], float], labels: Collection[Line]) -> None:
        super().__init__(OVERALL, places, bytes(len(places)), clock)
        self.labels = labels
        self.bad: defaultdict[int, dict[str, UUID | None]] = defaultdict(dict)

    def open_to(self, annotator: str, place: int, purpose: str = "label") -> bool:
        """Whoever was given an item may come back to it, also when it is leased to others now: a text took minutes."""
        if purpose != WRITE or self.people[annotator].did(place, purpose):
            return super().open_to(annotator, place, purpose)
        return self.done[place] < self.needed[place] and not self.shut.get(place)

    def apply(self, j: Judgement) -> None:
        self.mark(j)
        place = self.places.of(j.item)
        if place is None or j.axis != self.axis:
            return
        with self._weighing(place):
            if j.purpose == WRITE:
                self._act(self.people[j.annotator], place, j, "label" if j.kind == "edit" else j.kind)
                for other in list(self.leases) if j.kind == "edit" else ():
                    self.release(other, Pick(place, WRITE))
            elif j.purpose in OURS and j.kind != "edit":
                self._hear(place, j)

    def golden(self) -> list[int]:
        """Nobody is checked by what they write."""
        return []

    def recount(self) -> None:
        written = np.flatnonzero(np.frombuffer(self.done, np.uint16)).tolist()
        for place in {*self.bad, *written}:
            self.needed[place] = self._needs(place)
        super().recount()

    def recognise(self, place: int, annotator: str, uid: UUID) -> None:
        """This was the last label of somebody: the one that calls all bad, if one does."""
        if annotator in self.bad.get(place, ()):
            self.bad[place][annotator] = uid

    def _hear(self, place: int, j: Judgement) -> None:
        """A label of another line, or what takes it back; an undo may also be that of an edit."""
        bad = self.bad.get(place, {})
        if j.kind != "undo" or bad.get(j.annotator) == UUID(j.payload["of"]):
            bad.pop(j.annotator, None)
        if word_of(j.payload) == "both_bad":
            self.bad[place][j.annotator] = j.uid
        elif not bad:
            self.bad.pop(place, None)

    def _purpose(self, place: int) -> str:
        return WRITE

    def _needs(self, place: int) -> int:
        return int(self.done[place] > 0 or (bool(self.bad.get(place)) and self._labelled(self.ids[place])))

    def _labelled(self, item: int) -> bool:
        places = [(line, line.places.of(item)) for line in self.labels]
        return all(line.done[place] >= line.needed[place] for line, place in places if place is not None)
