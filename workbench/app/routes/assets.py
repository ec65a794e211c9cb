"""Our own scripts, styles and texts, as files."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from workbench.app import words
from workbench.app.house import House
from workbench.app.roles import Routes
from workbench.errors import NotFound

FOLDER = words.HERE / "assets"


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)
    served = StaticFiles(directory=FOLDER)
    public = StaticFiles(directory=FOLDER / "public")

    @router.get("/assets/public/{name}")
    async def sign(name: str, request: Request) -> Response:
        return await public.get_response(name, request.scope)

    @router.at("GET", "/favicon.ico", "annotator")
    def favicon(request: Request) -> Response:
        return FileResponse(FOLDER / "public" / "icon.svg")

    @router.at("GET", "/assets/i18n/{lang}.json", "annotator")
    def texts(request: Request, lang: str) -> Response:
        if lang not in words.LANGS:
            raise NotFound(f"no language {lang!r}; there are: {', '.join(words.LANGS)}")
        return JSONResponse(words.load(lang))

    @router.at("GET", "/assets/{name}", "annotator")
    def asset(request: Request, name: str) -> Response:
        path, _ = served.lookup_path(name)
        if not path:
            raise NotFound(f"no asset {name!r}")
        return FileResponse(path)

    return router
