"""What the Label page asks for. The annotator is whoever is signed in; the rules are the queue's."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from workbench.app import words
from workbench.app.house import House
from workbench.app.roles import Routes, may
from workbench.labelling.queue import TASKS, Submission

Tab = Field(min_length=1, max_length=64)
Leases = Field(max_length=200)


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: int
    task: str = Field(max_length=20)
    tab: str = Tab
    want: int = Field(10, ge=1, le=1000)
    held: list[str] = Field([], max_length=200)


class Beat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tab: str = Tab
    held: list[str] = Leases


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tab: str = Tab
    leases: list[str] = Leases


def routes(house: House) -> APIRouter:
    router, queue = Routes(house.accounts), house.queue

    @router.at("GET", "/api/label/progress", "annotator")
    def progress(request: Request) -> dict[str, Any]:
        """Everything a page needs before its first item: who, which project, how far each task is."""
        user, found = request.state.user, house.project_of(request.state.user, request.cookies)
        tasks = [] if found is None else [task for task in TASKS.values() if task in found.tasks]
        project = found and {"id": found.id, "name": found.name, "guideline": found.guideline, "tasks": tasks}
        return {
            "user": user,
            "lang": words.lang_of(request),
            "lead": may(house.accounts, user, "lead"),
            "project": project,
            "tasks": {task: queue.progress(user, found.id, task) for task in tasks},
        }

    @router.at("POST", "/api/label/lease", "annotator")
    def lease(request: Request, body: Wanted) -> dict[str, Any]:
        return queue.lease(request.state.user, body.project, body.task, body.tab, body.want, body.held)

    @router.at("POST", "/api/label/submit", "annotator")
    def submit(request: Request, body: Submission) -> dict[str, Any]:
        return queue.submit(request.state.user, body)

    @router.at("POST", "/api/label/heartbeat", "annotator")
    def heartbeat(request: Request, body: Beat) -> dict[str, Any]:
        return queue.heartbeat(request.state.user, body.tab, body.held)

    @router.at("POST", "/api/label/release", "annotator")
    def release(request: Request, body: Given) -> dict[str, Any]:
        return queue.release(request.state.user, body.tab, body.leases)

    return router
