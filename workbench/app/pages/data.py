"""The Data page: take a file in after a look at it, see what the project holds, freeze it, let it out."""

from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import incoming, outgoing, parts
from workbench.app.pages.incoming import QUIET, project_of
from workbench.app.roles import requires

ITEMS, UNITS = ("pair", "thumb", "rank", "prompt"), ("pairs", "ties", "thumbs", "rankings", "demonstrations")
FROZEN = ("hash", "pairs", "thumbs", "rankings", "demonstrations")


def build(house: House, t: gr.I18n) -> None:
    with gr.Column(elem_id="data"):
        held = parts.block(elem_id="held", render=False)
        having = gr.Column(visible=False, render=False)
        incoming.build(house, t, [held, having], contents)
        gr.Markdown(t("data.here"))
        held.render()
        having.render()
        with having:
            with gr.Row():
                freeze = parts.button(t("data.freeze"), width=220, elem_id="freeze")
            frozen = parts.block(elem_id="frozen")
            snapshots = let_out(house, t)
    shown = [held, having, snapshots]

    @requires(house.accounts, "lead")
    def show(request: gr.Request) -> list[Any]:
        return [*contents(house, request), gr.Dropdown(choices=choices(house, request), value="")]

    @requires(house.accounts, "lead")
    def keep(request: gr.Request) -> list[Any]:
        made = ACTIONS["snapshot"](house, request.username, project=project_of(house, request))
        text = words.say(words.lang_of(request), f"data.frozen.{'new' if made['new'] else 'same'}", hash=made["hash"])
        return [parts.line(text), *show.__wrapped__(request)]

    gr.context.Context.root_block.load(show, None, shown, show_progress="hidden", **QUIET)
    freeze.click(keep, None, [frozen, *shown], show_progress="hidden", **QUIET)


def contents(house: House, request: gr.Request) -> list[Any]:
    """What the project holds: items, labels, what methods could use, imports and snapshots; and whether it is any."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    found = ACTIONS["data"](house, request.username, project=project.id) if project else None
    if found is None or not sum(found["items"].values()):
        return [parts.line(words.say(lang, "data.empty" if project else "data.no_project")), gr.Column(visible=False)]
    items = {words.say(lang, f"data.items.{key}"): found["items"][key] for key in ITEMS if found["items"][key]}
    units = {words.say(lang, f"data.units.{key}"): found["units"][key] for key in UNITS if found["units"][key]}
    text = parts.figures(items | {words.say(lang, "data.labels"): sum(found["labels"].values())})
    text += parts.heading(words.say(lang, "data.units")) + (parts.figures(units) if units else "")
    text += parts.line(words.say(lang, "data.units.means" if units else "data.units.none"), "quiet")
    text += tabled(lang, "imports", ("file", "dialect", "items", "merged", "judgements", "rejected"), found["imports"])
    frozen = [{"hash": s["hash"], **s["rows"]} for s in found["snapshots"]]
    return [text + tabled(lang, "snapshots", FROZEN, frozen), gr.Column(visible=True)]


def tabled(lang: str, what: str, keys: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    """A table under its heading, the newest row first; nothing when there are no rows."""
    head = [words.say(lang, f"data.{what}.{key}") for key in keys]
    title = parts.heading(words.say(lang, f"data.{what}"))
    return title + parts.table(head, ([row.get(key, 0) for key in keys] for row in reversed(rows))) if rows else ""


def let_out(house: House, t: gr.I18n) -> gr.Dropdown:
    """The export card."""
    with gr.Accordion(t("data.export"), open=False, elem_id="export-card"):
        gr.Markdown(t("data.export.help"))
        snapshot = gr.Dropdown([], label=t("data.snapshot"), elem_id="snapshot")
        terms = outgoing.terms(t, "name/dataset")
        with gr.Row():
            export = parts.button(t("data.export.do"), elem_id="export")
        done = parts.block(elem_id="exported")

    @requires(house.accounts, "lead")
    def write(request: gr.Request, name: str | None, *agreed: Any) -> list[Any]:
        lang = words.lang_of(request)
        values = {"project": project_of(house, request), "snapshot": name or None, **outgoing.agreed(lang, *agreed)}
        made = ACTIONS["export_dataset"](house, request.username, **values)
        return [outgoing.written(lang, made), gr.Dropdown(choices=choices(house, request))]

    export.click(write, [snapshot, *terms], [done, snapshot], show_progress_on=done, **QUIET)
    return snapshot


def choices(house: House, request: gr.Request) -> list[tuple[str, str]]:
    """What can be exported: what holds now, or a snapshot."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    now = [(words.say(lang, "data.snapshot.now"), "")]
    if project is None:
        return now
    found = ACTIONS["snapshots"](house, request.username, project=project.id)["snapshots"]
    return now + [(s["hash"], s["hash"]) for s in reversed(found)]
