"""How each person stands in a project: paused, let through calibration, what was read of guideline and messages.

All from events. Leaves out what they labelled (`line`) and who may come in at all (`app.accounts`).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from workbench.errors import NotFound
from workbench.schema import Event, Json
from workbench.store import events
from workbench.store.db import Store, uid

KINDS = ("pause", "calibration", "guideline_read", "message", "message_read")


@dataclass
class Note:
    """What a lead wrote to one person."""

    number: int
    by: str
    to: str
    text: str
    at: datetime
    read: datetime | None = None

    def told(self) -> dict[str, Json]:
        read = self.read and self.read.isoformat(timespec="seconds")
        at = self.at.isoformat(timespec="seconds")
        return {"id": self.number, "by": self.by, "text": self.text, "at": at, "read": read}


class People:
    """Of one project. `calibrated` are those a lead let through; `again` the number since when lessons count anew."""

    def __init__(self, store: Store, project: int) -> None:
        self.store, self.project = store, project
        self.paused: set[str] = set()
        self.calibrated: set[str] = set()
        self.again: dict[str, int] = {}
        self.read: defaultdict[str, int] = defaultdict(int)
        self.notes: dict[int, Note] = {}
        for seq, event in events.of_kinds(store, KINDS):
            if event.payload["project"] == project:
                self._note(seq, event)

    def since(self, annotator: str) -> int:
        """Calibration answers before this number do not count."""
        return self.again.get(annotator, 0)

    def pause(self, actor: str, annotator: str, *, on: bool) -> None:
        self._tell(actor, "pause", annotator=annotator, on=on)

    def calibration(self, actor: str, annotator: str, state: str) -> None:
        """`passed`: let through; `again`: from the first gold item on."""
        self._tell(actor, "calibration", annotator=annotator, state=state)

    def guideline_read(self, annotator: str, version: int) -> None:
        self._tell(annotator, "guideline_read", version=version)

    def message(self, actor: str, annotator: str, text: str) -> int:
        """Shown to this person until it is read. Its number."""
        return self._tell(actor, "message", annotator=annotator, text=text)

    def message_read(self, annotator: str, number: int) -> None:
        """Only who it was written to can read it, and only the first time counts."""
        note = self.notes.get(number)
        if note is None or note.to != annotator:
            raise NotFound(f"no message {number}")
        if note.read is None:
            self._tell(annotator, "message_read", message=number)

    def messages(self, annotator: str, *, unread: bool = False) -> list[dict[str, Json]]:
        """Those to this person, oldest first."""
        mine = (note for note in list(self.notes.values()) if note.to == annotator)
        return [note.told() for note in mine if not (unread and note.read)]

    def _tell(self, actor: str, kind: str, **payload: object) -> int:
        event = Event(uid(), actor, kind, {"project": self.project, **payload})
        [seq] = self.store.append(event)
        self._note(seq, event)
        return seq

    def _note(self, seq: int, event: Event) -> None:
        told = event.payload
        if event.kind == "pause":
            (self.paused.add if told["on"] else self.paused.discard)(told["annotator"])
        elif event.kind == "guideline_read":
            self.read[event.actor] = max(self.read[event.actor], told["version"])
        elif event.kind == "message":
            self.notes[seq] = Note(seq, event.actor, told["annotator"], told["text"], event.ts)
        elif event.kind == "message_read":
            self.notes[told["message"]].read = event.ts
        elif told["state"] == "passed":
            self.calibrated.add(told["annotator"])
        else:
            self.calibrated.discard(told["annotator"])
            self.again[told["annotator"]] = seq
