"""The training runs of a home: folders with a child each, one child at a time. Leaves out the training itself."""

import threading
import time
from pathlib import Path
from typing import Any

from workbench.errors import Conflict, NotFound
from workbench.jobs import process
from workbench.jobs.folder import END_STATES, read_json, read_lines, write_json
from workbench.training.hparams import RunConfig

WORKER = "workbench.training.worker"
POINTS = 300
GRACE = 60.0
INTERRUPTED = "the process ended without a word; resume goes on from the last checkpoint"


def patience(status: dict[str, Any]) -> float:
    """Seconds that a run has to hear a wish to stop: more where one step takes long."""
    left = (status.get("steps") or 0) - (status.get("step") or 0)
    return max(GRACE, 3 * (status.get("eta_s") or 0) / left) if left > 0 else GRACE


class Runs:
    """Start, watch, stop and resume runs. State lives in the run folders, so a restart of the server loses nothing."""

    def __init__(self, home: Path) -> None:
        self.root = home / "runs"
        self.root.mkdir(exist_ok=True)
        self.lock = threading.RLock()
        self.over: set[int] = set()  # runs that need no look any more
        self.ending: set[int] = set()  # runs that are being ended by force

    def folder(self, number: int) -> Path:
        path = self.root / f"{number:06d}"
        if not (path / "config.json").exists():
            raise NotFound(f"no run {number}")
        return path

    def numbers(self) -> list[int]:
        return sorted(int(p.parent.name) for p in self.root.glob("[0-9]*/config.json"))

    def create(self, config: RunConfig) -> None:
        """Make the run's folder and put it in the queue."""
        path = self.root / f"{config.run:06d}"
        path.mkdir(mode=0o700)
        write_json(path / "status.json", {"state": "queued", "attempt": 0, "step": 0, "steps": None, "message": None})
        write_json(path / "config.json", config.model_dump(mode="json"))

    def config(self, number: int) -> RunConfig:
        return RunConfig.model_validate(read_json(self.folder(number) / "config.json"))

    def status(self, number: int) -> dict[str, Any]:
        """status.json, corrected: a run whose process is gone before its end is `interrupted`."""
        with self.lock:
            path = self.folder(number)
            alive = self._alive(path)  # asked first: it may end between the two looks
            status = read_json(path / "status.json")
            if not alive and status["state"] not in {*END_STATES, "queued"}:
                status |= {"state": "interrupted", "message": INTERRUPTED}
                write_json(path / "status.json", status)
            return status

    def metrics(self, number: int) -> list[dict[str, Any]]:
        """At most about 300 lines, first and last and every evaluation among them."""
        lines, _ = read_lines(self.folder(number) / "metrics.jsonl")
        every = max(1, len(lines) // POINTS)
        last = len(lines) - 1
        return [
            line
            for i, line in enumerate(lines)
            if i % every == 0 or i == last or any(key.startswith("eval_") for key in line)
        ]

    def tick(self) -> None:
        """Start the oldest queued run when no other is running. Called again and again by whoever owns the home."""
        with self.lock:
            states = {n: self.status(n)["state"] for n in self.numbers() if n not in self.over}
            self.over |= {n for n, state in states.items() if state in END_STATES}
            running = [n for n, state in states.items() if state not in {*END_STATES, "queued"}]
            for number in running:
                self._end_hanging(number)
            if not running and (waiting := [n for n, state in states.items() if state == "queued"]):
                self._start(waiting[0])

    def stop(self, number: int, *, save: bool = True) -> None:
        """Ask the run to end after its current step, with a checkpoint when `save`."""
        with self.lock:
            path, status = self.folder(number), self.status(number)
            if status["state"] == "queued":
                write_json(path / "status.json", status | {"state": "stopped", "message": "taken out of the queue"})
            elif status["state"] not in END_STATES:
                write_json(path / "control.json", {"action": "save_and_stop" if save else "stop", "since": time.time()})

    def resume(self, number: int) -> None:
        """Put an ended, unfinished run back in the queue; it goes on from its last valid checkpoint."""
        with self.lock:
            path, status = self.folder(number), self.status(number)
            if status["state"] == "done" or status["state"] not in END_STATES:
                raise Conflict(f"run {number} is {status['state']}: only a run that ended early can be resumed")
            (path / "control.json").unlink(missing_ok=True)
            write_json(path / "status.json", status | {"state": "queued", "message": None})
            self.over.discard(number)
            self.ending.discard(number)

    def _start(self, number: int) -> None:
        path = self.folder(number)
        status = read_json(path / "status.json")
        write_json(path / "status.json", status | {"state": "starting"})
        resume = ["--resume"] if status["attempt"] else []
        pid, known = process.start(WORKER, [str(path), *resume], path)
        write_json(path / "child.json", {"pid": pid, "identity": known})

    def _end_hanging(self, number: int) -> None:
        """A child that was asked to stop and does not hear is ended, in a thread of its own."""
        path = self.folder(number)
        asked = (read_json(path / "control.json") or {}).get("since")
        if asked and time.time() - asked > patience(read_json(path / "status.json")) and number not in self.ending:
            self.ending.add(number)
            child = read_json(path / "child.json")
            threading.Thread(
                target=process.stop, args=[child["pid"], child["identity"]], kwargs={"grace": 10.0}
            ).start()

    def _alive(self, path: Path) -> bool:
        """By what we noted at the start, or, if we were killed before that, by what the child said itself."""
        known = (read_json(path / name) or {} for name in ("child.json", "status.json"))
        return any(process.alive(child.get("pid"), child.get("identity")) for child in known)
