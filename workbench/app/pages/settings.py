"""The settings of a project on the Home page: what is asked, of whom, by which rules; and its people."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import parts
from workbench.app.pages.admin import link_box, linked, state
from workbench.app.roles import requires
from workbench.store import projects
from workbench.store.projects import NAMES, TASKS, Project

AXES = 3  # further ones that the form shows; others stay as they are
SHARES = {"overlap": 100, "gold": 20, "repeats": 20}  # in per cent, and the most of each
ANSWERS = ("write", "best_worst")  # switches
WHOM = ("members", "everybody")
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
Fields = dict[str, Any]


def build(house: House, t: gr.I18n) -> tuple[gr.Accordion, gr.Dropdown, gr.Button, list[Any]]:
    """The card, its choice of a project, the button that saves, and what `save` needs."""
    with gr.Accordion(t("home.change"), open=False, visible=False, elem_id="change-card") as card:
        which = gr.Dropdown([], label=t("home.which"), elem_id="which")
        with gr.Column(visible=False) as form:
            fields = main_fields(t) | advanced_fields(t)
            with gr.Row():
                save = parts.button(t("home.save"), elem_id="project-save")
            people = parts.block(elem_id="project-people")
            with gr.Row():
                guest = gr.Textbox(label=t("settings.guest"), info=t("settings.guest.help"), elem_id="guest")
                invite = parts.button(t("settings.invite"), width=200, elem_id="guest-invite")
            link = link_box(t, "guest-link")
    inputs, shown = list(fields.values()), [form, people, link]
    lead = requires(house.accounts, "lead")
    which.input(lead(partial(opened, house)), which, [*shown, *inputs], **QUIET)
    made = [guest, link, people, fields["members"]]
    gr.on([invite.click, guest.submit], lead(partial(ask, house)), [which, guest], made, **QUIET)
    return card, which, save, [form, *inputs]


def main_fields(t: gr.I18n) -> Fields:
    """What matters every day."""
    tasks = [(t(f"home.task.{task}"), task) for task in TASKS]
    return {
        "name": gr.Textbox(label=t("home.name"), max_length=80, elem_id="new-name"),
        "guideline": gr.Textbox(
            label=t("home.guideline"), info=t("home.guideline.help"), lines=5, max_lines=20, elem_id="guideline"
        ),
        "tasks": gr.CheckboxGroup(tasks, label=t("home.tasks"), info=t("settings.tasks.help"), elem_id="new-tasks"),
        "members": gr.Dropdown(
            [], multiselect=True, label=t("settings.members"), info=t("settings.members.help"), elem_id="members"
        ),
        "everybody": gr.Checkbox(label=t("settings.everybody"), info=t("settings.everybody.help"), elem_id="everybody"),
        "paused": gr.Checkbox(label=t("settings.paused"), info=t("settings.paused.help"), elem_id="paused"),
    }


def advanced_fields(t: gr.I18n) -> Fields:
    """The rules of the queue, and further axes."""

    def said(kind: type, key: str, **rest: Any) -> Any:
        look = {"label": t(f"settings.{key}"), "info": t(f"settings.{key}.help"), "elem_id": key.replace("_", "-")}
        return kind(**look, **rest)

    with gr.Accordion(t("settings.advanced"), open=False, elem_id="advanced"):
        gr.Markdown(t("settings.part.who"))
        with gr.Row():
            made = {"quota": said(gr.Number, "quota", minimum=0, precision=0)}
            made["deadline"] = said(gr.Textbox, "deadline", placeholder="YYYY-MM-DD", max_length=10)
            made["calibrate"] = said(gr.Checkbox, "calibrate", min_width=260)
        gr.Markdown(t("settings.part.checks"))
        with gr.Row():
            made |= {key: said(gr.Slider, key, minimum=0, maximum=most, step=1) for key, most in SHARES.items()}
        gr.Markdown(t("settings.part.answers"))
        with gr.Row():
            made |= {key: said(gr.Checkbox, key, min_width=260) for key in ANSWERS}
        gr.Markdown(t("settings.part.order"))
        gr.Markdown(t("settings.part.texts"))
        made["names"] = said(gr.Dropdown, "names", choices=[(t(f"settings.names.{n}"), n) for n in NAMES])
        made |= axis_fields(t)
        gr.Markdown(t("settings.part.away"))
        made["archived"] = gr.Checkbox(label=t("home.archived"), info=t("home.archived.help"), elem_id="archived")
    return made


def axis_fields(t: gr.I18n) -> Fields:
    """Name and guideline of each further axis; the stylesheet hides an empty one below an empty one."""
    made: Fields = {}
    for i in range(1, AXES + 1):
        with gr.Row(elem_classes="axis"):
            look = {"placeholder": "harmless", "max_length": 31, "scale": 1, "elem_id": f"axis-{i}"}
            made[f"axis {i}"] = gr.Textbox(label=t("settings.axis"), info=t("settings.axis.help"), **look)
            look = {"lines": 2, "max_lines": 12, "scale": 2, "elem_id": f"axis-guideline-{i}"}
            made[f"text {i}"] = gr.Textbox(label=t("home.guideline"), info=t("settings.axis.guideline.help"), **look)
    return made


def opened(house: House, request: gr.Request, number: int) -> list[Any]:
    """The form as the project is; `values` has the order of the fields."""
    found, lang = projects.get(house.store, number), words.lang_of(request)
    values = values_of(found)
    text = (
        words.say(lang, "settings.guideline", n=found.version) if found.version else words.say(lang, "home.guideline")
    )
    values["guideline"] = gr.Textbox(value=found.guideline, label=text)
    values["members"] = members(house, request, found)
    return [gr.Column(visible=True), team(house, request, found), gr.Textbox(visible=False), *values.values()]


def values_of(found: Project) -> Fields:
    """Field -> what stands in it."""
    axes = [*found.axes.items(), *[("", "")] * AXES][:AXES]
    return {
        "name": found.name,
        "guideline": found.guideline,
        "tasks": list(found.tasks),
        "members": found.members or [],
        "everybody": found.members is None,
        "paused": found.paused,
        "quota": found.quota or 0,
        "deadline": found.deadline or "",
        "calibrate": found.calibrate,
        **{key: round(100 * getattr(found, key)) for key in SHARES},
        **{key: getattr(found, key) for key in ANSWERS},
        "names": found.names,
        **{f"{what} {i}": pair[at] for i, pair in enumerate(axes, 1) for at, what in enumerate(("axis", "text"))},
        "archived": found.archived,
    }


def save(house: House, request: gr.Request, number: int, *given: Any) -> None:
    """Store what was changed in the form, and nothing else."""
    found = projects.get(house.store, number)
    before = values_of(found)
    new = dict(zip(before, given, strict=True))
    asked = {key: new[key] for key in before if new[key] != before[key] and key not in WHOM and " " not in key}
    asked |= {key: asked[key] / 100 for key in SHARES if key in asked}
    asked |= {key: asked[key] or None for key in ("quota", "deadline") if key in asked}
    chosen = new["members"] or (None if new["everybody"] else [])
    if chosen != found.members:
        asked["members"] = chosen
    if "name" in asked:
        asked["name"] = (asked["name"] or "").strip()
    shown = {new[f"axis {i}"]: new[f"text {i}"] or "" for i in range(1, AXES + 1) if new[f"axis {i}"]}
    axes = shown | dict(list(found.axes.items())[AXES:])
    if axes != found.axes:
        asked["axes"] = axes
    if asked:
        ACTIONS["project_change"](house, request.username, project=number, **asked)


def ask(house: House, request: gr.Request, number: int, name: str) -> list[Any]:
    """Invite an annotator into the project."""
    made = ACTIONS["user_add"](house, request.username, name=(name or "").strip(), project=number)
    found = projects.get(house.store, number)
    return ["", linked(request, made), team(house, request, found), members(house, request, found)]


def members(house: House, request: gr.Request, found: Project) -> gr.Dropdown:
    """Whom the project can be open to, and whom it is."""
    names = [a["name"] for a in ACTIONS["annotators"](house, request.username)["annotators"]]
    chosen = found.members or []
    return gr.Dropdown(choices=sorted({*names, *chosen}), value=chosen)


def team(house: House, request: gr.Request, found: Project) -> str:
    """Who may label here, and how each account stands."""
    lang = words.lang_of(request)
    listed = ACTIONS["annotators"](house, request.username, project=found.id)["annotators"]
    rows = [(a["name"], words.say(lang, state(a))) for a in listed if a["member"]]
    if not rows:
        return parts.line(words.say(lang, "settings.team.none"), "quiet")
    head = [words.say(lang, f"admin.column.{key}") for key in ("name", "state")]
    return parts.heading(words.say(lang, "settings.team")) + parts.table(head, rows)
