"""Personal tokens: made once, kept as a hash, as good as their owner is now, ended for good."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.app.test_accounts import later
from workbench.app import tokens as module
from workbench.app.tokens import PREFIX, Tokens, digest
from workbench.store import audit, tokens

BASE = "http://127.0.0.1:7860"


@pytest.fixture
def bearer(house_app: Any) -> Any:
    """A client that is a program: a token and nothing else."""
    return lambda token: TestClient(house_app.app, BASE, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def person(house_app: Any) -> Any:
    """`person("lead")`: somebody new, by name."""
    accounts, made = house_app.house.accounts, []

    def make(role: str) -> str:
        name = f"t{len(accounts.all())}"
        accounts.welcome(accounts.invite("ada", name, role), "", "correct horse battery")
        made.append(name)
        return name

    yield make
    for name in made:
        accounts.change("ada", name, disabled=True)


@pytest.mark.rule("S36")
def test_only_the_hash_of_a_token_is_kept(house_app: Any, as_user: Any, person: Any) -> None:
    house, name = house_app.house, person("lead")
    made, secret = house.accounts.tokens.make(name, name, "ci", 90)
    assert (secret.startswith(PREFIX), len(secret)) == (True, 47)
    assert made.sha == digest(secret)
    kept = "".join(path.read_text() for path in (house.home / "journal").iterdir())
    assert digest(secret) in kept
    assert secret not in kept
    assert Tokens(house.store).owner(secret) == name
    assert Tokens(house.store).owner(made.sha) is None
    assert as_user(cookie=f"sid={secret}").get("/api/shell").status_code == 401  # a token is no session


def test_a_program_acts_as_its_owner_does_at_that_time(house_app: Any, bearer: Any, person: Any) -> None:
    accounts, name = house_app.house.accounts, person("annotator")
    program = bearer(accounts.tokens.make(name, name, "ci", 90)[1])
    assert program.get("/api/shell").json()["user"] == name
    assert program.post("/api/do/data", json={"project": 1}).status_code == 403
    accounts.change("ada", name, role="lead")
    assert program.get("/api/shell").json()["role"] == "lead"
    accounts.change("ada", name, disabled=True)
    assert program.get("/api/shell").status_code == 401
    accounts.change("ada", name, disabled=False)
    assert program.get("/api/shell").status_code == 401


def test_tokens_end(house_app: Any, bearer: Any, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts, name = house_app.house.accounts, person("lead")
    first, second, third = (accounts.tokens.make(name, name, f"{n}", 30) for n in range(3))
    with pytest.raises(Exception, match="no token"):
        accounts.tokens.revoke("ann", number=first[0].id, owner="ann")
    accounts.tokens.revoke(name, number=first[0].id, owner=name)
    assert [accounts.user_of_bearer(t[1]) for t in (first, second)] == [None, name]
    accounts.tokens._later.submit(int).result()
    assert tokens.last_used(house_app.house.store, second[0]) is not None
    assert tokens.last_used(house_app.house.store, third[0]) is None
    later(monkeypatch, module.timedelta(days=31), module)
    assert accounts.user_of_bearer(second[1]) is None
    monkeypatch.undo()
    accounts.reset("ada", name)
    assert accounts.user_of_bearer(third[1]) is None


def test_wrong_tokens_get_nowhere(bearer: Any) -> None:
    for wrong in ("", "x", PREFIX, PREFIX + "x" * 43, "local"):
        assert bearer(wrong).get("/api/shell").status_code == 401


def test_a_token_makes_no_token_and_sets_no_password(house_app: Any, bearer: Any, person: Any) -> None:
    name = person("admin")
    program = bearer(house_app.house.accounts.tokens.make(name, name, "ci", 1)[1])
    before = house_app.house.store.seq
    for path, sent in (
        ("/api/do/token_add", {"json": {"title": "longer"}}),
        ("/tokens", {"data": {"title": "longer"}}),
        ("/password", {"data": {"old": "correct horse battery", "new": "another long word"}}),
    ):
        answer = program.post(path, **sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "in_person")
    assert house_app.house.store.seq == before
    browser = {"cookie": f"sid={house_app.sid['ann']}", "origin": BASE}
    mixed = TestClient(house_app.app, BASE, headers={**program.headers, **browser})
    assert mixed.get("/api/shell").json()["user"] == "ann"  # with a cookie it is a browser, and the token nothing


def test_people_make_and_end_their_own_on_a_page(house_app: Any, as_user: Any, bearer: Any) -> None:
    ann, bob = as_user("ann"), as_user("bob")
    page = ann.post("/tokens", data={"title": "<b>nightly</b>", "days": 7})
    secret = page.text.partition('id="secret">')[2].partition("<")[0]
    assert "&lt;b&gt;nightly" in page.text
    assert bearer(secret).get("/api/shell").json()["user"] == "ann"
    assert secret not in ann.get("/tokens").text
    assert "nightly" not in bob.get("/tokens").text
    mine = ann.post("/api/do/tokens").json()["tokens"]
    number = next(t["id"] for t in mine if "nightly" in t["title"])
    assert bob.post("/tokens/revoke", data={"number": number}).status_code == 404
    assert bob.post("/api/do/tokens", json={"everybody": True}).status_code == 403
    assert bob.post("/api/do/token_add", json={"title": "x", "user": "ann"}).status_code == 403
    assert ann.post("/tokens/revoke", data={"number": number}).status_code == 303
    assert bearer(secret).get("/api/shell").status_code == 401
    for wrong in ({"title": ""}, {"title": "x", "days": 366}, {"title": "x", "days": 0}):
        assert ann.post("/tokens", data=wrong).status_code == 422
    log = str(audit.entries(house_app.house.store, "ann", limit=1000))
    assert "token_add" in log
    assert secret not in log
