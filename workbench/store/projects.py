"""Projects: a name, the tasks it asks for, its evaluation share and guideline. Leaves out items and labels."""

from dataclasses import asdict, dataclass, field, fields, replace

from workbench.errors import Conflict, NotFound, UsageError
from workbench.schema import Event, Json
from workbench.store.db import Store, uid

TASKS = ("pair", "thumb", "rank")


@dataclass(frozen=True)
class Project:
    """Groups below `eval_share` are never trained on. Nobody labels an archived project; its data stays."""

    id: int
    name: str
    tasks: list[str] = field(default_factory=lambda: ["pair", "thumb"])
    eval_share: float = 0.1
    guideline: str = ""
    archived: bool = False


def create(
    store: Store,
    actor: str,
    name: str,
    tasks: tuple[str, ...] | list[str] = ("pair", "thumb"),
    eval_share: float = 0.1,
) -> Project:
    with store.lock:
        project = Project(store.next_id("projects"), name.strip(), list(tasks), eval_share)
        return _put(store, actor, project)


def change(store: Store, actor: str, id: int | str, /, **new: Json) -> Project:
    """The project with some fields changed; its number stays."""
    with store.lock:
        project = get(store, id)
        if unknown := set(new) - set(asdict(project)) | set(new) & {"id"}:
            raise UsageError(f"a project has no changeable {', '.join(sorted(unknown))}")
        return _put(store, actor, replace(project, **new))


def all(store: Store) -> list[Project]:
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
    if not 0 <= project.eval_share <= 0.2:
        raise UsageError(f"eval_share {project.eval_share!r}: from 0 to 0.2")
