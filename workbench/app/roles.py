"""Who may call what: every handler of a page and every own route names its lowest role. Leaves out accounts."""

import functools
import html
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from uuid import uuid4

import gradio as gr
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from workbench.app import words
from workbench.errors import NotAllowed, WorkbenchError
from workbench.schema import ROLES

LEVEL = {role: level for level, role in enumerate((None, *ROLES))}
log = logging.getLogger(__name__)


class Roles(Protocol):
    def role(self, name: str | None) -> str | None: ...


def may(roles: Roles, user: str | None, role: str | None) -> bool:
    """Asked at every call, so a change holds at once."""
    return LEVEL[roles.role(user)] >= LEVEL[role]


def check(roles: Roles, user: str | None, role: str | None, lang: str) -> None:
    if not may(roles, user, role):
        raise NotAllowed(words.say(lang, "errors.not_allowed", role=words.say(lang, f"shell.role.{role}")))


def requires(roles: Roles, role: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For the handler of a Gradio event: `request: gr.Request` is its first parameter. Its errors become toasts."""
    assert role in LEVEL

    def wrap(handler: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(handler)
        def call(request: gr.Request, *values: Any) -> Any:
            try:
                check(roles, request.username, role, words.lang_of(request))
                return handler(request, *values)
            except Exception as error:
                raise toast(error, roles, request) from None

        @functools.wraps(handler)
        def stream(request: gr.Request, *values: Any) -> Iterator[Any]:
            try:
                check(roles, request.username, role, words.lang_of(request))
                yield from handler(request, *values)
            except Exception as error:
                raise toast(error, roles, request) from None

        inner = stream if inspect.isgeneratorfunction(handler) else call
        inner.__required_role__ = role
        return inner

    return wrap


def toast(error: Exception, roles: Roles, request: gr.Request) -> gr.Error:
    """An error as text that no browser takes for HTML: ours in full, any other by its id."""
    if isinstance(error, gr.Error):
        return error
    lang = words.lang_of(request)
    text = explain(error, lang, leads=may(roles, request.username, "lead"))["error"]
    return gr.Error(html.escape(text), title=words.say(lang, "errors.title"), print_exception=False)


def explain(error: Exception, lang: str, *, leads: bool) -> dict[str, str]:
    """What the browser may know: our message and code, or an id; leads also read the technical text."""
    if isinstance(error, WorkbenchError):
        return {"error": error.message, "code": error.code}
    number = uuid4().hex[:8]
    log.error("fault %s", number, exc_info=error)
    text = words.say(lang, "errors.fault", id=number)
    if leads:
        text += f" {type(error).__name__}: {error}"
    return {"error": text, "code": "fault", "id": number}


class Routes(APIRouter):
    """Own routes: `@routes.at("POST", "/api/label/submit", "annotator")`; role None is for everybody.

    The endpoint's first parameter is `request: Request`, the user is `request.state.user`. Errors become JSON.
    """

    def __init__(self, roles: Roles) -> None:
        super().__init__()
        self.roles = roles

    def at(
        self, method: str, path: str, role: str | None, **described: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """`described` is what FastAPI may know of the route besides: summary, models of the answers."""
        assert role in LEVEL

        def wrap(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(endpoint)
            def inner(request: Request, **values: Any) -> Any:
                try:
                    check(self.roles, request.state.user, role, words.lang_of(request))
                    return endpoint(request=request, **values)
                except Exception as error:
                    return self.told(request, error)

            inner.__required_role__ = role
            self.add_api_route(path, inner, methods=[method], **{"response_model": None, **described})
            return inner

        return wrap

    def told(self, request: Request, error: Exception) -> JSONResponse:
        body = explain(error, words.lang_of(request), leads=may(self.roles, request.state.user, "lead"))
        return JSONResponse(body, getattr(error, "status", 500))


def undeclared(demo: gr.Blocks) -> list[int]:
    """Events without a role, and components with a second entrance: the server does not start with any."""
    events = [i for i, f in demo.fns.items() if f.fn is not None and not hasattr(f.fn, "__required_role__")]
    return events + [i for i, block in demo.blocks.items() if getattr(block, "server_fns", None)]


def all_routes(routes: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Method, path and endpoint of every route of an app, through mounts and included routers."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from all_routes(route.original_router.routes, prefix + route.include_context.prefix)
        elif getattr(route, "routes", None) and not getattr(route, "methods", None):
            yield from all_routes(route.routes, prefix + getattr(route, "path", ""))
        else:
            for method in getattr(route, "methods", None) or ["?"]:
                yield method, prefix + route.path, route.endpoint
