"""The routes of the Label page over HTTP: who may do what, which status means what, and what never leaves."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

CANARY = "canary-model-7b"
Posted = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def project(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Pairs and thumbs of a model whose name must not be seen."""
    made = server.do("project_create", name="Label routes")["id"]
    rows = [
        {
            "prompt": f"question {i}",
            "candidates": [{"model": CANARY, "text": f"one {i}"}, {"model": f"{CANARY}-b", "text": f"two {i}"}],
        }
        for i in range(120)
    ]
    path: Path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    number = server.do("import_file", project=made, path=str(path), dialect="prompts")["import"]
    server.do("import_confirm", project=made, number=number)
    yield made
    server.do("project_change", project=made, archived=True)


@pytest.fixture
def post(server: Any) -> Posted:
    """`post("submit", user="lily", **body)`."""

    def send(name: str, user: str = "lily", **body: Any) -> httpx.Response:
        return server.user(user).post(f"/api/label/{name}", json=body)

    return send


@pytest.fixture
def leased(post: Posted, project: int) -> Callable[..., list[dict]]:
    def ask(want: int = 1, user: str = "lily", tab: str | None = None) -> list[dict]:
        tab = tab or f"tab {uuid4()}"
        answer = post("lease", user, project=project, task="pair", tab=tab, want=want)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    return ask


def label(shown: dict, **rest: Any) -> dict:
    fields = {"uid": str(uuid4()), "tab": "t", "kind": "pair", "payload": {"choice": 0, "strength": 2}} | rest
    return {"lease": shown["lease"], "view": shown["view"], **fields}


def test_progress_tells_the_page_all_it_needs_to_begin(server: Any, project: int) -> None:
    client = server.user("lily")
    found = client.get(
        "/api/label/progress", headers={"cookie": f"sid={client.cookies['sid']}; project={project}"}
    ).json()
    assert (found["user"], found["lang"], found["lead"]) == ("lily", "en", False)
    told = found["project"]
    assert (told["id"], told["name"], told["tasks"], told["axes"]) == (
        project,
        "Label routes",
        ["pair", "thumb"],
        ["overall"],
    )
    assert (told["guidelines"], told["version"], told["read"]) == ({"overall": {"text": "", "html": None}}, 0, 0)
    assert 120 < found["progress"]["overall"]["pair"]["needed"] < 160  # about one in eight is asked twice
    assert 240 < found["progress"]["overall"]["thumb"]["needed"] < 320


def test_who_has_read_a_guideline_is_not_shown_it_again(server: Any, post: Posted, project: int) -> None:
    assert post("guideline", project=project, version=2).json() == {"read": 2}
    cookies = {"cookie": f"sid={server.user('lily').cookies['sid']}; project={project}"}
    assert server.client().get("/api/label/progress", headers=cookies).json()["project"]["read"] == 2


def test_a_message_comes_with_whatever_the_page_asks_until_it_is_read(
    server: Any, post: Posted, leased: Any, project: int
) -> None:
    leased(user="mia")
    number = server.do("review_message", project=project, annotator="mia", text="<b>Ties</b> are rare here.")["id"]
    shown = post("lease", "mia", project=project, task="pair", tab="m", want=1).json()
    [told] = shown["messages"]
    assert (told["id"], told["text"], told["by"]) == (number, "<b>Ties</b> are rare here.", "local")
    held = [item["lease"] for item in shown["items"]]
    assert post("heartbeat", "mia", tab="m", held=held, project=project).json()["messages"] == [told]
    assert post("heartbeat", "mia", tab="m", held=[], project=project).json()["messages"] == [told]
    assert post("heartbeat", "mia", tab="m", held=[], project=999).json()["messages"] == []
    cookies = {"cookie": f"sid={server.user('mia').cookies['sid']}; project={project}"}
    assert server.client().get("/api/label/progress", headers=cookies).json()["project"]["messages"] == [told]
    assert post("lease", "lily", project=project, task="pair", tab="l", want=1).json()["messages"] == []
    assert post("message", "lily", project=project, message=number).status_code == 404
    assert post("message", "mia", project=project, message=number).json() == {"read": number}
    assert post("heartbeat", "mia", tab="m", held=held, project=project).json()["messages"] == []


def test_an_answer_is_acknowledged_by_its_uid_and_again_by_the_same(leased: Any, post: Posted) -> None:
    body = label(*leased())
    first = post("submit", **body)
    assert (first.status_code, first.json()["ack"]) == (200, body["uid"])
    assert post("submit", **body).json() == first.json()


@pytest.mark.rule("R18")
def test_fifty_equal_posts_at_once_all_succeed(leased: Any, post: Posted, server: Any, project: int) -> None:
    body = label(*leased())
    before = server.do("data", project=project)["labels"].get("pair", 0)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: post("submit", **body), range(50)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.json()["seq"] for a in answers}) == 1
    assert server.do("data", project=project)["labels"]["pair"] == before + 1


def test_statuses_say_what_became_of_an_answer(leased: Any, post: Posted) -> None:
    [shown] = leased()
    body = label(shown)
    assert post("submit", **body).status_code == 200
    reused = post("submit", **body | {"payload": {"choice": "tie"}})
    assert (reused.status_code, reused.json()["code"]) == (409, "uid_reused")
    twice = post("submit", **label(shown))
    assert (twice.status_code, twice.json()["code"]) == (409, "already_labelled")
    undone = {"kind": "undo", "payload": {"of": body["uid"]}}
    assert post("submit", **label(shown, **undone)).status_code == 200
    late = post("submit", **label(shown, **undone))
    assert (late.status_code, late.json()["code"]) == (409, "not_undoable")


@pytest.mark.parametrize(
    "wrong",
    [
        {"annotator": "ada"},
        {"uid": "1"},
        {"kind": "gold"},
        {"payload": {"choice": 2, "strength": 1}},
        {"payload": {"choice": 0, "strength": 2, "winner": CANARY}},
        {"ms_shown": -1},
        {"lease": "x" * 2000},
        {"view": "0" * 32},
        {"kind": "undo", "payload": {"of": "; drop table judgements"}},
    ],
    ids=str,
)
def test_nonsense_is_422_and_changes_nothing(leased: Any, post: Posted, server: Any, project: int, wrong: dict) -> None:
    [shown] = leased()
    before = server.do("data", project=project)["labels"]
    answer = post("submit", **label(shown) | wrong)
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"error", "code"}
    assert server.do("data", project=project)["labels"] == before


@pytest.mark.rule("S19")
def test_nobody_answers_renews_or_releases_for_another(leased: Any, post: Posted) -> None:
    [shown] = leased(tab="mine")
    lease = shown["lease"]
    assert post("submit", "mallory", **label(shown)).status_code == 422
    assert post("heartbeat", "mallory", tab="mine", held=[lease]).json()["lost"] == [lease]
    assert post("release", "mallory", tab="mine", leases=[lease]).json() == {"released": 0}
    assert post("heartbeat", tab="mine", held=[lease]).json()["lost"] == []
    assert post("release", tab="mine", leases=[lease]).json() == {"released": 1}


@pytest.mark.rule("S19")
def test_what_one_said_never_reaches_another_before_they_answer(leased: Any, post: Posted) -> None:
    [shown] = leased()
    assert post("submit", **label(shown, kind="skip", payload={"why": "canary-reason"})).status_code == 200
    seen = post("lease", "bob", project=1, task="pair", tab="b", want=20).text + json.dumps(leased(20, "bob"))
    assert shown["prompt"][0]["content"] in seen
    assert "canary-reason" not in seen
    assert "lily" not in seen


def test_no_answer_names_a_model_or_an_index(leased: Any) -> None:
    shown = leased(10)
    assert shown
    assert CANARY not in json.dumps(shown)
    assert {key for item in shown for key in item} == {
        *("lease", "view", "teach", "named", "form", "lang", "prompt", "answers")
    }


def test_strangers_get_401_and_closed_projects_404(server: Any, post: Posted) -> None:
    stranger = server.client()
    assert stranger.get("/api/label/progress").status_code == 401
    for name in ("lease", "submit", "heartbeat", "release"):
        assert stranger.post(f"/api/label/{name}", json={}).status_code == 401
    assert post("lease", project=10**6, task="pair", tab="t").status_code == 404
    assert post("lease", project=1, task="essay", tab="t").status_code == 422


def test_lists_have_limits(post: Posted, project: int) -> None:
    assert post("heartbeat", tab="t", held=["x"] * 201).status_code == 422
    assert post("lease", project=project, task="pair", tab="t" * 65).status_code == 422
    many = post("lease", "carl", project=project, task="pair", tab="t", want=1000).json()["items"]
    assert len(many) == 20
