"""Five, then a wait, by name and by address, from file to file."""

import time
from pathlib import Path

import pytest

from workbench.app.throttle import Throttle, TooMany


@pytest.mark.rule("S35")
def test_a_name_and_an_address_have_five_tries_each(tmp_path: Path) -> None:
    throttle = Throttle(tmp_path / "throttle.json")
    for number in range(5):
        throttle.check("ada", f"10.0.0.{number}")
        throttle.failed("ada", f"10.0.0.{number}")
    with pytest.raises(TooMany) as told:
        throttle.check("ada", "10.9.9.9")
    assert 1 <= told.value.seconds <= 60
    for number in range(5):
        throttle.failed(f"user {number}", "10.0.0.77")
    with pytest.raises(TooMany):
        throttle.check("bob", "10.0.0.77")
    throttle.check("bob", "10.0.0.1")


@pytest.mark.rule("S35")
def test_the_wait_ends_and_the_next_is_longer(tmp_path: Path) -> None:
    throttle = Throttle(tmp_path / "throttle.json", "2/second;3/hour")
    for _ in range(2):
        throttle.failed("ada", "a")
    with pytest.raises(TooMany) as first:
        throttle.check("ada", "b")
    time.sleep(1.05)
    throttle.check("ada", "b")
    throttle.failed("ada", "a")
    with pytest.raises(TooMany) as second:
        throttle.check("ada", "b")
    assert first.value.seconds == 1 < second.value.seconds


@pytest.mark.rule("S35")
def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    throttle = Throttle(tmp_path / "throttle.json")
    for _ in range(5):
        throttle.failed("ada", "a")
    with pytest.raises(TooMany):
        Throttle(tmp_path / "throttle.json").check("ada", "b")


def test_getting_in_clears_the_name_not_the_address(tmp_path: Path) -> None:
    throttle = Throttle(tmp_path / "throttle.json")
    for _ in range(5):
        throttle.failed("ada", "a")
    throttle.forget("ada")
    throttle.check("ada", "b")
    with pytest.raises(TooMany):
        throttle.check("ada", "a")
