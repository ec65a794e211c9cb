"""What the top bar shows: who, which project, which pages, what runs."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request

from workbench.app import words
from workbench.app.house import House
from workbench.app.roles import LEVEL, Routes
from workbench.jobs.folder import END_STATES


@dataclass(frozen=True)
class Page:
    """`role` is the lowest that may open it; it is built by the module of its name in `pages`."""

    name: str
    route: str
    role: str


PAGES = (
    Page("home", "", "annotator"),
    Page("label", "label", "annotator"),
    Page("review", "review", "lead"),
    Page("data", "data", "lead"),
    Page("train", "train", "lead"),
    Page("compare", "compare", "lead"),
    Page("models", "models", "lead"),
    Page("admin", "admin", "admin"),
)


def routes(house: House) -> APIRouter:
    router, accounts = Routes(house.accounts), house.accounts
    server = uuid4().hex  # another one after a restart: then the page loads itself anew

    @router.at("GET", "/api/shell", "annotator")
    def shell(request: Request) -> dict[str, Any]:
        user, role = request.state.user, accounts.role(request.state.user)
        chosen = house.project_of(user, request.cookies)
        return {
            "server": server,
            "user": user,
            "role": role,
            "lang": words.lang_of(request),
            "projects": [{"id": p.id, "name": p.name} for p in house.projects_of(user)],
            "project": chosen and chosen.id,
            "pages": [{"name": p.name, "route": p.route} for p in PAGES if LEVEL[p.role] <= LEVEL[role]],
            "jobs": jobs(house) if LEVEL[role] >= LEVEL["lead"] else [],
        }

    return router


def jobs(house: House) -> list[dict[str, Any]]:
    """The runs that are not over, newest first."""
    found = []
    for number in reversed(house.runs.numbers()):
        status = house.runs.status(number)
        if status["state"] not in END_STATES:
            kept = {key: status.get(key) for key in ("state", "step", "steps", "eta_s")}
            found.append({"run": number, "method": house.runs.config(number).method, **kept})
    return found
