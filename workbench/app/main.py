"""The whole app: the house opened, its pages in Gradio, its routes beside them, the gate in front."""

import asyncio
import importlib
import shutil

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from workbench.app import words
from workbench.app.gate import Gate
from workbench.app.house import House
from workbench.app.roles import undeclared
from workbench.app.routes import api, assets, do, files, health, label, shell, sign, tokens
from workbench.app.routes.shell import PAGES
from workbench.app.theme import theme
from workbench.errors import UsageError
from workbench.jobs.folder import read_json
from workbench.settings import Settings


def build(settings: Settings) -> FastAPI:
    """Open the house and build the app; whoever asked for it closes `app.state.house` at the end."""
    house = House.open(settings, url=settings.url)
    try:
        if not settings.loopback and not house.accounts.has_admin:
            raise UsageError(
                f"--host {settings.host} opens the server to the network, but nobody can sign in yet: "
                "start it once without --host and make the first admin"
            )
        shutil.rmtree(house.home / "tmp" / "gradio", ignore_errors=True)
        return assemble(house)
    except BaseException:
        house.close()
        raise


def assemble(house: House) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.house, app.state.closing = house, asyncio.Event()
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, refused)
    for room in (sign, tokens, shell, assets, files, do, label, api, health):
        app.include_router(room.routes(house))
    app.add_middleware(CORSMiddleware, allow_origins=[])  # or Gradio adds its own, which mirrors any origin
    demo, texts = pages(house)
    gr.mount_gradio_app(
        app,
        demo,
        path="/app",
        auth_dependency=lambda request: request.scope["state"]["user"],
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        show_error=False,
        i18n=texts,
        theme=theme(),
    )
    app.add_middleware(
        Gate,
        accounts=house.accounts,
        key=read_json(house.home / "server.json")["token"],
        pages={page.route: page.role for page in PAGES},
        host=house.settings.host,
        closing=app.state.closing,
    )
    return app


def pages(house: House) -> tuple[gr.Blocks, gr.I18n]:
    """Every page in one Blocks. Whoever leaves an event without a role does not start."""
    t = words.texts()
    first, *others = [(page, importlib.import_module(f"workbench.app.pages.{page.name}")) for page in PAGES]
    with gr.Blocks(title="Preference Workbench", analytics_enabled=False, fill_width=True) as demo:
        gr.Navbar(visible=False)
        first[1].build(house, t)
    for page, module in others:
        with demo.route(page.name, f"/{page.route}"):
            gr.Navbar(visible=False)
            module.build(house, t)
    demo.queue(default_concurrency_limit=None, api_open=False)
    bare = undeclared(demo)
    assert not bare, f"events without a role: {[demo.fns[i].fn for i in bare if i in demo.fns] or bare}"
    return demo, t


def greeting(app: FastAPI) -> str:
    """What the terminal says when all is ready: the address, and the way in while nobody has one."""
    house: House = app.state.house
    text = f"Preference Workbench is ready: {house.settings.url}"
    if not house.settings.loopback:
        text += f"\nOthers find it at: {house.settings.team_url}"
    if not house.accounts.has_admin:
        link = f"{house.settings.url}/welcome#{house.accounts.first_link()}"
        text += f"\nMake the first admin within 15 minutes, once: {link}"
    return text


async def unreadable(request: Request, error: RequestValidationError) -> JSONResponse:
    """A body or an address that is not what the route asks for, in the words of every other error."""
    first = error.errors()[0]
    body = {"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "code": UsageError.code}
    return JSONResponse(body, UsageError.status)


async def refused(request: Request, error: HTTPException) -> JSONResponse:
    """No route, another method, a body nobody can read: also in the words of every other error."""
    code = {404: "not_found", 405: "not_found"}.get(error.status_code, UsageError.code)
    return JSONResponse({"error": str(error.detail), "code": code}, error.status_code)
