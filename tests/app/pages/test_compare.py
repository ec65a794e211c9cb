"""The Compare page without a browser: what its table says, and when a vote is open."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import compare
from workbench.schema import Message
from workbench.settings import Settings

ASKED = SimpleNamespace(username="ada", cookies={"lang": "en"}, headers={})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path / "home"))
    ACTIONS["project_create"](opened, "ada", name="herbs")
    yield opened
    opened.close()


def vote(house: House, number: int, choice: Any) -> None:
    asked = {"project": 1, "prompt": Message("user", f"Question {number}?"), "actor": "ada", "whole": True}
    house.asked["r"] = asked | {"models": ["a", "b"], "texts": [f"Yes {number}", f"No {number}"]}
    ACTIONS["compare_vote"](house, "ada", request="r", choice=choice)


def test_each_column_counts_what_its_head_says(house: House) -> None:
    assert "No votes yet" in compare.table(house, ASKED)
    for number, choice in enumerate([1, 1, 0, "tie", "tie", "both_bad"]):
        vote(house, number, choice)
    cells = re.findall(r'data-head="([^"]+)"><span>([^<]*)', compare.table(house, ASKED))
    assert [head for head, _ in cells] == ["models", "first wins", "95 % interval", "decided votes", "ties", "both bad"]
    found = dict(cells)
    assert (found["models"], found["first wins"]) == ("b – a", "67%")
    assert (found["decided votes"], found["ties"], found["both bad"]) == ("3", "2", "1")
