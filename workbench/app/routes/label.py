"""What the Label page asks for. The annotator is whoever is signed in; the rules are the queue's."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from workbench.app import words
from workbench.app.house import House
from workbench.app.roles import Routes, may
from workbench.labelling.submission import Submission
from workbench.store.projects import OVERALL, Project

Tab = Field(min_length=1, max_length=64)
Leases = Field(max_length=200)


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: int
    axis: str = Field("overall", max_length=40)
    task: str = Field(max_length=20)
    tab: str = Tab
    want: int = Field(10, ge=1, le=1000)
    held: list[str] = Field([], max_length=200)


class Beat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: int | None = None
    tab: str = Tab
    held: list[str] = Leases


class Read(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: int
    version: int = Field(ge=0)


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: int
    message: int


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tab: str = Tab
    leases: list[str] = Leases


def routes(house: House) -> APIRouter:
    router, queue = Routes(house.accounts), house.queue

    def unread(user: str, project: int) -> list[dict[str, Any]]:
        return queue.standing(project).messages(user, unread=True)

    @router.at("GET", "/api/label/progress", "annotator")
    def progress(request: Request) -> dict[str, Any]:
        """Everything a page needs before its first item: who, which project, how far each task is."""
        user, found = request.state.user, house.project_of(request.state.user, request.cookies)
        return {
            "user": user,
            "lang": words.lang_of(request),
            "lead": may(house.accounts, user, "lead"),
            "project": found and told(house, user, found),
            "progress": found
            and {
                axis: {task: queue.progress(user, found.id, task, axis) for task in found.asked(axis)}
                for axis in found.guidelines
            },
        }

    @router.at("POST", "/api/label/lease", "annotator")
    def lease(request: Request, body: Wanted) -> dict[str, Any]:
        asked = (body.project, body.task, body.tab, body.want, body.held, body.axis)
        answer = queue.lease(request.state.user, *asked)
        return answer | {"messages": unread(request.state.user, body.project)}

    @router.at("POST", "/api/label/submit", "annotator")
    def submit(request: Request, body: Submission) -> dict[str, Any]:
        return queue.submit(request.state.user, body)

    @router.at("POST", "/api/label/heartbeat", "annotator")
    def heartbeat(request: Request, body: Beat) -> dict[str, Any]:
        user = request.state.user
        here = body.project in {project.id for project in house.projects_of(user)}
        return queue.heartbeat(user, body.tab, body.held) | {"messages": unread(user, body.project) if here else []}

    @router.at("POST", "/api/label/release", "annotator")
    def release(request: Request, body: Given) -> dict[str, Any]:
        return queue.release(request.state.user, body.tab, body.leases)

    @router.at("POST", "/api/label/guideline", "annotator")
    def guideline(request: Request, body: Read) -> dict[str, Any]:
        """The annotator has read the guideline up to this version."""
        house.project_for(request.state.user, body.project)
        queue.standing(body.project).guideline_read(request.state.user, body.version)
        return {"read": body.version}

    @router.at("POST", "/api/label/message", "annotator")
    def message(request: Request, body: Note) -> dict[str, Any]:
        """The annotator has read this message."""
        house.project_for(request.state.user, body.project)
        with house.store.lock:
            queue.standing(body.project).message_read(request.state.user, body.message)
        return {"read": body.message}

    return router


def told(house: House, user: str, project: Project) -> dict[str, Any]:
    """What of a project its annotators need to know."""
    guidelines = {
        axis: {"text": text, "html": project.guideline_html.get(axis)} for axis, text in project.guidelines.items()
    }
    stands = house.queue.standing(project.id)
    return {
        "id": project.id,
        "name": project.name,
        "tasks": project.asked(OVERALL),
        "axes": list(project.guidelines),
        "guidelines": guidelines,
        "version": project.version,
        "read": stands.read[user],
        "messages": stands.messages(user, unread=True),
        "best_worst": project.best_worst,
        "quota": project.quota,
        "deadline": project.deadline,
    }
