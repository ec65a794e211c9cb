"""Every act by name over HTTP, for the command line, scripts and our own pages."""

from typing import Any

from fastapi import APIRouter, Request

from workbench.app import words
from workbench.app.accounts import LOCAL
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.roles import Routes, check
from workbench.errors import NotAllowed, NotFound, UsageError

PATHS = {"path", "out"}
GIVEN = {"house", "actor"}


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)

    @router.at("POST", "/api/do/{action}", "annotator")
    def do(request: Request, action: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        user = request.state.user
        if action not in ACTIONS:
            raise NotFound(f"no act {action!r}; there are: {', '.join(ACTIONS)}")
        check(house.accounts, user, ACTIONS[action].role, words.lang_of(request))
        values = values or {}
        if given := GIVEN & set(values):
            raise UsageError(f"{action}: {', '.join(given)} is not for the caller to say")
        if user != LOCAL and (named := PATHS & set(values)):
            raise NotAllowed(f"{action}: {', '.join(named)} names a file of the server: only its own command line may")
        return ACTIONS[action](house, user, **values)

    return router
