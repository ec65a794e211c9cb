"""Who may invite whom, who sees whom, and which projects are whose."""

from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.errors import NotAllowed, NotFound

PASSWORD = "correct horse battery"


def do(house: House, act: str, actor: str = "local", **values: Any) -> dict[str, Any]:
    return ACTIONS[act](house, actor, **values)


@pytest.fixture
def tour(house: House) -> int:
    """A project of `ann`, with `lea` who leads; `bob` is no member."""
    for name, role in (("lea", "lead"), ("ann", "annotator"), ("bob", "annotator")):
        house.accounts.welcome(house.accounts.invite("system", name, role), "", PASSWORD)
    made = do(house, "project_create", "lea", name="tour")["id"]
    do(house, "project_change", "lea", project=made, members=["ann"])
    return made


def test_a_lead_invites_annotators_straight_into_a_project(house: House, tour: int) -> None:
    link = do(house, "user_add", "lea", name="kim", project=tour)["link"]
    assert house.accounts.guest(link.partition("#")[2]) == "kim"
    assert house.project(tour).members == ["ann", "kim"]
    again = do(house, "user_add", "lea", name="kim", project=tour)["link"]
    assert (again != link, house.project(tour).members) == (True, ["ann", "kim"])
    do(house, "project_change", "lea", project=tour, members=None)
    do(house, "user_add", "lea", name="kai", project=tour)
    assert house.project(tour).members is None


def test_a_lead_invites_nobody_else(house: House, tour: int) -> None:
    do(house, "user_add", name="lou", role="lead")
    do(house, "user_add", name="max")
    do(house, "user_change", name="max", disabled=True)
    before = house.accounts.all()
    for asked in (
        {"name": "eve", "role": "lead"},
        {"name": "eve", "role": "admin"},
        {"name": "lou"},  # invited as a lead: her link would be his
        {"name": "max"},  # locked out
        {"name": "lou", "role": "lead"},
    ):
        with pytest.raises(NotAllowed, match="for an admin"):
            do(house, "user_add", "lea", **asked)
    assert house.accounts.all() == before
    assert house.accounts.role("max") is None


def test_a_lead_sees_the_annotators_of_a_project(house: House, tour: int) -> None:
    do(house, "user_add", "lea", name="kim", project=tour)
    listed = do(house, "annotators", "lea", project=tour)["annotators"]
    assert [(a["name"], a["pending"], a["member"]) for a in listed] == [
        ("ann", False, True),
        ("bob", False, False),
        ("kim", True, True),
    ]


def test_annotators_see_their_own_projects_and_no_rules(house: House, tour: int) -> None:
    assert do(house, "projects", "bob") == {"projects": []}
    [seen] = do(house, "projects", "ann")["projects"]
    assert not {"members", "gold", "repeats", "overlap"} & set(seen)
    assert do(house, "projects", "lea")["projects"][0]["members"] == ["ann"]
    assert do(house, "projects", "ann", archived=True) == {"projects": []}
    assert house.project_for("lea", tour) == house.project_for("ann", tour)
    for number in (tour, 99):
        with pytest.raises(NotFound, match=f"^no project {number}$"):
            house.project_for("bob", number)
    assert house.project_of("bob", {"project": str(tour)}) is None


def test_whoever_may_no_longer_label_gives_back_the_leases(
    house: House, tour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(house.queue, "forget", lambda *who: given.append(who))
    do(house, "project_change", "lea", project=tour, members=["bob"])
    do(house, "project_change", "lea", project=tour, members=None)
    do(house, "project_change", "lea", project=tour, members=[])
    do(house, "user_change", name="ann", disabled=True)
    assert given == [("ann", tour), ("ann", tour), ("bob", tour), ("ann",)]
