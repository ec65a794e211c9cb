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


def test_writing_is_asked_on_the_first_axis_and_last(store, project) -> None:
    changed = projects.change(store, "lead", project.id, tasks=["rank", "pair"], write=True, axes={"safety": ""})
    assert (changed.asked("overall"), changed.asked("safety")) == (["pair", "rank", "write"], ["pair", "rank"])
    assert project.asked("overall") == ["pair", "thumb"]


def test_what_an_older_home_tells_of_a_project_is_passed_over(store, project) -> None:
    store.append(Event(uid(), "lead", "project", asdict(project) | {"colour": "red", "name": "Mate"}))
    assert projects.all(store) == [replace(project, name="Mate")]


def test_what_cannot_be_is_refused(store, project) -> None:
    with pytest.raises(NotFound, match="no project 'Milk'; there are: Tea"):
        projects.get(store, "Milk")
    with pytest.raises(Conflict):
        projects.create(store, "lead", " Tea ")
    for fields in (
        {"eval_share": 0.3},
        {"overlap": 1.1},
        {"axes": {"overall": ""}},
        {"axes": {"Two Words": ""}},
        {"names": "tell"},
        {"quota": 0},
        {"deadline": "tomorrow"},
        {"version": 3},
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


def test_a_guideline_has_a_version_that_grows_with_its_words(store, project) -> None:
    assert project.version == 0
    assert projects.change(store, "lead", project.id, guideline="Be kind.").version == 1
    assert projects.change(store, "lead", project.id, guideline="Be kind.", quota=3).version == 1
    found = projects.change(store, "lead", project.id, axes={"safety": "Do no harm."})
    assert (found.version, found.guidelines) == (2, {"overall": "Be kind.", "safety": "Do no harm."})
    assert projects.create(store, "lead", "Coffee", guideline="Be kind.").version == 1


def test_members_are_everybody_until_some_are_named(store, project) -> None:
    assert project.open_to("ann")
    found = projects.change(store, "lead", project.id, members=["bob"])
    assert (found.open_to("ann"), found.open_to("bob")) == (False, True)
