"""Projects: the newest words hold, names are unique among the open ones."""

from dataclasses import asdict, replace

import pytest

from workbench.errors import Conflict, NotFound, UsageError
from workbench.schema import Event
from workbench.store import projects
from workbench.store.db import uid


def test_the_latest_words_hold(store, project) -> None:
    projects.change(store, "lead", project.id, guideline="Be kind.")
    second = projects.create(store, "lead", "Coffee", ["rank"], eval_share=0.2)
    assert (project.id, second.id) == (1, 2)
    assert projects.get(store, "Tea").guideline == "Be kind."
    assert projects.get(store, 2) == projects.get(store, "2") == second
    assert [p.name for p in projects.all(store)] == ["Tea", "Coffee"]


def test_what_an_older_home_tells_of_a_project_is_passed_over(store, project) -> None:
    store.append(Event(uid(), "lead", "project", asdict(project) | {"members": [], "name": "Mate"}))
    assert projects.all(store) == [replace(project, name="Mate")]


def test_what_cannot_be_is_refused(store, project) -> None:
    with pytest.raises(NotFound, match="no project 'Milk'; there are: Tea"):
        projects.get(store, "Milk")
    with pytest.raises(Conflict):
        projects.create(store, "lead", " Tea ")
    for fields in (
        {"eval_share": 0.3},
        {"tasks": ["scale"]},
        {"tasks": []},
        {"name": ""},
        {"id": 4},
        {"colour": "red"},
    ):
        with pytest.raises(UsageError):
            projects.change(store, "lead", project.id, **fields)
    projects.change(store, "lead", project.id, archived=True)
    again = projects.create(store, "lead", "Tea")
    assert projects.get(store, "Tea") == again
