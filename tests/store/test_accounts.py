"""Accounts and sessions as rows."""

from datetime import UTC, datetime, timedelta

import pytest

from workbench.errors import UsageError
from workbench.store import accounts
from workbench.store.accounts import Account


def test_the_latest_account_of_a_name_holds(store) -> None:
    accounts.put(store, "root", Account("bob", "annotator"))
    accounts.put(store, "root", Account("ann", "lead", "$argon2id$x"))
    accounts.put(store, "root", Account("bob", "annotator", disabled=True))
    assert accounts.all(store) == [Account("ann", "lead", "$argon2id$x"), Account("bob", "annotator", None, True)]
    with pytest.raises(UsageError, match="owner"):
        accounts.put(store, "root", Account("eve", "owner"))


def test_sessions_live_until_they_are_ended(store) -> None:
    for sha, name in (("a", "ann"), ("b", "ann"), ("c", "bob")):
        accounts.session_add(store, sha, name)
    name, created, seen = accounts.session_get(store, "a")
    assert (name, created) == ("ann", seen)
    assert datetime.now(UTC) - created < timedelta(minutes=1)
    accounts.session_touch(store, "a")
    assert accounts.session_get(store, "a")[2] > created
    accounts.session_end(store, "b")
    assert accounts.session_get(store, "b") is None
    accounts.sessions_end_all(store, "ann")
    assert accounts.session_get(store, "a") is None
    assert accounts.session_get(store, "c")[0] == "bob"
