"""In and out over HTTP."""

from typing import Any

import pytest

PASSWORD = "correct horse battery"


def sign_in(client: Any, name: str, password: str = PASSWORD) -> Any:
    return client.post("/login", data={"name": name, "password": password})


@pytest.mark.rule("S36")
def test_signing_in_gives_a_new_cookie_that_scripts_cannot_read(as_user: Any) -> None:
    client = as_user()
    client.cookies["sid"] = "planted"
    answer = sign_in(client, "ann")
    assert (answer.status_code, answer.headers["location"]) == (303, "/app")
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=lax", "path=/"):
        assert part in cookie
    token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert token != "planted"
    assert as_user(**{"cookie": "sid=planted"}).get("/api/shell").status_code == 401
    assert as_user(**{"cookie": f"sid={token}"}).get("/api/shell").json()["user"] == "ann"


@pytest.mark.rule("S11")
def test_the_way_on_is_fixed(as_user: Any) -> None:
    for path in ("/login?next=//evil.example", "/login?next=https://evil.example"):
        answer = as_user().post(path, data={"name": "ann", "password": PASSWORD})
        assert answer.headers["location"] == "/app"
    assert as_user().get("/?next=//evil.example").headers["location"] == "/login"
    assert as_user("ann").get("/?next=//evil.example").headers["location"] == "/app"


@pytest.mark.parametrize(("lang", "said"), [("en", "not right"), ("zh", "不正确")])
def test_a_wrong_password_says_so_on_the_page(as_user: Any, lang: str, said: str) -> None:
    answer = sign_in(as_user(cookie=f"lang={lang}"), '"><img src=x>', "wrong password")
    assert answer.status_code == 403
    assert said in answer.text
    assert "<img src=x" not in answer.text


@pytest.mark.rule("S06")
def test_signing_out_is_a_post(as_user: Any, house_app: Any) -> None:
    token = house_app.house.accounts.sign_in("ann", PASSWORD, "127.0.0.1")
    client = as_user(cookie=f"sid={token}")
    assert client.get("/logout").status_code == 404
    assert client.get("/api/shell").status_code == 200
    out = client.post("/logout")
    assert out.headers["location"] == "/login"
    assert "left=1" in out.headers["set-cookie"]
    assert client.get("/api/shell").status_code == 401


@pytest.mark.rule("S14")
def test_a_link_tells_its_name_and_works_once(as_user: Any, house_app: Any) -> None:
    token = house_app.house.accounts.invite("ada", "zoe", "annotator")
    client = as_user()
    assert client.post("/welcome", data={"token": token}).json() == {"name": "zoe"}
    short = client.post("/welcome", data={"token": token, "password": "short"})
    assert (short.status_code, short.json()["code"]) == (422, "length")
    made = client.post("/welcome", data={"token": token, "name": "eve", "password": PASSWORD})
    assert made.json() == {"next": "/app"}
    assert as_user(cookie=f"sid={made.cookies['sid']}").get("/api/shell").json()["user"] == "zoe"
    for sent in ({"token": token}, {"token": token, "password": PASSWORD}, {"token": "x"}):
        assert client.post("/welcome", data=sent).json()["code"] == "dead_link"


def test_ones_own_password(as_user: Any, house_app: Any) -> None:
    house = house_app.house
    token = house.accounts.welcome(house.accounts.invite("ada", "kim", "annotator"), "", PASSWORD)
    client = as_user(cookie=f"sid={token}")
    assert "kim" in client.get("/password").text
    assert client.post("/password", data={"old": "wrong password", "new": "another long word"}).status_code == 403
    changed = client.post("/password", data={"old": PASSWORD, "new": "another long word"})
    assert changed.status_code == 303
    assert client.get("/api/shell").status_code == 401
    assert as_user().get("/password").status_code == 303


@pytest.mark.rule("S14")
def test_there_is_no_default_account(as_user: Any, house_app: Any) -> None:
    for guess in ("admin:admin", "admin:password", "root:root", "admin:", ":", "local:local", "system:system"):
        house_app.house.accounts.throttle.storage.reset()
        assert sign_in(as_user(), *guess.split(":")).status_code == 403


@pytest.mark.rule("S35")
def test_too_many_guesses_have_to_wait(as_user: Any, house_app: Any) -> None:
    throttle = house_app.house.accounts.throttle
    throttle.storage.reset()
    statuses = [sign_in(as_user(), "ghost", f"guess {n}").status_code for n in range(7)]
    assert statuses == [403] * 5 + [429] * 2
    throttle.storage.reset()
