"""Passwords, links, sessions and roles, on a real store."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from workbench.app import accounts as module
from workbench.app.accounts import LINK, LOCAL, WHOLE, Accounts, digest
from workbench.app.throttle import TooMany
from workbench.errors import Conflict, NotAllowed, NotFound, UsageError
from workbench.store import accounts as rows
from workbench.store.db import Store

PASSWORD, HERE = "correct horse battery", "127.0.0.1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home") as store:
        yield store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash with less work; `test_only_argon2id_is_kept` looks at the real one."""
    monkeypatch.setattr(module, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=64))


@pytest.fixture
def people(store: Store) -> Accounts:
    """`ada` rules, `ann` labels."""
    people = Accounts(store)
    people.welcome(people.first_link(), "ada", PASSWORD)
    people.welcome(people.invite("ada", "ann", "annotator"), "", PASSWORD)
    return people


def later(monkeypatch: pytest.MonkeyPatch, time: timedelta, of: Any = module) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + time

    monkeypatch.setattr(of, "datetime", Clock)


@pytest.mark.rule("S14")
def test_the_first_link_makes_one_admin_once(store: Store) -> None:
    people = Accounts(store)
    link = people.first_link()
    assert people.guest(link) == ""
    assert people.user_of(link) is None
    token = people.welcome(link, "ada", PASSWORD)
    assert (people.user_of(token), people.role("ada"), people.has_admin) == ("ada", "admin", True)
    with pytest.raises(NotAllowed, match="used already"):
        people.welcome(link, "eve", PASSWORD)
    with pytest.raises(NotAllowed):
        people.welcome(people.first_link(), "eve", PASSWORD)


@pytest.mark.rule("S14")
def test_links_grow_old(store: Store, people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    link = people.invite("ada", "bob", "lead")
    later(monkeypatch, LINK - timedelta(minutes=1))
    assert people.guest(link) == "bob"
    later(monkeypatch, LINK + timedelta(minutes=1))
    with pytest.raises(NotAllowed, match="too old"):
        people.guest(link)


@pytest.mark.rule("S14")
def test_the_first_link_lives_a_quarter_of_an_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    people = Accounts(store)
    link = people.first_link()
    later(monkeypatch, timedelta(minutes=16))
    with pytest.raises(NotAllowed, match="too old"):
        people.guest(link)


def test_a_newer_link_replaces_the_older(people: Accounts) -> None:
    old, new = people.invite("ada", "bob", "lead"), people.invite("ada", "bob", "annotator")
    with pytest.raises(NotAllowed):
        people.guest(old)
    assert people.user_of(people.welcome(new, "mallory", PASSWORD)) == "bob"
    assert people.role("bob") == "annotator"
    assert people.role("mallory") is None


@pytest.mark.rule("S34")
def test_only_argon2id_is_kept(store: Store, people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PasswordHasher", PasswordHasher)
    assert people.user_of(Accounts(store).sign_in("ann", PASSWORD, HERE)) == "ann"  # and hashes it anew
    assert PasswordHasher().check_needs_rehash(rows.all(store)[1].password) is False
    kept = [account.password for account in rows.all(store)]
    assert all(secret.startswith("$argon2id$") for secret in kept)
    assert not any(PASSWORD in line for line in (store.home / "journal" / "000001.jsonl").read_text().splitlines())


@pytest.mark.parametrize("password", ["short", "123456789", "x" * 1025, "密" * 400])
def test_passwords_have_a_size(people: Accounts, password: str) -> None:
    link = people.invite("ada", "bob", "lead")
    with pytest.raises(UsageError, match="at least 10"):
        people.welcome(link, "bob", password)
    assert people.guest(link) == "bob"


@pytest.mark.parametrize("name", ["", "a b", "local", "system", "import:3", "x" * 65, "a/b", "a\n", "Ada"])
def test_names_are_plain_and_distinct(people: Accounts, name: str) -> None:
    with pytest.raises((UsageError, Conflict)):
        people.invite("ada", name, "annotator")


def test_an_account_in_use_is_not_invited_again(people: Accounts) -> None:
    with pytest.raises(Conflict, match="already"):
        people.invite("ada", "ann", "admin")
    assert people.role("ann") == "annotator"


@pytest.mark.rule("S34")
def test_wrong_names_and_wrong_passwords_fail_alike(people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    verify = people._hasher.verify
    people._hasher = type(
        "Spy", (), {"verify": lambda _, *a: asked.append(a) or verify(*a), "hash": people._hasher.hash}
    )()
    said = set()
    for name in ("ada", "nobody"):
        with pytest.raises(NotAllowed) as refused:
            people.sign_in(name, "wrong password", HERE)
        said.add(refused.value.message)
    assert len(said) == 1
    assert len(asked) == 2
    with pytest.raises(NotAllowed):
        people.sign_in("ada", "x" * 1025, HERE)
    assert len(asked) == 2


@pytest.mark.rule("S35")
def test_guessing_is_slowed_down_also_over_a_restart(store: Store, people: Accounts) -> None:
    hashed, fits = [], people._fits
    people._fits = lambda *a: hashed.append(a) or fits(*a)
    for number in range(200):
        with pytest.raises((NotAllowed, TooMany)):
            people.sign_in("ada", f"guess {number}", f"10.0.0.{number}")
    assert len(hashed) <= 10
    with pytest.raises(TooMany, match="wait"):
        Accounts(store).sign_in("ada", PASSWORD, HERE)
    assert people.user_of(people.sign_in("ann", PASSWORD, HERE)) == "ann"


@pytest.mark.rule("S36")
def test_a_session_is_a_random_token_of_which_only_the_hash_is_kept(store: Store, people: Accounts) -> None:
    token = people.sign_in("ann", PASSWORD, HERE)
    assert len(token) == 43
    assert token != people.sign_in("ann", PASSWORD, HERE)
    assert rows.session_get(store, token) is None
    assert rows.session_get(store, digest(token))[0] == "ann"
    people.sign_out(token)
    assert people.user_of(token) is None
    assert rows.session_get(store, digest(token)) is None


@pytest.mark.rule("S36")
def test_a_session_survives_a_restart_but_not_its_end(store: Store, people: Accounts) -> None:
    token = people.sign_in("ann", PASSWORD, HERE)
    assert Accounts(store).user_of(token) == "ann"


@pytest.mark.rule("S36")
def test_a_session_ends_when_idle(people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    token = people.sign_in("ann", PASSWORD, HERE)
    for hours in (11, 22):
        later(monkeypatch, timedelta(hours=hours))
        assert people.user_of(token) == "ann"
    later(monkeypatch, timedelta(hours=35))
    assert people.user_of(token) is None


@pytest.mark.rule("S36")
def test_a_session_ends_after_a_week(people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    token = people.sign_in("ann", PASSWORD, HERE)
    for hours in range(0, 7 * 24, 6):
        later(monkeypatch, timedelta(hours=hours))
        assert people.user_of(token) == "ann"
    later(monkeypatch, WHOLE + timedelta(seconds=1))
    assert people.user_of(token) is None


@pytest.mark.rule("S36")
def test_use_is_remembered_over_a_restart(store: Store, people: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    token = people.sign_in("ann", PASSWORD, HERE)
    before = rows.session_get(store, digest(token))[2]
    later(monkeypatch, timedelta(minutes=6))
    people.user_of(token)
    people._later.shutdown(wait=True)
    assert rows.session_get(store, digest(token))[2] > before


@pytest.mark.rule("S36")
@pytest.mark.parametrize("change", [{"role": "lead"}, {"disabled": True}])
def test_a_change_of_the_account_ends_its_sessions(store: Store, people: Accounts, change: dict[str, Any]) -> None:
    token, other = people.sign_in("ann", PASSWORD, HERE), people.sign_in("ada", PASSWORD, HERE)
    people.change("ada", "ann", **change)
    assert people.user_of(token) is None
    assert Accounts(store).user_of(token) is None
    assert people.user_of(other) == "ada"
    assert people.role("ann") == (None if "disabled" in change else "lead")


@pytest.mark.rule("S36")
def test_a_new_password_ends_all_other_sessions(people: Accounts) -> None:
    old = people.sign_in("ann", PASSWORD, HERE)
    with pytest.raises(NotAllowed):
        people.set_password("ann", "wrong", "another long word", HERE)
    assert people.user_of(old) == "ann"
    new = people.set_password("ann", PASSWORD, "another long word", HERE)
    assert (people.user_of(old), people.user_of(new)) == (None, "ann")
    assert people.user_of(people.sign_in("ann", "another long word", HERE)) == "ann"


def test_a_lost_password_is_set_again_by_link(people: Accounts) -> None:
    token = people.sign_in("ann", PASSWORD, HERE)
    link = people.reset("ada", "ann")
    assert people.user_of(token) is None
    assert people.user_of(people.welcome(link, "", "another long word")) == "ann"


def test_a_link_of_a_disabled_account_is_dead(people: Accounts) -> None:
    link = people.invite("ada", "bob", "lead")
    people.change("ada", "bob", disabled=True)
    with pytest.raises(NotAllowed):
        people.welcome(link, "", PASSWORD)


@pytest.mark.parametrize("change", [{"role": "lead"}, {"disabled": True}])
def test_somebody_must_remain_to_rule(people: Accounts, change: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="only admin"):
        people.change("ada", "ada", **change)
    assert people.role("ada") == "admin"
    people.change("ada", "ann", role="admin")
    people.change("ada", "ada", **change)
    assert people.role("ann") == "admin"


@pytest.mark.rule("S40")
def test_each_change_is_one_line_of_the_journal(store: Store, people: Accounts) -> None:
    before = store.seq
    people.change("ada", "ann", role="lead")
    people.reset("ada", "ann")
    people.invite("ada", "bob", "lead")
    assert store.seq == before + 3


def test_who_is_there(people: Accounts) -> None:
    people.invite("ada", "bob", "lead")
    assert people.all() == [
        {"name": "ada", "role": "admin", "disabled": False, "pending": False},
        {"name": "ann", "role": "annotator", "disabled": False, "pending": False},
        {"name": "bob", "role": "lead", "disabled": False, "pending": True},
    ]
    assert people.role(LOCAL) == "admin"
    assert people.role(None) is None
    with pytest.raises(NotFound, match="no user 'eve'"):
        people.change("ada", "eve", role="lead")
