"""The gate over the assembled app: who gets past it, with what, and what every answer carries."""

import asyncio
import re
from typing import Any

import pytest

from workbench.app.dress import VERSION
from workbench.app.gate import JSON_BYTES, LAST_WORD, PUBLIC, STREAMS, Gate, hosts_of
from workbench.app.roles import all_routes

JOIN = "/app/gradio_api/queue/join"


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path)


@pytest.mark.rule("S13")
def test_a_stranger_gets_nowhere(house_app: Any, as_user: Any) -> None:
    asked = {(m, concrete(path)) for m, path, _ in all_routes(house_app.app.routes) if m not in ("?", "OPTIONS")}
    assert len(asked) >= 80
    for method, path in sorted(asked):
        if (method, path) in PUBLIC or path == "/assets/public/x":
            continue
        answer = as_user().request(method, path)
        assert answer.status_code in (401, 303), f"{method} {path}: {answer.status_code}"
        assert "components" not in answer.text
        if answer.status_code == 303:
            assert answer.headers["location"] == "/login"


@pytest.mark.rule("S13")
@pytest.mark.parametrize(
    "path",
    ["config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/startup-events", "gradio_api/file=/etc/passwd",
     "gradio_api/proxy=http://127.0.0.1/", "gradio_api/component_server", "info", "run", "api", "../config", "nothing",
     "gradio_api/runs", "monitoring", "robots.txt", "manifest.json", "login", "logout", "token", "user"],
)  # fmt: skip
def test_what_no_browser_needs_is_not_there(as_user: Any, path: str) -> None:
    for method in ("GET", "POST"):
        assert as_user("ada").request(method, f"/app/{path}").status_code == 404


@pytest.mark.rule("S05")
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:7861", "https://127.0.0.1:7860", ""]
)
@pytest.mark.parametrize("path", ["/login", "/welcome", "/logout", "/password", "/api/do/project_create", JOIN])
def test_a_foreign_page_changes_nothing(house_app: Any, as_user: Any, path: str, origin: str) -> None:
    before = house_app.house.store.seq
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        answer = as_user("ada", origin=origin).post(path, content=b"{}", headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (403, "origin")
    assert house_app.house.store.seq == before


@pytest.mark.rule("S05")
def test_only_a_bearer_without_cookies_needs_no_origin(house_app: Any, as_user: Any) -> None:
    head = {"authorization": f"Bearer {house_app.key}"}
    local, browser = as_user(), as_user("ada")
    for client in (local, browser):
        del client.headers["origin"]
    assert local.post("/api/do/projects", json={}, headers=head).status_code == 200
    assert local.get("/api/shell", headers=head).json()["user"] == "local"
    assert browser.post("/api/do/projects", json={}, headers=head).status_code == 403
    for wrong in (b"Bearer x", "Bearer é".encode("latin1"), "Bearer 密".encode()):
        assert local.post("/api/do/projects", json={}, headers={"authorization": wrong}).status_code == 401


@pytest.mark.rule("S07")
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:7860", "", "localhost.evil:7860"])
def test_a_foreign_host_is_refused(as_user: Any, host: str) -> None:
    assert as_user("ada").get("/api/shell", headers={"host": host}).status_code == 400
    assert as_user().get("/login", headers={"host": host}).status_code == 400


@pytest.mark.rule("S07")
def test_a_server_of_the_network_knows_addresses_but_no_foreign_names() -> None:
    gate = Gate(None, accounts=None, key="", pages={}, host="0.0.0.0", closing=asyncio.Event())
    assert gate.known("10.1.2.3:7860")
    assert gate.known("[fe80::1]:7860")
    assert not gate.known("evil.example:7860")
    assert "*" not in hosts_of("127.0.0.1")


@pytest.mark.rule("S18")
@pytest.mark.parametrize(
    "path", ["/login", "/app", "/api/shell", "/api/nothing", "/assets/shell.js", "/healthz", "/app/config"]
)
def test_every_answer_carries_the_headers(as_user: Any, path: str) -> None:
    answer = as_user("ada").get(path, headers={"origin": "http://evil.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert ("unsafe" in policy) == path.startswith("/app")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_browser_keeps_what_is_named_after_its_content_and_nothing_else(as_user: Any) -> None:
    ann = as_user("ann")
    page = ann.get("/app/label").text
    kept = [
        "/app/" + re.search(r"assets/index-[\w-]+\.js", page)[0],
        f"/assets/{VERSION}/label.js",
        f"/assets/{VERSION}/label.css",
    ]
    for path in kept:
        answer = ann.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, max-age=31536000, immutable")
    for path, status in [
        ("/assets/label.js", 200),
        ("/app/assets/none.js", 404),
        ("/assets/0123456789ab/label.js", 404),
    ]:
        answer = ann.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-cache")
    assert ann.get("/api/shell").headers["cache-control"] == "no-store"


def test_pages_start_with_our_script(as_user: Any) -> None:
    answer = as_user("ada").get("/app/")
    assert '<head><script src="/assets/lang.js"></script>' in answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(("user", "status"), [("ann", 403), ("lea", 200), ("ada", 200)])
def test_a_page_above_the_role_is_refused(as_user: Any, user: str, status: int) -> None:
    answer = as_user(user, accept="text/html").get("/app/train")
    assert answer.status_code == status
    if status == 403:
        assert "<h1>" in answer.text
        assert "gradio" not in answer.text


def test_only_leads_upload(as_user: Any) -> None:
    file = {"files": ("a.jsonl", b"{}")}
    assert as_user("ann").post("/app/gradio_api/upload", files=file).status_code == 403
    assert as_user("lea").post("/app/gradio_api/upload", files=file).status_code == 200


@pytest.mark.rule("S30")
def test_bodies_have_limits(as_user: Any) -> None:
    ada = as_user("ada", **{"content-type": "application/json"})
    fits = b'{"a": "' + b"x" * (JSON_BYTES - 9) + b'"}'
    assert len(fits) == JSON_BYTES
    assert ada.post("/api/do/nothing", content=fits).status_code == 404
    assert ada.post("/api/do/nothing", content=fits + b" ").status_code == 413
    assert ada.post("/login", content=b"x" * 10_001).status_code == 413
    assert ada.post("/api/do/nothing", content=iter([b"{}"])).status_code == 411
    assert ada.post("/api/do/nothing", content=b"{").status_code == 400
    assert ada.post("/api/do/nothing", content=b"[" * 900_000).status_code == 400
    assert ada.post("/app/gradio_api/upload", headers={"content-length": str(300 << 20)}).status_code == 413


@pytest.mark.rule("S42")
def test_a_gradio_session_belongs_to_whoever_named_it(as_user: Any) -> None:
    ann, bob = as_user("ann"), as_user("bob")
    assert ann.post("/app/gradio_api/reset", json={"session_hash": "annsown", "event_id": "x"}).status_code != 403
    for answer in (
        bob.post(JOIN, json={"session_hash": "annsown", "data": [], "fn_index": 0}),
        bob.get("/app/gradio_api/queue/data?session_hash=annsown"),
        bob.get("/app/gradio_api/heartbeat/annsown"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "not_your_session")


@pytest.mark.rule("S42")
def test_the_list_of_sessions_is_bounded(house_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.app.gate.OWNERS", 2)
    gate = Gate(None, accounts=house_app.house.accounts, key="", pages={}, host="localhost", closing=asyncio.Event())
    for name in "abc":
        gate.claim({name}, "ann")
    assert list(gate.owners) == ["b", "c"]


class Stream:
    """An app whose answers never end, behind a gate."""

    def __init__(self, house_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("workbench.app.gate.STILL_WELCOME", 0.02)
        self.closing, self.statuses, self.bodies = asyncio.Event(), [], []
        self.gate = Gate(
            self.forever, accounts=house_app.house.accounts, key="k", pages={}, host="localhost", closing=self.closing
        )
        self.sid = house_app.sid["bob"]

    async def forever(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])
        else:
            self.bodies.append(message)

    def open(self) -> asyncio.Task[None]:
        head = [(b"host", b"localhost"), (b"cookie", f"sid={self.sid}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/app/gradio_api/queue/data", "headers": head}
        return asyncio.ensure_future(self.gate({**scope, "query_string": b"", "scheme": "http"}, None, self.send))


@pytest.mark.rule("R26")
def test_streams_are_counted_and_end_with_the_server(house_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        stream = Stream(house_app, monkeypatch)
        flows = [stream.open() for _ in range(STREAMS)]
        await asyncio.sleep(0.05)
        await stream.open()
        assert stream.statuses == [200] * STREAMS + [429]
        assert [bool(body.get("more_body")) for body in stream.bodies] == [False]  # or the browser waits for the rest
        stream.closing.set()
        await asyncio.wait_for(asyncio.gather(*flows), 1)
        assert not +stream.gate.streams

    asyncio.run(play())


@pytest.mark.rule("S36")
def test_the_stream_of_a_disabled_user_ends(house_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        stream = Stream(house_app, monkeypatch)
        flow = stream.open()
        await asyncio.sleep(0.05)
        assert not flow.done()
        house_app.house.accounts.change("ada", "bob", disabled=True)
        await asyncio.wait_for(flow, 1)

    asyncio.run(play())
    house_app.house.accounts.change("ada", "bob", disabled=False)
    house_app.sid["bob"] = house_app.house.accounts.sign_in("bob", "correct horse battery", "127.0.0.1")


def test_a_next_event_is_accepted_only_when_the_browser_has_left_the_closed_stream(
    house_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio's client takes its stream for open until it has read the last word, and would wait there for ever."""

    async def play() -> None:
        stream, told, leaves = Stream(house_app, monkeypatch), [], asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if scope["method"] == "GET":
                await send({"type": "http.response.body", "body": LAST_WORD + b"}\n\n", "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def browser() -> Any:
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def body() -> Any:
            return {"type": "http.request", "body": b'{"session_hash": "s1"}'}

        async def joined(message: Any) -> None:
            told.append(message["type"])

        stream.gate.app = app
        head = [(b"host", b"localhost"), (b"cookie", f"sid={stream.sid}".encode()), (b"origin", b"http://localhost")]
        scope = {"type": "http", "scheme": "http", "headers": head, "query_string": b""}
        data = {**scope, "method": "GET", "path": "/app/gradio_api/queue/data", "query_string": b"session_hash=s1"}
        flow = asyncio.ensure_future(stream.gate(data, browser, stream.send))
        await asyncio.sleep(0.02)
        join = {**scope, "method": "POST", "path": JOIN, "headers": [*head, (b"content-length", b"22")]}
        asked = asyncio.ensure_future(stream.gate(join, body, joined))
        await asyncio.sleep(0.05)
        assert not flow.done()
        assert told == []
        leaves.set()
        await asyncio.wait_for(asyncio.gather(flow, asked), 1)
        assert told == ["http.response.start", "http.response.body"]
        assert stream.gate.ended == {}

    asyncio.run(play())
