"""The REST API over HTTP: what goes in and comes out, who may, what the document says, and what never leaves."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.roles import LEVEL, all_routes
from workbench.app.routes.api import BASE
from workbench.schema import Judgement
from workbench.store.db import uid

CANARY = "canary-model-7b"
BASE_URL = "http://127.0.0.1:7860"


def sent(number: int) -> dict[str, Any]:
    answers = [{"text": f"*one* {number}", "source": CANARY}, f"two {number}"]
    return {"prompt": f"Question {number}?", "answers": answers, "tags": ["x"], "lang": "en"}


@pytest.fixture(scope="module")
def tokens(house_app: Any) -> dict[str, str]:
    make = house_app.house.accounts.tokens.make
    return {name: make(name, name, "test", 90)[1] for name in ("ada", "lea", "ann", "bob")}


@pytest.fixture
def call(house_app: Any, tokens: dict[str, str]) -> Any:
    """`call("lea", "GET", "/projects")` asks as her program does: no cookie, no origin."""

    def ask(name: str | None, method: str, path: str, **rest: Any) -> Any:
        head = {"authorization": f"Bearer {tokens[name]}"} if name else {"origin": BASE_URL}
        client = TestClient(house_app.app, BASE_URL, headers=head)
        return client.request(method, path if path.startswith("/api") else BASE + path, **rest)

    return ask


@pytest.fixture(scope="module")
def project(house_app: Any) -> Iterator[int]:
    """Open to ann, not to bob; two items were sent in."""

    def do(act: str, **values: Any) -> Any:
        return ACTIONS[act](house_app.house, "lea", **values)

    made = do("project_create", name="Fed", tasks=["pair"])["id"]
    do("project_change", project=made, members=["ann"])
    yield made
    do("project_change", project=made, archived=True)


def test_items_are_stored_once_and_come_back_rendered_and_counted(call: Any, project: int, house_app: Any) -> None:
    path = f"/projects/{project}/items"
    first = call("lea", "POST", path, json={"items": [sent(1), sent(2), sent(1)]})
    assert first.status_code == 200, first.text
    [[one], [two], [again]] = first.json()["ids"]
    assert (first.json()["new"], one) == (2, again)
    before = len(list((house_app.house.home / "imports").iterdir()))
    assert call("lea", "POST", path, json={"items": [sent(2)]}).json() == {"ids": [[two]], "new": 0}
    assert len(list((house_app.house.home / "imports").iterdir())) == before
    found = call("lea", "GET", path).json()
    assert [item["id"] for item in found["items"]] == sorted([one, two])
    assert {a["source"] for a in found["items"][0]["answers"]} == {CANARY, None}
    assert (found["items"][0]["n_labels"], found["items"][0]["tags"]) == (0, ["x"])
    assert call("lea", "GET", f"{path}?after={found['next']}").json() == {"items": [], "next": found["next"]}
    from workbench.store import items

    html = {m.html for c in items.get(house_app.house.store, one).candidates for m in c.messages}
    assert html == {"<p><em>one</em> 1</p>\n", None}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"prompt": " "}, "empty_prompt"),
        ({"prompt": "a\0b"}, "nul_char"),
        ({"prompt": "ok", "answers": ["\ud800"]}, "surrogate"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "bad_turns"),
        ({"prompt": "ok", "answers": [[{"role": "user", "content": "x"}]]}, "bad_turns"),
        ({"prompt": "ok", "winner": 0}, "Extra inputs"),
    ],
)
def test_what_no_file_may_hold_comes_in_by_no_other_way(call: Any, project: int, item: Any, said: str) -> None:
    body = json.dumps({"items": [sent(9), item]})
    head = {"content-type": "application/json"}
    answer = call("lea", "POST", f"/projects/{project}/items", content=body, headers=head)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert said in answer.json()["error"]
    assert "1" in answer.json()["error"]  # which of them


@pytest.mark.rule("S30")
def test_bodies_of_items_may_be_large_but_not_endless(call: Any, project: int) -> None:
    path, head = f"/projects/{project}/items", {"content-type": "application/json"}
    deep = call("lea", "POST", path, content=b"[" * 900_000, headers=head)
    assert (deep.status_code, set(deep.json())) == (400, {"error", "code"})
    assert call("lea", "POST", path, content=b"x" * 8_000_001, headers=head).status_code == 413
    large = {"items": [{"prompt": "x" * 900_000}, {"prompt": "y" * 900_000}]}
    assert call("lea", "POST", path, json=large).status_code == 200
    assert call("lea", "POST", path, json={"items": [{"prompt": "z"}] * 1001}).status_code == 422


def test_a_tool_labels_as_the_page_does_and_another_drains(call: Any, project: int) -> None:
    call("lea", "POST", f"/projects/{project}/items", json={"items": [sent(n) for n in range(3, 8)]})
    leased = call("ann", "POST", f"/projects/{project}/lease", json={"want": 2})
    assert leased.status_code == 200, leased.text
    assert CANARY not in leased.text
    first, second = leased.json()["items"]
    label = {"uid": str(uuid4()), "tab": "api", "kind": "pair", "payload": {"choice": 1, "strength": 3}}
    body = label | {"lease": first["lease"], "view": first["view"]}
    done = call("ann", "POST", f"/projects/{project}/submit", json=body)
    assert (done.status_code, done.json()["ack"]) == (200, label["uid"])
    assert call("ann", "POST", f"/projects/{project}/submit", json=body).json() == done.json()
    twice = call("ann", "POST", f"/projects/{project}/submit", json=body | {"uid": str(uuid4())})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_labelled")
    given = call("ann", "POST", f"/projects/{project}/release", json={"leases": [second["lease"]]})
    assert given.json() == {"released": 1}

    path = f"/projects/{project}/judgements"
    [told] = call("lea", "GET", path).json()["judgements"]
    assert (told["uid"], told["kind"], told["current"]) == (label["uid"], "pair", True)
    assert re.fullmatch(r"a-[0-9a-f]{10}", told["annotator"])
    assert call("lea", "GET", f"{path}?names=true").json()["judgements"][0]["annotator"] == "ann"
    undo = {"uid": str(uuid4()), "kind": "undo", "payload": {"of": label["uid"]}}
    assert call("ann", "POST", f"/projects/{project}/submit", json=body | undo).status_code == 200
    page = call("lea", "GET", f"{path}?after={told['seq']}").json()
    assert [j["kind"] for j in page["judgements"]] == ["undo"]
    assert call("lea", "GET", f"{path}?after={page['next']}").json() == {"judgements": [], "next": page["next"]}
    assert not call("lea", "GET", path).json()["judgements"][0]["current"]


def test_a_tool_writes_where_all_is_bad(call: Any, project: int, house_app: Any) -> None:
    ask = {"task": "write", "want": 1}
    assert (
        call("ann", "POST", f"/projects/{project}/lease", json=ask).status_code == 422
    )  # the project has no such task
    ACTIONS["project_change"](house_app.house, "lea", project=project, write=True)
    call("lea", "POST", f"/projects/{project}/items", json={"items": [sent(n) for n in range(20, 22)]})
    texts = {"pair": {"choice": "both_bad"}, "write": {"candidate": None, "text": "A better one."}}
    for kind, payload in texts.items():
        [leased] = call("ann", "POST", f"/projects/{project}/lease", json={"task": kind, "want": 1}).json()["items"]
        body = {"uid": str(uuid4()), "tab": "api", "kind": kind, "payload": payload}
        body |= {"lease": leased["lease"], "view": leased["view"]}
        assert call("ann", "POST", f"/projects/{project}/submit", json=body).status_code == 200
        assert call("ann", "POST", f"/projects/{project}/submit", json=body).status_code == 200  # an answer was lost
    told = call("lea", "GET", f"/projects/{project}/judgements?limit=1000").json()["judgements"]
    assert [(j["kind"], j["purpose"], j["current"]) for j in told][-2:] == [
        ("pair", "label", True),
        ("edit", "write", True),
    ]
    ACTIONS["project_change"](house_app.house, "lea", project=project, write=False)


def test_projects_are_those_of_whoever_asks(call: Any, project: int) -> None:
    for name, sees in (("ann", True), ("bob", False), ("lea", True)):
        found = call(name, "GET", "/projects").json()["projects"]
        assert (project in [p["id"] for p in found]) is sees
    mine = next(p for p in found if p["id"] == project)
    assert (mine["axes"], mine["tasks"], mine["needed"] > 0) == (["overall"], ["pair"], True)
    for path in ("lease", "submit", "release"):
        body = {"leases": []} if path == "release" else {}
        if path == "submit":
            body = {"uid": str(uuid4()), "tab": "t", "lease": "x", "view": "x", "kind": "skip", "payload": {}}
        hidden = call("bob", "POST", f"/projects/{project}/{path}", json=body)
        nowhere = call("bob", "POST", f"/projects/{10**6}/{path}", json=body)
        assert (hidden.status_code, nowhere.status_code) == (404, 404)
        assert hidden.json()["error"].replace(str(project), "") == nowhere.json()["error"].replace(str(10**6), "")


@pytest.mark.rule("S01")
def test_an_export_is_fetched_file_by_file_and_nothing_else_is(call: Any, project: int, house_app: Any) -> None:
    store = house_app.house.store
    item = call("lea", "GET", f"/projects/{project}/items").json()["items"][0]["id"]
    store.append(Judgement(uid(), item, "ann", "pair", {"choice": 0, "strength": 2}))
    made = call("lea", "POST", f"/projects/{project}/exports", json={"license": "cc-by-4.0"})
    assert made.status_code == 200, made.text
    assert any(name.endswith("/README.md") for name in made.json()["files"])
    for address in made.json()["files"]:
        assert call("lea", "GET", address).status_code == 200
        assert call("ann", "GET", address).status_code == 403
    base = f"/exports/{made.json()['snapshot']}"
    for trick in ("../../server.json", "..%2f..%2fserver.json", "%2e%2e/%2e%2e/server.json", "/etc/passwd", "", ".",
                  "x%00", "..\\server.json", "README.md/../../../server.json"):  # fmt: skip
        answer = call("lea", "GET", f"{base}/{trick}")
        assert answer.status_code == 404, trick
    for snapshot in ("..", "%2e%2e", ".", "*", "x" * 64):
        assert call("lea", "GET", f"/exports/{snapshot}/server.json").status_code == 404
    link = house_app.house.home / "exports" / f"dataset-{made.json()['snapshot']}" / "link"
    link.symlink_to(house_app.house.home / "server.json")
    assert call("lea", "GET", f"{base}/link").status_code == 404
    link.unlink()


@pytest.mark.rule("S13")
def test_every_route_keeps_to_its_role(call: Any, house_app: Any, project: int) -> None:
    asked = [(m, p, e.__required_role__) for m, p, e in all_routes(house_app.app.routes) if p.startswith("/api/")]
    before, refused = house_app.house.store.seq, 0
    for method, path, role in asked:
        concrete = re.sub(r"\{[^}]*\}", "x", path.replace("{project}", str(project)))
        assert call(None, method, concrete).status_code == 401, path
        for name, own in (("ann", "annotator"), ("lea", "lead")):
            if LEVEL[own] < LEVEL[role]:
                answer = call(name, method, concrete, **BODIES.get((method, path), {}))
                assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), path
                refused += 1
    assert refused >= 7
    assert house_app.house.store.seq == before


BODIES = {
    ("POST", f"{BASE}/projects/{{project}}/items"): {"json": {"items": [sent(1)]}},
    ("POST", f"{BASE}/projects/{{project}}/exports"): {"json": {}},
}


def test_the_document_tells_all_there_is(call: Any, house_app: Any) -> None:
    told = call("ann", "GET", "/api/openapi.json").json()
    asked = {(m.lower(), p.replace(":path", "")) for m, p, _ in all_routes(house_app.app.routes) if p.startswith(BASE)}
    assert asked == {(method, path) for path, methods in told["paths"].items() for method in methods}
    assert len(asked) >= 10
    assert told["security"] == [{"token": []}]
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            assert route["summary"], path
            assert route["x-role"] in LEVEL
            if "/exports/{snapshot}" not in path:
                assert "$ref" in route["responses"]["200"]["content"]["application/json"]["schema"], (method, path)
            for code in ("401", "403", "422"):
                assert route["responses"][code]["content"]["application/json"]["schema"]["$ref"].endswith("/Fault")
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert named <= set(told["components"]["schemas"])


def test_people_read_the_same_on_a_page_without_scripts_of_its_own(as_user: Any) -> None:
    page = as_user("ann").get("/api/docs")
    assert "/api/v1/projects/{project}/judgements" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert as_user().get("/api/docs").status_code == 401
    assert as_user().get("/api/openapi.json").status_code == 401


def test_faults_are_told_alike(call: Any, project: int) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("POST", "/projects", 405),
        ("GET", "/projects/1000000/items", 404),
        ("GET", f"/projects/{project}/items?limit=0", 422),
        ("GET", "/projects/x/items", 422),
    ):
        answer = call("lea", method, path)
        assert (answer.status_code, set(answer.json())) == (status, {"error", "code"}), answer.text


def test_the_report_of_a_project(call: Any, project: int) -> None:
    told = call("lea", "GET", f"/projects/{project}/report").json()
    assert told["votes"] >= 0
    assert told["progress"].keys() == {"done", "needed", "hours_left"}
    assert call("lea", "GET", f"/projects/{project}/report?axis=none").status_code == 404


def test_what_the_page_says_is_also_said_in_chinese(call: Any) -> None:
    for methods in call("ann", "GET", "/api/openapi.json").json()["paths"].values():
        for route in methods.values():
            assert {route["summary"], route.get("description", route["summary"])} <= set(words.load("zh"))
