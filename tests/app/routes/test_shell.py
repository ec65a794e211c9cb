"""What the top bar is told, and the files it is made of."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("user", "pages"),
    [
        ("ann", ["home", "label"]),
        ("lea", ["home", "label", "review", "data", "train", "compare", "models"]),
        ("ada", ["home", "label", "review", "data", "train", "compare", "models", "admin"]),
    ],
)
def test_everybody_sees_their_own_pages(as_user: Any, user: str, pages: list[str]) -> None:
    told = as_user(user).get("/api/shell").json()
    assert [page["name"] for page in told["pages"]] == pages
    assert told["user"] == user
    assert told["jobs"] == []


def test_the_project_is_the_chosen_one_else_the_newest(as_user: Any) -> None:
    lea = as_user("lea")
    first, second = (lea.post("/api/do/project_create", json={"name": f"Shell {n}"}).json()["id"] for n in (1, 2))
    assert lea.get("/api/shell").json()["project"] == second
    lea.cookies["project"] = str(first)
    assert lea.get("/api/shell").json()["project"] == first


@pytest.mark.parametrize(("head", "lang"), [({}, "en"), ({"accept-language": "zh-CN,en"}, "zh")])
def test_the_language_follows_the_browser(as_user: Any, head: dict[str, str], lang: str) -> None:
    assert as_user("ann", **head).get("/api/shell").json()["lang"] == lang


def test_texts_come_as_one_file_for_each_language(as_user: Any) -> None:
    ann = as_user("ann")
    assert ann.get("/assets/i18n/zh.json").json()["shell.label"] == "标注"
    assert ann.get("/assets/i18n/xx.json").status_code == 404


@pytest.mark.parametrize("name", ["shell.js", "lang.js", "style.css", "public/sign.js", "public/icon.svg"])
def test_assets_are_served_with_their_type(as_user: Any, name: str) -> None:
    answer = as_user("ann").get(f"/assets/{name}")
    kinds = {"js": "javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert answer.status_code == 200
    assert kinds[name.rpartition(".")[2]] in answer.headers["content-type"]


def test_templates_are_not_served(as_user: Any) -> None:
    assert as_user("ann").get("/assets/plain/login.html").status_code == 404
