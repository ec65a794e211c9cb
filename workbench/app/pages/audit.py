"""The audit log and everybody's tokens on the Admin page."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.acts.act import brief
from workbench.app.house import House
from workbench.app.pages import parts
from workbench.app.roles import requires

COLUMNS = ("time", "who", "what", "on")
TOKEN = ("owner", "title", "created", "expires", "used")
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build_log(house: House, t: gr.I18n) -> None:
    """Newest first, of one person or kind or all, a page at a time."""
    with gr.Row():
        who = gr.Dropdown([], label=t("audit.who"), elem_id="log-who")
        what = gr.Dropdown([], label=t("audit.what"), elem_id="log-what")
    table = parts.block(elem_id="log")
    with gr.Row():
        older = parts.button(t("audit.older"), elem_id="log-older")
        newest = parts.button(t("audit.newest"), elem_id="log-newest")
    last = gr.Number(visible=False)
    admin, shown = requires(house.accounts, "admin"), [table, older, last, who, what]
    gr.context.Context.root_block.load(admin(partial(look, house)), [who, what], shown, **QUIET)
    gr.on([who.input, what.input, newest.click], admin(partial(look, house)), [who, what], shown, **QUIET)
    older.click(admin(partial(look, house)), [who, what, last], shown, **QUIET)


def look(house: House, request: gr.Request, who: str | None, what: str | None, before: int | None = None) -> list[Any]:
    """One page of the log, the way to the next, and what it can be narrowed to."""
    lang, asked = words.lang_of(request), {"who": who or None, "what": what or None}
    found = ACTIONS["audit"](house, request.username, **asked, before=int(before) if before else None)
    head = [words.say(lang, f"audit.column.{key}") for key in COLUMNS]
    rows = [(time(e["at"]), e["who"], called(lang, e["act"]), thing(e["on"])) for e in found["entries"]]
    kept = {key: value for key, value in asked.items() if value}
    link = parts.link(words.say(lang, "audit.csv"), "/api/audit.csv" + ("?" + urlencode(kept) if kept else ""))
    everybody, every = (words.say(lang, f"audit.{key}") for key in ("everybody", "every"))
    kinds = sorted((called(lang, act), act) for act in found["acts"])
    return [
        parts.table(head, rows) + f"<p>{link}</p>",
        gr.Button(interactive=found["more"]),
        found["entries"][-1]["seq"] if rows else None,
        gr.Dropdown(choices=[(everybody, ""), *((name, name) for name in found["people"])], value=who or ""),
        gr.Dropdown(choices=[(every, ""), *kinds], value=what or ""),
    ]


def called(lang: str, act: str) -> str:
    """The name of an act in words; one that has none yet as it is."""
    key = f"audit.act.{act}"
    return said if (said := words.say(lang, key)) != key else act.replace("_", " ")


def thing(on: dict[str, Any]) -> str:
    """On which thing, and how; a long message is cut, the CSV has all of it."""
    return " · ".join(f"{key.replace('_', ' ')}: {'–' if value is None else brief(value)}" for key, value in on.items())


def time(iso: str) -> str:
    return iso[:19].replace("T", " ")


def build_tokens(house: House, t: gr.I18n) -> None:
    """Whose programs may act, and how to end that."""
    table = parts.block(elem_id="tokens")
    with gr.Row():
        which = gr.Dropdown([], label=t("audit.token"), info=t("audit.token.help"), elem_id="token")
    with gr.Row():
        revoke = parts.button(t("sign.tokens.revoke"), elem_id="token-revoke")
    admin = requires(house.accounts, "admin")
    gr.context.Context.root_block.load(admin(partial(tokens, house)), None, [table, which], **QUIET)
    revoke.click(admin(partial(end, house)), which, [table, which], **QUIET)


def tokens(house: House, request: gr.Request) -> list[Any]:
    lang, found = words.lang_of(request), ACTIONS["tokens"](house, request.username, everybody=True)["tokens"]
    head = [words.say(lang, f"audit.token.{key}") for key in TOKEN]
    never = words.say(lang, "sign.tokens.never")
    rows = [[t["owner"], t["title"], *((t[key] or never)[:10] for key in TOKEN[2:])] for t in found]
    shown = parts.table(head, rows) if rows else parts.line(words.say(lang, "audit.token.none"), "quiet")
    return [shown, gr.Dropdown(choices=[(f"{t['owner']}: {t['title']}", t["id"]) for t in found], value=None)]


def end(house: House, request: gr.Request, number: int | None) -> list[Any]:
    if number:
        ACTIONS["token_revoke"](house, request.username, number=number)
    return tokens(house, request)
