"""What one annotator did in one line. Leaves out leases and what others did (`line`)."""

from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from uuid import UUID

from workbench.schema import Json

UNDOABLE = 10
PACE = 50
CHECKS = ("gold", "calibration", "repeat")  # purposes of views that test the annotator and fill no slot


def check_of(purpose: str) -> str:
    """Which check a view is, "" for one that fills a slot of its item."""
    return purpose if purpose in CHECKS else ""


@dataclass
class Person:
    """Acts are `label`, `skip` or `flag`, by place; those of checks by place and purpose.

    labels    places in the order of their labels: what may be shown again
    at        every free place before this one is the person's own, or among those that came back (`Line.returned`)
    views     views that were served, `gold_at` how many there were at the last gold item
    taught    of the calibration items, in their order: was the answer right?
    """

    acts: dict[int, str] = field(default_factory=dict)
    checks: dict[tuple[int, str], str] = field(default_factory=dict)
    edits: set[UUID] = field(default_factory=set)
    taught: list[bool] = field(default_factory=list)
    labels: "array[int]" = field(default_factory=lambda: array("i"))
    at: int = 0
    views: int = 0
    gold_at: int = 0
    recent: deque[tuple[UUID, int]] = field(default_factory=lambda: deque(maxlen=UNDOABLE))
    pace: deque[int] = field(default_factory=lambda: deque(maxlen=PACE))
    counts: Counter[str] = field(default_factory=Counter)
    day: int = 0
    today: int = 0

    def did(self, place: int, purpose: str) -> bool:
        return (place, purpose) in self.checks if purpose in CHECKS else place in self.acts

    def note(self, place: int, purpose: str, act: str, uid: UUID, day: int, spent: int | None) -> None:
        """Count one act of today or earlier."""
        if purpose in CHECKS:
            self.checks[place, purpose] = act
        else:
            self.acts[place] = act
        self.counts[act] += 1
        self.recent.append((uid, place))
        if act == "label":
            self.day, self.today = day, self.on(day) + 1
            if purpose not in CHECKS:
                self.labels.append(place)
            if spent:
                self.pace.append(spent)

    def forget(self, place: int, purpose: str) -> str | None:
        """Take the act on a place back; which one it was."""
        act = self.checks.pop((place, purpose), None) if purpose in CHECKS else self.acts.pop(place, None)
        if act is None:
            return None
        kept = (r for r in self.recent if r[1] != place or r[0] in self.edits)  # undone once, gone
        self.recent = deque(kept, maxlen=UNDOABLE)
        self.counts[act] -= 1
        if act == "label":
            self.today = max(0, self.today - 1)
            if purpose not in CHECKS:
                self.labels.remove(place)
        return act

    def unedit(self, uid: UUID) -> None:
        self.edits.discard(uid)
        self.recent = deque((r for r in self.recent if r[0] != uid), maxlen=UNDOABLE)

    def on(self, day: int) -> int:
        """Labels of one day, the last one or today."""
        return self.today if self.day == day else 0

    def figures(self) -> dict[str, Json]:
        return {
            "mine": self.counts["label"],
            "skipped": self.counts["skip"],
            "flagged": self.counts["flag"],
            "today": self.on(day_of(datetime.now(UTC))),
            "median_s": median(self.pace) / 1000 if self.pace else None,
        }


def day_of(ts: datetime) -> int:
    """The day in the server's time zone, as a number."""
    return ts.astimezone().toordinal()
