"""How each person stands in a project: paused, let through calibration, which guideline was read. From events.

Leaves out what they labelled (`line`) and who may come in at all (`app.accounts`).
"""

from collections import defaultdict

from workbench.schema import Event
from workbench.store import events
from workbench.store.db import Store, uid

KINDS = ("pause", "calibration", "guideline_read")


class People:
    """Of one project. `calibrated` are those a lead let through; `again` the number since when lessons count anew."""

    def __init__(self, store: Store, project: int) -> None:
        self.store, self.project = store, project
        self.paused: set[str] = set()
        self.calibrated: set[str] = set()
        self.again: dict[str, int] = {}
        self.read: defaultdict[str, int] = defaultdict(int)
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

    def _tell(self, actor: str, kind: str, **payload: object) -> None:
        event = Event(uid(), actor, kind, {"project": self.project, **payload})
        [seq] = self.store.append(event)
        self._note(seq, event)

    def _note(self, seq: int, event: Event) -> None:
        told = event.payload
        if event.kind == "pause":
            (self.paused.add if told["on"] else self.paused.discard)(told["annotator"])
        elif event.kind == "guideline_read":
            self.read[event.actor] = max(self.read[event.actor], told["version"])
        elif told["state"] == "passed":
            self.calibrated.add(told["annotator"])
        else:
            self.calibrated.discard(told["annotator"])
            self.again[told["annotator"]] = seq
