"""Long children that work for a project: started in a numbered folder, watched, stopped, taken up after a restart.

Leaves out what they are asked, and what becomes of those that are done: a `Work` says it (`ordering`, `worth`).
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.app.house import House
from workbench.errors import Conflict, StorageUnavailable
from workbench.jobs import process
from workbench.jobs.folder import END_STATES, read_json, write_json
from workbench.jobs.models import Model

LOOK_SECONDS = 0.2
GRACE = 10.0
Ended = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Work:
    """One kind of it, at most one child for a project at once.

    root      folder of the home in which each child has its own; none is left of a child that is done or stopped
    module    what runs: python -m module --job FOLDER
    settle    (house, folder): take up what `ended` there; whoever asks how far it is does it, and may do it again
    """

    root: str
    module: str
    settle: Callable[[House, Path], None]

    def start(
        self, house: House, project: int, model: Model, config: dict[str, Any], write: Callable[[Path], object]
    ) -> None:
        """Start a child on `config` and on what `write` puts into its folder; `Conflict` while there is another."""
        with house.store.lock:
            for job in self.jobs(house, project):
                if described(job)["state"] not in END_STATES:
                    name = read_json(job / "config.json")["model"]["name"]
                    raise Conflict(f"{name} is at work on this project already: wait for it, or stop it first")
                shutil.rmtree(job)
            job = self.folder(house)
            write_json(job / "starter.json", (os.getpid(), process.identity(os.getpid())))
            write_json(job / "config.json", {"project": project, "model": place(model)} | config)
        try:
            write(job)
            write_json(job / "child.json", process.start(self.module, ["--job", str(job)], job))
        except BaseException:
            shutil.rmtree(job)
            raise
        threading.Thread(target=self.attend, args=[house, job], daemon=True).start()

    def folder(self, house: House) -> Path:
        """An empty one, with a number that none had before; call it under the store's lock."""
        root = house.home / self.root
        root.mkdir(exist_ok=True)
        number = max((int(path.stem) for path in root.glob("[0-9]*")), default=0) + 1
        folder = root / f"{number:06d}"
        folder.mkdir()
        return folder

    def state(self, house: House, project: int) -> dict[str, Any] | None:
        """How far the child of a project is, or why there is no result of it; None when there is none."""
        for job in self.jobs(house, project):
            self.settle(house, job)
        return next(map(described, self.jobs(house, project)), None)

    def stop(self, house: House, project: int) -> None:
        for job in self.jobs(house, project):
            if child := read_json(job / "child.json"):
                process.stop(*child, grace=GRACE)
            self.settle(house, job)
            shutil.rmtree(job, ignore_errors=True)

    def jobs(self, house: House, project: int) -> list[Path]:
        found = sorted(path.parent for path in (house.home / self.root).glob("[0-9]*/config.json"))
        return [job for job in found if (read_json(job / "config.json") or {}).get("project") == project]

    def attend(self, house: House, job: Path) -> None:
        """Wait for the child, and take up at once what it leaves."""
        while alive(job):
            time.sleep(LOOK_SECONDS)
        with suppress(StorageUnavailable):  # closed, or full: whoever asks next takes it up
            self.settle(house, job)


def place(model: Model) -> dict[str, Any]:
    """What a child has to know of a model."""
    return {"name": model.name, "path": model.path, "base_path": model.base_path, "kind": model.kind}


def ended(job: Path) -> Ended | None:
    """Config and status of a child that is done; call it under the store's lock, so that only one takes it up."""
    config, status = (read_json(job / f"{name}.json") for name in ("config", "status"))
    return (config, status) if config and status and status["state"] == "done" else None


def alive(job: Path) -> bool:
    """The child, or before there is one whoever is about to start it."""
    known = read_json(job / "child.json") or read_json(job / "starter.json")
    return bool(known) and process.alive(*known)


def described(job: Path) -> dict[str, Any]:
    """State and progress of a child; `interrupted` when its process is gone before the end."""
    running = alive(job)  # asked first: it may end between the two looks
    status = read_json(job / "status.json") or {"state": "starting"}
    if not running and status["state"] not in END_STATES:
        status["state"] = "interrupted"
    told = {name: status.get(name) for name in ("state", "step", "steps", "message")}
    return told | {"model": read_json(job / "config.json")["model"]["name"]}
