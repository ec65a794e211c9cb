"""Acts over HTTP: roles, values, errors."""

from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.roles import LEVEL


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_act_keeps_to_its_role(as_user: Any, house_app: Any, name: str) -> None:
    before = house_app.house.store.seq
    for user, role in (("ann", "annotator"), ("lea", "lead")):
        if LEVEL[role] < LEVEL[ACTIONS[name].role]:
            answer = as_user(user).post(f"/api/do/{name}", json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert as_user().post(f"/api/do/{name}", json={}).status_code == 401
    assert house_app.house.store.seq == before


def test_an_act_runs_and_answers(as_user: Any) -> None:
    made = as_user("lea").post("/api/do/project_create", json={"name": "Over HTTP"}).json()
    listed = as_user("ann").post("/api/do/projects").json()["projects"]
    assert made["id"] in [project["id"] for project in listed]


def test_errors_name_the_thing_with_a_code(as_user: Any) -> None:
    lea = as_user("lea")
    for action, values, status, code in (
        ("no_such_act", {}, 404, "not_found"),
        ("data", {"project": "nowhere"}, 404, "not_found"),
        ("project_create", {"name": "x", "tasks": ["dance"]}, 422, "invalid"),
        ("project_create", {"name": "x", "hue": 1}, 422, "invalid"),
        ("project_create", {"house": None}, 422, "invalid"),
        ("project_create", {"actor": "ada"}, 422, "invalid"),
    ):
        answer = lea.post(f"/api/do/{action}", json=values)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert lea.post("/api/do/projects", json=[1]).json()["code"] == "invalid"


@pytest.mark.rule("S01")
def test_a_browser_names_no_file_of_the_server(as_user: Any, house_app: Any) -> None:
    number = as_user("lea").post("/api/do/project_create", json={"name": "Paths"}).json()["id"]
    for action, values in (
        ("import_file", {"project": number, "path": "/etc/passwd"}),
        ("export_dataset", {"project": number, "out": "/tmp/out"}),
        ("export_model", {"run": 1, "out": "/tmp/out"}),
    ):
        answer = as_user("ada").post(f"/api/do/{action}", json=values)
        assert answer.status_code == 403
        assert "root:" not in answer.text
    head = {"authorization": f"Bearer {house_app.key}"}
    answer = as_user().post("/api/do/import_file", json={"project": number, "path": "/no/such/file"}, headers=head)
    assert answer.status_code == 404
