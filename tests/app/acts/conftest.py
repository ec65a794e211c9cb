"""A house in which no run is ever started, and how its acts are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.settings import Settings


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path / "home"))
    opened._closing.set()
    opened._watch.join()
    yield opened
    opened.close()


def do(house: House, act: str, **values: Any) -> dict[str, Any]:
    return ACTIONS[act](house, "local", **values)
