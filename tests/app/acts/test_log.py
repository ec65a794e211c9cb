"""Every act that changes something is in the audit log once, and no secret is."""

from typing import Any

import pytest

from tests.app.acts.conftest import do
from workbench.app.actions import ACTIONS, LOGGED, QUIET
from workbench.app.acts.act import brief, logged
from workbench.app.house import House
from workbench.errors import NotAllowed, NotFound

PASSWORD = "correct horse battery"


def lines(house: House, **asked: Any) -> list[tuple[str, str, dict[str, Any]]]:
    return [(e["who"], e["act"], e["on"]) for e in do(house, "audit", **asked)["entries"]]


def test_an_act_is_in_it_when_it_is_done(house: House) -> None:
    made = do(house, "project_create", name="tour")["id"]
    do(house, "project_change", project="tour", guideline="x" * 1000, quota=None)
    do(house, "projects")
    changed, created = lines(house)
    assert created == ("local", "project_create", {"id": made, "name": "tour"})
    assert changed[2]["guideline"].endswith("… (1000 characters)")
    assert (changed[2]["project"], changed[2]["quota"], len(changed[2]["guideline"]) < 250) == ("tour", None, True)
    assert [e[1] for e in lines(house, what="project_create")] == ["project_create"]
    assert lines(house, who="nobody") == []


def test_what_fails_or_only_reads_is_not(house: House) -> None:
    for act, values in (("data", {"project": 9}), ("project_change", {"project": 9, "paused": True})):
        with pytest.raises(NotFound):
            do(house, act, **values)
    do(house, "users")
    assert lines(house) == []
    assert set(ACTIONS) == {act.__name__ for act in QUIET + LOGGED}
    assert len(ACTIONS) == len(QUIET + LOGGED)
    assert {logged(act).role for act in LOGGED} <= {"annotator", "lead", "admin"}


def test_people_are_in_it_and_their_secrets_are_not(house: House) -> None:
    link = do(house, "user_add", name="ann")["link"].partition("#")[2]
    house.accounts.sign_out(house.accounts.welcome(link, "", PASSWORD))
    house.accounts.sign_in("ann", PASSWORD, "10.0.0.9")
    for name, password in (("ann", "wrong password"), ("my secret password", "x")):
        with pytest.raises(NotAllowed, match="wrong name or password"):
            house.accounts.sign_in(name, password, "10.0.0.9")
    house.accounts.set_password("ann", PASSWORD, "another long word", "10.0.0.9")
    token = do(house, "token_add", title="ci", user="ann")["token"]
    found = lines(house)
    assert [(who, act) for who, act, _ in reversed(found)] == [
        ("local", "user_add"),
        ("ann", "password_set"),
        ("ann", "sign_out"),
        ("ann", "sign_in"),
        ("ann", "sign_in_failed"),
        ("?", "sign_in_failed"),
        ("ann", "password_set"),
        ("local", "token_add"),
    ]
    for secret in (link, PASSWORD, "wrong password", "my secret password", "another long word", token):
        assert secret not in str(found)


def test_values_are_told_in_brief() -> None:
    assert [brief(value) for value in (None, True, 0.5, "a")] == [None, True, 0.5, "a"]
    assert brief({"a": ["x"]}) == '{"a": ["x"]}'
    assert brief(list(range(21))) == "21 of them"


def test_the_log_is_read_page_by_page(house: House) -> None:
    for number in range(5):
        do(house, "project_create", name=f"p{number}")
    first = do(house, "audit", limit=3)
    rest = do(house, "audit", limit=3, before=first["entries"][-1]["seq"])
    assert [len(first["entries"]), first["more"], len(rest["entries"]), rest["more"]] == [3, True, 2, False]
    assert (first["people"], first["acts"]) == (["local"], ["project_create"])
