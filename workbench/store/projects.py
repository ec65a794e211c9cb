"""Projects: a name, what is asked and of whom, and the rules of the queue. Leaves out items and labels."""

import re
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from functools import lru_cache

from workbench.errors import Conflict, NotFound, UsageError
from workbench.schema import WRITE, Event, Json
from workbench.store.db import Store, uid

TASKS = ("pair", "thumb", "rank")
OVERALL = "overall"


LIMITS = {"eval_share": 0.2, "overlap": 1.0, "gold": 0.2, "repeats": 0.2}
NAMES = ("mask", "warn", "hold")
AXIS = re.compile(r"[a-z][a-z0-9_-]{0,30}")


@dataclass(frozen=True)
class Project:
    """Groups below `eval_share` are never trained on. Nobody labels an archived project; its data stays.

    axes             further passes over the items beside `overall`, each with its own queue: name -> guideline
    guideline_html   axis -> the guideline as clean HTML; `version` grows whenever a guideline changes
    members          who may label here, None for everybody; leads see every project
    overlap          share of items that two people label, chosen by a hash of the item
    gold, repeats    shares of views that check an annotator: items whose answer is known, own items with sides swapped
    calibrate        newcomers first answer gold items and are told what was right
    ordered          part of the queue goes by the scores of a reward model
    write            items whose answers are all bad are asked again: somebody writes a good one
    names            what happens to answers in which a model names itself
    quota, deadline  labels per person and day; last day as YYYY-MM-DD
    """

    id: int
    name: str
    tasks: list[str] = field(default_factory=lambda: ["pair", "thumb"])
    eval_share: float = 0.1
    guideline: str = ""
    archived: bool = False
    axes: dict[str, str] = field(default_factory=dict)
    guideline_html: dict[str, str] = field(default_factory=dict)
    version: int = 0
    members: list[str] | None = None
    overlap: float = 0.12
    gold: float = 0.05
    repeats: float = 0.02
    calibrate: bool = False
    ordered: bool = False
    best_worst: bool = False
    write: bool = False
    names: str = "mask"
    quota: int | None = None
    deadline: str | None = None
    paused: bool = False

    @property
    def guidelines(self) -> dict[str, str]:
        """Guideline by axis, `overall` first."""
        return {OVERALL: self.guideline, **self.axes}

    def asked(self, axis: str) -> list[str]:
        """The tasks on an axis, in the order of the screen."""
        return [task for task in TASKS if task in self.tasks] + [WRITE] * (self.write and axis == OVERALL)

    def open_to(self, name: str) -> bool:
        """May this annotator label here?"""
        return self.members is None or name in self.members


def create(
    store: Store,
    actor: str,
    name: str,
    tasks: tuple[str, ...] | list[str] = ("pair", "thumb"),
    eval_share: float = 0.1,
    **rules: Json,
) -> Project:
    with store.lock:
        project = Project(store.next_id("projects"), name.strip(), list(tasks), eval_share, **rules)
        return _put(store, actor, replace(project, version=int(any(project.guidelines.values()))))


def change(store: Store, actor: str, id: int | str, /, **new: Json) -> Project:
    """The project with some fields changed; its number stays."""
    with store.lock:
        project = get(store, id)
        if unknown := set(new) - set(asdict(project)) | set(new) & {"id", "version"}:
            raise UsageError(f"a project has no changeable {', '.join(sorted(unknown))}")
        changed = replace(project, **new)
        if changed.guidelines != project.guidelines:
            changed = replace(changed, version=project.version + 1)
        return _put(store, actor, changed)


def all(store: Store) -> list[Project]:
    """By number. Asked at every label: kept in memory until an event is stored."""
    return list(_all(store, store.told))


@lru_cache(4)
def _all(store: Store, told: int) -> list[Project]:
    known = [field.name for field in fields(Project)]  # an older home may tell more of a project
    found = [Project(**{k: v for k, v in told.items() if k in known}) for told in store.latest("projects")]
    return sorted(found, key=lambda p: p.id)


def get(store: Store, id: int | str) -> Project:
    """By number or name, of two with one name the one that is not archived."""
    for project in sorted(all(store), key=lambda p: p.archived):
        if id in (project.id, str(project.id), project.name):
            return project
    raise NotFound(f"no project {id!r}; there are: {', '.join(p.name for p in all(store)) or 'none yet'}")


def _put(store: Store, actor: str, project: Project) -> Project:
    check(project)
    if any(p.name == project.name and p.id != project.id and not p.archived for p in all(store)):
        raise Conflict(f"a project named {project.name!r} exists", code="name_taken")
    store.append(Event(uid(), actor, "project", asdict(project)))
    return project


def check(project: Project) -> None:
    """`UsageError` names the field that cannot be."""
    if not 1 <= len(project.name) <= 80 or project.name.isdigit() or not project.name.isprintable():
        raise UsageError(f"project name {project.name!r}: 1 to 80 characters, not only digits, no control characters")
    if not project.tasks or set(project.tasks) - set(TASKS):
        raise UsageError(f"tasks {project.tasks!r}: one or more of {', '.join(TASKS)}")
    for name, most in LIMITS.items():
        if not 0 <= (share := getattr(project, name)) <= most:
            raise UsageError(f"{name} {share!r}: from 0 to {most}")
    if wrong := [axis for axis in project.axes if not AXIS.fullmatch(axis) or axis == OVERALL]:
        raise UsageError(f"axis {wrong[0]!r}: lower-case letters, digits, - and _, not {OVERALL!r}")
    if project.names not in NAMES:
        raise UsageError(f"names {project.names!r}: one of {', '.join(NAMES)}")
    if project.quota is not None and project.quota < 1:
        raise UsageError(f"quota {project.quota!r}: at least 1 label a day, or none")
    try:
        date.fromisoformat(project.deadline or "2000-01-01")
    except ValueError:
        raise UsageError(f"deadline {project.deadline!r}: a day as YYYY-MM-DD, or none") from None
