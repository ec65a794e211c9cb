"""Every handler names its role, and keeps to it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from workbench.app.roles import LEVEL, all_routes, requires, undeclared
from workbench.errors import NotFound

ROLES = SimpleNamespace(role={"ann": "annotator", "lea": "lead", "ada": "admin"}.get)


def ask(user: str | None, lang: str = "en") -> Any:
    return SimpleNamespace(username=user, cookies={"lang": lang}, headers={})


@pytest.mark.parametrize(("role", "let_in"), [("annotator", "ann lea ada"), ("lead", "lea ada"), ("admin", "ada")])
def test_a_handler_runs_for_its_role_and_above(role: str, let_in: str) -> None:
    ran: list[str] = []

    @requires(ROLES, role)
    def handler(request: gr.Request, value: int) -> int:
        ran.append(request.username)
        return value + 1

    @requires(ROLES, role)
    def stream(request: gr.Request, value: int) -> Iterator[int]:
        ran.append(request.username)
        yield value + 1

    for user in ("ann", "lea", "ada", "eve", None):
        before = len(ran)
        if user in let_in.split():
            assert handler(ask(user), 1) == 2
            assert list(stream(ask(user), 1)) == [2]
            assert len(ran) == before + 2
        else:
            for call in (lambda: handler(ask(user), 1), lambda: list(stream(ask(user), 1))):  # noqa: B023 called here
                with pytest.raises(gr.Error, match="needs the role"):
                    call()
            assert len(ran) == before


@pytest.mark.rule("S17")
def test_our_errors_are_told_as_text() -> None:
    @requires(ROLES, "annotator")
    def handler(request: gr.Request) -> None:
        raise NotFound("no item '<img src=x onerror=alert(1)>'")

    with pytest.raises(gr.Error) as told:
        handler(ask("ann", "zh"))
    assert "<" not in told.value.message
    assert "onerror" in told.value.message
    assert told.value.title == "操作未完成"


@pytest.mark.rule("S38")
def test_other_errors_show_a_number_and_only_leads_see_more(caplog: pytest.LogCaptureFixture) -> None:
    @requires(ROLES, "annotator")
    def handler(request: gr.Request) -> None:
        raise ValueError("/srv/home/workbench.duckdb: SELECT * FROM items")

    said = {}
    for user in ("ann", "lea"):
        with pytest.raises(gr.Error) as told:
            handler(ask(user))
        said[user] = told.value.message
        assert any(record.args[0] in said[user] for record in caplog.records)
    assert "SELECT" not in said["ann"]
    assert "SELECT" in said["lea"]


@pytest.mark.rule("S43")
def test_an_event_without_a_role_is_found() -> None:
    with gr.Blocks() as demo:
        button = gr.Button("x")

        @requires(ROLES, "lead")
        def handler(request: gr.Request) -> None: ...

        button.click(handler)
        assert undeclared(demo) == []
        button.click(lambda: None)
    assert len(undeclared(demo)) == 1


@pytest.mark.rule("S43")
def test_every_event_and_every_own_route_declares_a_role(house_app: Any) -> None:
    demo = blocks_of(house_app.app)
    assert undeclared(demo) == []
    assert demo.fns
    for method, path, endpoint in all_routes(house_app.app.routes):
        if not path.startswith("/app"):
            assert hasattr(endpoint, "__required_role__"), f"{method} {path}"


@pytest.mark.rule("S43")
def test_all_events_are_private(house_app: Any) -> None:
    shown = [f.api_name for f in blocks_of(house_app.app).fns.values() if f.fn and f.api_visibility != "private"]
    assert shown == []


def test_every_event_refuses_whoever_is_below_its_role(house_app: Any) -> None:
    accounts = house_app.house.accounts
    refused = 0
    for event in blocks_of(house_app.app).fns.values():
        if event.fn is None:
            continue
        for user in (None, "nobody", "ann", "lea"):
            if LEVEL[accounts.role(user)] < LEVEL[event.fn.__required_role__]:
                with pytest.raises(gr.Error, match="needs the role"):
                    list(event.fn(ask(user)) or ())
                refused += 1
    assert refused


def blocks_of(app: Any) -> gr.Blocks:
    return next(route.app.blocks for route in app.routes if getattr(route, "path", "") == "/app")
