"""The Admin page: who is who; invite somebody, change a role, lock out. Leaves out tokens and the log (`audit`)."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import audit, parts
from workbench.app.roles import requires
from workbench.schema import ROLES

COLUMNS = ("name", "role", "state")
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(house: House, t: gr.I18n) -> None:
    with gr.Tabs(elem_id="admin"):
        with gr.Tab(t("admin.people")):
            build_people(house, t)
        with gr.Tab(t("admin.tokens")):
            audit.build_tokens(house, t)
        with gr.Tab(t("admin.log")):
            audit.build_log(house, t)


def build_people(house: House, t: gr.I18n) -> None:
    roles = [(t(f"admin.role.{role}"), role) for role in ROLES]
    with gr.Column():
        gr.Markdown(t("admin.invite"))
        with gr.Row():
            name = gr.Textbox(label=t("admin.name"), info=t("admin.name.help"), max_length=64, elem_id="name")
            role = gr.Dropdown(roles, value=ROLES[0], label=t("admin.role"), info=t("admin.role.help"), elem_id="role")
        with gr.Row():
            invite = parts.button(t("admin.invite.do"), first=True, elem_id="invite")
        link = link_box(t, "link")
        people = parts.block(elem_id="people")
        with gr.Accordion(t("admin.change"), open=False, elem_id="change-card"):
            with gr.Row():
                who = gr.Dropdown([], label=t("admin.who"), elem_id="who")
                new_role = gr.Dropdown(roles, label=t("admin.role"), interactive=False, elem_id="new-role")
                locked = gr.Checkbox(
                    label=t("admin.disabled"), info=t("admin.disabled.help"), interactive=False, elem_id="locked"
                )
            with gr.Row():
                save = parts.button(t("admin.save"), interactive=False, elem_id="save")
                reset = parts.button(t("admin.reset"), interactive=False, width=200, elem_id="reset")
            new_link = link_box(t, "new-link")

    shown, admin = [people, who], requires(house.accounts, "admin")
    gr.context.Context.root_block.load(admin(partial(look, house)), None, shown, **QUIET)
    gr.on([invite.click, name.submit], admin(partial(ask, house)), [name, role], [name, link, *shown], **QUIET)
    who.input(admin(partial(chosen, house)), who, [new_role, locked, save, reset, new_link], **QUIET)
    save.click(admin(partial(change, house)), [who, new_role, locked], [reset, *shown], **QUIET)
    reset.click(admin(partial(anew, house)), who, new_link, **QUIET)


def ask(house: House, request: gr.Request, title: str, wanted: str) -> list[Any]:
    made = ACTIONS["user_add"](house, request.username, name=(title or "").strip(), role=wanted)
    return ["", linked(request, made), *look(house, request)]


def chosen(house: House, request: gr.Request, title: str) -> list[Any]:
    """Nothing can be changed before it is known how it is."""
    found = next(u for u in ACTIONS["users"](house, request.username)["users"] if u["name"] == title)
    return [
        gr.Dropdown(value=found["role"], interactive=True),
        gr.Checkbox(value=found["disabled"], interactive=True),
        gr.Button(interactive=True),
        gr.Button(interactive=not found["disabled"]),
        gr.Textbox(visible=False),
    ]


def change(house: House, request: gr.Request, title: str, wanted: str, out: bool) -> list[Any]:
    ACTIONS["user_change"](house, request.username, name=title, role=wanted, disabled=out)
    return [gr.Button(interactive=not out), *look(house, request)]


def anew(house: House, request: gr.Request, title: str) -> gr.Textbox:
    return linked(request, ACTIONS["user_reset"](house, request.username, name=title))


def link_box(t: gr.I18n, name: str) -> gr.Textbox:
    """A place for a link by which somebody sets a password."""
    return gr.Textbox(label=t("admin.link"), info=t("admin.link.help"), visible=False, buttons=["copy"], elem_id=name)


def linked(request: gr.Request, made: dict[str, Any]) -> gr.Textbox:
    """The link of an act, to be sent on."""
    text = words.say(words.lang_of(request), "admin.link.for", name=made["name"])
    return gr.Textbox(value=request.headers["origin"] + made["link"], label=text, visible=True)


def look(house: House, request: gr.Request) -> list[Any]:
    """The table of people, and whom one can change."""
    lang, users = words.lang_of(request), ACTIONS["users"](house, request.username)["users"]
    head = [words.say(lang, f"admin.column.{key}") for key in COLUMNS]
    rows = [(u["name"], words.say(lang, f"admin.role.{u['role']}"), words.say(lang, state(u))) for u in users]
    return [parts.table(head, rows), gr.Dropdown(choices=[u["name"] for u in users])]


def state(user: dict[str, Any]) -> str:
    return "admin.state." + ("disabled" if user["disabled"] else "pending" if user["pending"] else "active")
