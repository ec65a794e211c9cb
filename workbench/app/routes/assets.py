"""Our own scripts, styles and texts, as files."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from workbench.app import words
from workbench.app.dress import VERSION
from workbench.app.house import House
from workbench.app.roles import Routes
from workbench.errors import NotFound

FOLDER = words.HERE / "assets"
TYPES = {".js", ".css", ".svg"}


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)
    served = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.suffix in TYPES}

    @router.at("GET", "/assets/public/{name}", None)
    def public(request: Request, name: str) -> Response:
        return file(f"public/{name}")

    @router.at("GET", "/favicon.ico", "annotator")
    def favicon(request: Request) -> Response:
        return file("public/icon.svg")

    @router.at("GET", "/assets/i18n/{lang}.json", "annotator")
    def texts(request: Request, lang: str) -> Response:
        if lang not in words.LANGS:
            raise NotFound(f"no language {lang!r}; there are: {', '.join(words.LANGS)}")
        return JSONResponse(words.load(lang))

    @router.at("GET", "/assets/{name}", "annotator")
    def asset(request: Request, name: str) -> Response:
        return file(name)

    @router.at("GET", "/assets/{version}/{name}", "annotator")
    def kept(request: Request, version: str, name: str) -> Response:
        return file(name if version == VERSION else f"{version}/{name}")

    def file(name: str) -> Response:
        if name not in served:
            raise NotFound(f"no asset {name!r}")
        return FileResponse(served[name])

    return router
