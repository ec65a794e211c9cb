"""Coming in and going out: sign-in, the link that sets a password, one's own password, sign-out."""

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from workbench.app import words
from workbench.app.accounts import WHOLE
from workbench.app.house import House
from workbench.app.roles import Routes
from workbench.app.throttle import TooMany
from workbench.errors import WorkbenchError


def routes(house: House) -> APIRouter:
    router, accounts = Routes(house.accounts), house.accounts

    @router.at("GET", "/login", None)
    def login(request: Request) -> Response:
        return page("login", request)

    @router.at("POST", "/login", None)
    def sign_in(request: Request, name: str = Form(""), password: str = Form("")) -> Response:
        try:
            token = accounts.sign_in(name, password, address(request))
        except WorkbenchError as error:
            return page("login", request, error, name=name)
        return signed_in(request, RedirectResponse("/app", 303), token)

    @router.at("GET", "/welcome", None)
    def welcome(request: Request) -> Response:
        return page("welcome", request)

    @router.at("POST", "/welcome", None)
    def set_password(
        request: Request, token: str = Form(), name: str = Form(""), password: str | None = Form(None)
    ) -> Response:
        """Without a password: whose link this is. With one: set it and come in."""
        try:
            if password is None:
                return JSONResponse({"name": accounts.guest(token)})
            opened = accounts.welcome(token, name, password)
        except WorkbenchError as error:
            return JSONResponse({"error": explain(error, request), "code": error.code}, error.status)
        return signed_in(request, JSONResponse({"next": "/app"}), opened)

    @router.at("GET", "/password", "annotator")
    def password(request: Request) -> Response:
        return page("password", request, name=request.state.user)

    @router.at("POST", "/password", "annotator")
    def change_password(request: Request, old: str = Form(""), new: str = Form("")) -> Response:
        user = request.state.user
        try:
            token = accounts.set_password(user, old, new, address(request))
        except WorkbenchError as error:
            return page("password", request, error, name=user)
        return signed_in(request, RedirectResponse("/app", 303), token)

    @router.at("POST", "/logout", "annotator")
    def sign_out(request: Request) -> Response:
        accounts.sign_out(request.cookies.get("sid", ""))
        answer = RedirectResponse("/login", 303)
        answer.set_cookie("left", "1", max_age=60, path="/login", samesite="strict")  # so that drafts go too
        answer.delete_cookie("sid", path="/")
        return answer

    @router.at("GET", "/", "annotator")
    def start(request: Request) -> Response:
        return RedirectResponse("/app", 303)

    return router


def address(request: Request) -> str:
    return request.client.host if request.client else ""


def page(kind: str, request: Request, error: WorkbenchError | None = None, **values: str) -> Response:
    """A plain page, with what went wrong when something did."""
    said = explain(error, request) if error else ""
    theme = request.cookies.get("theme", "auto")
    text = words.page(kind, words.lang_of(request), theme, **{"name": "", **values}, error=said)
    return HTMLResponse(text, error.status if error else 200)


def explain(error: WorkbenchError, request: Request) -> str:
    seconds = error.seconds if isinstance(error, TooMany) else 0
    return words.say(words.lang_of(request), f"sign.error.{error.code}", seconds=seconds)


def signed_in(request: Request, answer: Response, token: str) -> Response:
    """A fresh session: whatever the browser brought along is forgotten."""
    answer.set_cookie(
        "sid",
        token,
        max_age=int(WHOLE.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer
