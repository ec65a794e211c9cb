"""The page on which people make tokens for their programs. Leaves out what a token may do (`gate`, `api`)."""

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.roles import Routes

DAYS = ("created", "expires", "used")


def routes(house: House) -> APIRouter:
    router = Routes(house.accounts)

    @router.at("GET", "/tokens", "annotator")
    def tokens(request: Request) -> Response:
        return page(house, request)

    @router.at("POST", "/tokens", "annotator")
    def new_token(request: Request, title: str = Form(""), days: int = Form(90)) -> Response:
        """The token stands on the page that answers, and nowhere after."""
        return page(house, request, ACTIONS["token_add"](house, request.state.user, title=title, days=days)["token"])

    @router.at("POST", "/tokens/revoke", "annotator")
    def end_token(request: Request, number: int = Form()) -> Response:
        ACTIONS["token_revoke"](house, request.state.user, number=number)
        return RedirectResponse("/tokens", 303)

    return router


def page(house: House, request: Request, secret: str = "") -> Response:
    """One's own tokens, each with a button that ends it; `secret` is the one just made."""
    lang, theme = words.lang_of(request), request.cookies.get("theme", "auto")
    never = words.say(lang, "sign.tokens.never")
    listed = [
        words.part("token", lang, **token | {key: (token[key] or never)[:10] for key in DAYS})
        for token in ACTIONS["tokens"](house, request.state.user)["tokens"]
    ]
    return HTMLResponse(words.page("tokens", lang, theme, more="".join(listed), secret=secret))
