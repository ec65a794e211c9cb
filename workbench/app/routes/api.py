"""The REST API: other tools feed items, label, drain judgements and fetch exports. Leaves out its models (`shapes`)."""

import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, Response

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.roles import Routes
from workbench.app.routes import shapes
from workbench.errors import NotFound
from workbench.labelling.submission import Submission
from workbench.schema import Item, Judgement, Message
from workbench.store import feed as rows

BASE = "/api/v1"
HASH = re.compile(r"[0-9a-f]{8,64}")
FAULTS = {
    400: "not JSON",
    401: "sign in, or send a valid token",
    403: "needs a higher role",
    404: "not there",
    413: "too large",
    422: "a value cannot be",
    503: "the disk refuses, or the server is starting: nothing was stored",
}
TAKEN = FAULTS | {409: "already labelled, taken by somebody else, or a uid used before", 410: "withdrawn"}
WHAT = (
    "Feed items, label them, drain judgements, fetch exports. Every request carries `Authorization: Bearer TOKEN` and "
    "may do what the owner of the token may; make one at /tokens. Errors are JSON: `error` a sentence, `code` a word."
)
After = Query(0, ge=0, description="give what comes after this number")
Limit = Query(100, ge=1, le=shapes.MOST)


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)

    def at(method: str, path: str, role: str, summary: str, model: Any, faults: dict[int, str] = FAULTS) -> Callable:
        described = {code: {"model": shapes.Fault, "description": text} for code, text in faults.items()}
        return router.at(
            method,
            BASE + path,
            role,
            response_model=model,
            summary=summary,
            responses=described,
            openapi_extra={"x-role": role},
        )

    exchange(house, at)
    labelling(house, at)
    exports(house, at)
    documents(house, router)
    return router


def exchange(house: House, at: Callable) -> None:
    """Items in, judgements out."""

    @at("GET", "/projects", "annotator", "The projects one may see, and how far they are", shapes.Projects)
    def projects(request: Request) -> dict[str, Any]:
        user = request.state.user
        return {
            "projects": [
                {key: getattr(p, key) for key in ("id", "name", "tasks", "version")}
                | {"axes": list(p.guidelines), **house.counted(user, p)}
                for p in house.projects_of(user)
            ]
        }

    @at("POST", "/projects/{project}/items", "lead", "Add items to be labelled", shapes.StoredItems)
    def add_items(request: Request, project: int, body: shapes.NewItems) -> dict[str, Any]:
        """At most 1,000 and 8 MB a call. Sending the same again changes nothing and gives the same numbers."""
        return ACTIONS["items_add"](house, request.state.user, project=project, items=body.items)

    @at("GET", "/projects/{project}/items", "lead", "Items by number, with how many labels each has", shapes.Items)
    def items(request: Request, project: int, after: int = After, limit: int = Limit) -> dict[str, Any]:
        found = [shown(*row) for row in rows.page(house.store, house.project(project).id, after, limit)]
        return {"items": found, "next": found[-1]["id"] if found else after}

    @at("GET", "/projects/{project}/judgements", "lead", "Judgements in the order they came", shapes.Judgements)
    def judgements(
        request: Request, project: int, after: int = After, limit: int = Limit, names: bool = False
    ) -> dict[str, Any]:
        """All kinds, also what was undone or replaced since: `current` tells. With `names` annotators are named."""
        called = (lambda name: name) if names else rows.pseudonyms(house.store)
        found = [judged(*row, called) for row in rows.judgements(house.store, house.project(project).id, after, limit)]
        return {"judgements": found, "next": found[-1]["seq"] if found else after}

    @at("GET", "/projects/{project}/report", "lead", "Agreement, noise, bias and people of one axis", shapes.Report)
    def report(request: Request, project: int, axis: str = Query("overall", max_length=31)) -> dict[str, Any]:
        return ACTIONS["review_report"](house, request.state.user, project=project, axis=axis)


def labelling(house: House, at: Callable) -> None:
    """One's own labels from another tool: the rules are the queue's, and what is shown is what the Label page shows."""

    @at("POST", "/projects/{project}/lease", "annotator", "Get items to label", shapes.Leased)
    def lease(request: Request, project: int, body: shapes.Lease) -> dict[str, Any]:
        found = house.project_for(request.state.user, project)
        return house.queue.lease(request.state.user, found.id, body.task, body.tab, body.want, body.held, body.axis)

    @at("POST", "/projects/{project}/submit", "annotator", "Answer a leased item", shapes.Acknowledged, TAKEN)
    def submit(request: Request, project: int, body: Submission) -> dict[str, Any]:
        """`payload` names answers by position: 0 is the first that the lease showed. The same `uid` may come again."""
        found = house.project_for(request.state.user, project)
        return house.queue.submit(request.state.user, body, found.id)

    @at("POST", "/projects/{project}/release", "annotator", "Give leased items back", shapes.Released)
    def release(request: Request, project: int, body: shapes.Release) -> dict[str, Any]:
        house.project_for(request.state.user, project)
        return house.queue.release(request.state.user, body.tab, body.leases)


def exports(house: House, at: Callable) -> None:
    """Data sets as Hub folders, file by file."""

    @at("POST", "/projects/{project}/exports", "lead", "Write a data set", shapes.Exported)
    def export(request: Request, project: int, body: shapes.NewExport) -> dict[str, Any]:
        """The labels as they hold now, or those of an older snapshot."""
        asked = body.model_dump(exclude_none=True)
        made = ACTIONS["export_dataset"](house, request.state.user, project=project, **asked)
        folder = house.home / "exports" / f"dataset-{made['snapshot']}"
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        base = f"{BASE}/exports/{made['snapshot']}"
        return {"snapshot": made["snapshot"], "rows": made["rows"], "files": [f"{base}/{name}" for name in files]}

    @at("GET", "/exports/{snapshot}/{path:path}", "lead", "One file of a data set", None)
    def exported(request: Request, snapshot: str, path: str) -> Response:
        folder = (house.home / "exports" / f"dataset-{snapshot}").resolve()
        wanted = (folder / path).resolve()
        if not HASH.fullmatch(snapshot) or not wanted.is_relative_to(folder) or not wanted.is_file():
            raise NotFound(f"no file {path} of a data set {snapshot}")
        return FileResponse(wanted, filename=wanted.name)


def documents(house: House, router: Routes) -> None:
    """What there is, for programs and for people. Signed in only."""

    @router.at("GET", "/api/openapi.json", "annotator", include_in_schema=False)
    def openapi(request: Request) -> dict[str, Any]:
        return document(router)

    @router.at("GET", "/api/docs", "annotator", include_in_schema=False)
    def docs(request: Request) -> Response:
        lang, theme = words.lang_of(request), request.cookies.get("theme", "auto")
        listed = [
            words.part(
                "route",
                lang,
                method=method.upper(),
                path=path,
                summary=words.say(lang, told["summary"]),
                description=words.say(lang, told.get("description", "")).replace("`", ""),
                role=words.say(lang, f"shell.role.{told['x-role']}"),
            )
            for path, methods in document(router)["paths"].items()
            for method, told in methods.items()
        ]
        return HTMLResponse(words.page("api", lang, theme, more="".join(listed)))


def document(router: APIRouter) -> dict[str, Any]:
    """The OpenAPI document of the routes."""
    made = get_openapi(title="Preference Workbench", version="1", description=WHAT, routes=router.routes)
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return made | {"security": [{"token": []}]}


def shown(item: Item, n_labels: int) -> dict[str, Any]:
    answers = [{"messages": spoken(c.messages), "source": c.source} for c in item.candidates]
    kept = {key: getattr(item, key) for key in ("id", "form", "lang")} | {"tags": list(item.tags)}
    return kept | {"prompt": spoken(item.prompt), "answers": answers, "n_labels": n_labels}


def spoken(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in messages]


def judged(seq: int, judgement: Judgement, current: bool, called: Callable[[str], str]) -> dict[str, Any]:
    same = ("item", "axis", "kind", "payload", "purpose", "policy", "guideline", "shown_order", "ms_shown", "ms_active")
    told = {key: getattr(judgement, key) for key in (*same, "reason")}
    names = {"uid": str(judgement.uid), "supersedes": judgement.supersedes and str(judgement.supersedes)}
    at = judgement.ts.isoformat(timespec="milliseconds")
    return told | names | {"seq": seq, "at": at, "annotator": called(judgement.annotator), "current": current}
