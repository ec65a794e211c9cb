"""The form of a project's rules stores what was changed in it, and opens a project to everybody only when told to."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages.settings import save, values_of
from workbench.settings import Settings


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path / "home"))
    yield opened
    opened.close()


def test_a_project_is_open_to_everybody_only_when_the_form_says_so(house: House) -> None:
    for name in ("ann", "bob"):
        ACTIONS["user_add"](house, "local", name=name)
    number = ACTIONS["project_create"](house, "local", name="Tea")["id"]

    def saved(**changed: Any) -> list[str] | None:
        form = values_of(house.project(number)) | changed
        save(house, SimpleNamespace(username="local"), number, *form.values())
        return house.project(number).members

    assert saved(quota=5) is None
    assert saved(members=["ann"]) == ["ann"]
    assert saved(members=["ann", "bob"]) == ["ann", "bob"]
    assert saved(members=[]) == []
    assert not house.project(number).open_to("ann")
    assert saved(paused=True) == []
    assert saved(everybody=True) is None
    assert saved(everybody=False) == []
