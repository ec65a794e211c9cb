"""Everything one process holds open for one home: store, queue, runs, generator, accounts."""

import logging
import threading
from collections.abc import Mapping

from workbench.app.accounts import Accounts
from workbench.errors import NotFound
from workbench.generation.client import Generator
from workbench.jobs.runs import Runs
from workbench.labelling.queue import Queue
from workbench.settings import Settings
from workbench.store import projects
from workbench.store.db import Store
from workbench.store.projects import Project

log = logging.getLogger(__name__)


class House:
    """The open home. The server has one; a command without a server opens one for as long as it takes."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store, self.home = settings, store, store.home
        self.queue = Queue(store, sees=self.sees)
        self.runs = Runs(store.home)
        self.generator = Generator(store.home)
        self.accounts = Accounts(store)
        self.asked: dict[str, dict] = {}  # comparisons on screen, by request id
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_runs, daemon=True)

    @classmethod
    def open(cls, settings: Settings, *, url: str = "") -> "House":
        house = cls(settings, Store.open(settings.home, url=url))
        house._watch.start()
        return house

    def close(self) -> None:
        """Training goes on without us; generation, which nobody could read any more, ends."""
        self._closing.set()
        self._watch.join(timeout=5)
        self.generator.close()
        self.store.close()

    def project_of(self, user: str, cookies: Mapping[str, str]) -> Project | None:
        """The project a request is about: the one in its cookie, else the newest; None when there is none."""
        mine = self.projects_of(user)
        chosen = next((p for p in mine if str(p.id) == cookies.get("project")), None)
        return chosen or (mine[-1] if mine else None)

    def sees(self, user: str, project: Project) -> bool:
        """Annotators see what is open to them, leads everything."""
        return self.accounts.leads(user) or project.open_to(user)

    def projects_of(self, user: str) -> list[Project]:
        """The open projects that somebody may see."""
        return [p for p in projects.all(self.store) if not p.archived and self.sees(user, p)]

    def project_for(self, user: str, number: int) -> Project:
        """The project of this number; for whoever may not see it, it is not there."""
        found = next((p for p in self.projects_of(user) if p.id == number), None)
        if found is None:
            raise NotFound(f"no project {number}")
        return found

    def counted(self, user: str, project: Project, axis: str | None = None) -> dict[str, int]:
        """Labels asked for, those done, and this user's of today: all tasks of the project, all axes or one."""
        axes = [axis] if axis else project.guidelines
        found = [self.queue.progress(user, project.id, task, on) for on in axes for task in project.asked(on)]
        return {key: sum(progress[key] for progress in found) for key in ("needed", "done", "today")}

    def project(self, name: int | str) -> Project:
        """By number or name; `NotFound` when it is not there."""
        found = projects.get(self.store, name)
        if found.archived:
            raise NotFound(f"project {name} is archived")
        return found

    def _watch_runs(self) -> None:
        while not self._closing.wait(0.5):
            try:
                self.runs.tick()
            except Exception:
                log.exception("the run queue could not go on; it is tried again")
                self._closing.wait(5.0)
