"""Downloads: a file of the home, offered to one user under a random id; and the audit log as a table."""

import csv
import io
import json
import secrets
from collections import OrderedDict
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from workbench.app.csv_text import harmless
from workbench.app.house import House
from workbench.app.roles import Routes
from workbench.errors import NotFound
from workbench.store import audit

KEPT = 1000
LINES = 100_000
OFFERS: OrderedDict[str, tuple[str, Path]] = OrderedDict()


def offer(house: House, user: str, path: Path) -> str:
    """The address under which `user`, and nobody else, may fetch `path` until the server stops."""
    assert path.resolve().is_relative_to(house.home), f"{path} is not of this home"
    number = secrets.token_urlsafe(16)
    OFFERS[number] = (user, path)
    while len(OFFERS) > KEPT:
        OFFERS.popitem(last=False)
    return f"/api/file/{number}"


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)

    @router.at("GET", "/api/file/{number}", "annotator")
    def file(request: Request, number: str) -> Response:
        owner, path = OFFERS.get(number, (None, None))
        if owner != request.state.user or not path.is_file():
            raise NotFound(f"no file {number}")
        return FileResponse(path, filename=path.name)

    @router.at("GET", "/api/audit.csv", "admin")
    def log(request: Request, who: str | None = None, what: str | None = None) -> Response:
        """The newest lines of the audit log, as many as a spreadsheet takes."""
        table = io.StringIO()
        lines = csv.writer(table)
        lines.writerow(["time", "who", "what", "on"])
        for entry in audit.entries(house.store, who, what, limit=LINES):
            told = json.dumps(entry["on"], ensure_ascii=False)
            lines.writerow([entry["at"].isoformat(), *map(harmless, (entry["who"], entry["act"], told))])
        head = {"content-disposition": 'attachment; filename="audit.csv"'}
        return Response(table.getvalue(), media_type="text/csv; charset=utf-8", headers=head)

    return router
