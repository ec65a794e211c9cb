"""The import card: a file or pasted lines, a look at what they would become, then yes or no."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import parts, report
from workbench.app.roles import requires
from workbench.app.routes.files import offer
from workbench.errors import UsageError
from workbench.formats.registry import DIALECTS
from workbench.jobs.folder import read_json

QUIET = {"api_visibility": "private"}


class Asked(NamedTuple):
    """What to read, and how."""

    file: gr.File
    pasted: gr.Textbox
    dialect: gr.Dropdown
    prompt: gr.Dropdown
    answers: gr.Dropdown
    label: gr.Dropdown


class Shown(NamedTuple):
    """What the card shows of a file that was read. `number` names the import, so that a reload can take it up."""

    number: gr.Number
    asking: gr.Column
    said: gr.HTML
    deciding: gr.Row
    confirm: gr.Button
    rejects: gr.Button
    details: gr.HTML
    how: gr.Accordion


def build(house: House, t: gr.I18n, held: list[Any], contents: Callable[[House, gr.Request], list[Any]]) -> None:
    """`held` shows the `contents` of the project, which change with every import."""
    asked, shown, read, discard = components(t)

    @requires(house.accounts, "lead")
    def parse(request: gr.Request, *given: Any) -> list[Any]:
        """Read and show what came of it; what cannot be confirmed is dropped at once."""
        project = project_of(house, request)
        made = read_in(house, request, project, *given)
        number, found = made["import"], made["report"]
        if found["items"] and not found["error"]:
            return [*preview(house, request, number, found), *[gr.skip()] * 3]
        why = refused(house, request, number, found)
        ACTIONS["import_discard"](house, request.username, project=project, number=number)
        return [*why, *[gr.Dropdown(choices=found["columns"])] * 3]

    @requires(house.accounts, "lead")
    def accept(request: gr.Request, number: int) -> list[Any]:
        forget_source(house, number)
        values = {"project": project_of(house, request), "number": number, "accept_rejects": True}
        stored = ACTIONS["import_confirm"](house, request.username, **values)
        text = words.say(words.lang_of(request), "data.stored", **stored)
        return [*settled(text), *contents(house, request)]

    @requires(house.accounts, "lead")
    def drop(request: gr.Request, number: int) -> list[Any]:
        forget_source(house, number)
        ACTIONS["import_discard"](house, request.username, project=project_of(house, request), number=number)
        return settled(words.say(words.lang_of(request), "data.discarded"))

    @requires(house.accounts, "lead")
    def recall(request: gr.Request) -> list[Any]:
        """A look that nobody has decided about yet, also after a reload."""
        project = house.project_of(request.username, request.cookies)
        waiting = report.undecided(house, project.id) if project else None
        return preview(house, request, *waiting) if waiting else [gr.skip()] * len(shown)

    columns, source, on = asked[3:], asked[:2], {"show_progress_on": shown.said, **QUIET}
    gr.on([read.click, asked.file.upload], parse, list(asked), [*shown, *columns], **on)
    shown.confirm.click(accept, shown.number, [*shown, *source, *held], **on)
    discard.click(drop, shown.number, [*shown, *source], **on)
    gr.context.Context.root_block.load(recall, None, list(shown), show_progress="hidden", **QUIET)


def components(t: gr.I18n) -> tuple[Asked, Shown, gr.Button, gr.Button]:
    known = [(t("data.detect"), ""), *(name for name in DIALECTS if name != "columns")]
    gr.Markdown(t("data.import"))
    with gr.Column() as asking:
        file = gr.File(label=t("data.file"), height=180, elem_id="file")
        with gr.Accordion(t("data.paste"), open=False):
            pasted = gr.Textbox(show_label=False, lines=6, placeholder=t("data.paste.example"), elem_id="pasted")
        with gr.Accordion(t("data.format"), open=False) as how:
            dialect = gr.Dropdown(known, value="", label=t("data.dialect"), elem_id="dialect")
            gr.Markdown(t("data.map"))
            with gr.Row():
                look = {"choices": [], "allow_custom_value": True, "min_width": 180}
                prompt = gr.Dropdown(label=t("data.map.prompt"), elem_id="map-prompt", **look)
                answers = gr.Dropdown(label=t("data.map.answers"), multiselect=True, elem_id="map-answers", **look)
                label = gr.Dropdown(label=t("data.map.label"), elem_id="map-label", **look)
        with gr.Row():
            read = parts.button(t("data.read"), first=True, elem_id="read")
    number, said = gr.Number(visible=False, precision=0), parts.block(elem_id="said")
    with gr.Row(visible=False) as deciding:
        confirm = parts.button("", width=360, first=True, elem_id="confirm")
        discard = parts.button(t("data.discard"), elem_id="discard")
        rejects = parts.button(t("data.rejects"), width=260, elem_id="rejects")
    details = parts.block(elem_id="details")
    asked = Asked(file, pasted, dialect, prompt, answers, label)
    return asked, Shown(number, asking, said, deciding, confirm, rejects, details, how), read, discard


def read_in(
    house: House, request: gr.Request, project: int, path: str | None, text: str | None, dialect: str, *columns: Any
) -> dict[str, Any]:
    """Parse the uploaded file, or the pasted lines as a file."""
    mapping = {key: name for key, name in zip(("prompt", "answers", "label"), columns, strict=True) if name}
    values = {"project": project, "dialect": dialect or None, "mapping": mapping or None}
    if path:
        return ACTIONS["import_file"](house, request.username, path=Path(path), **values)
    if not (text or "").strip():
        raise UsageError(words.say(words.lang_of(request), "data.nothing"))
    source = house.home / "tmp" / f"pasted-{secrets.token_hex(8)}"
    source.write_text(text, encoding="utf-8")
    try:
        return ACTIONS["import_file"](house, request.username, path=source, name="pasted", **values)
    finally:
        source.unlink()


def preview(house: House, request: gr.Request, number: int, found: dict[str, Any]) -> list[Any]:
    """The report, and what can be decided about it."""
    lang, rejects = words.lang_of(request), report.folder_of(house, number) / "rejects.jsonl"
    left_out = found["rejected"]
    text = words.say(lang, "data.confirm.part" if left_out else "data.confirm", n=found["items"], left_out=left_out)
    link = offer(house, request.username, rejects) if left_out else None
    return [
        number,
        gr.Column(visible=False),
        report.verdict(lang, found),
        gr.Row(visible=True),
        gr.Button(value=text),
        gr.Button(link=link, visible=link is not None),
        report.details(lang, found, rejects),
        gr.skip(),
    ]


def refused(house: House, request: gr.Request, number: int, found: dict[str, Any]) -> list[Any]:
    """Nothing of the file can come in: why, and the place to say how to read it."""
    lang, rejects = words.lang_of(request), report.folder_of(house, number) / "rejects.jsonl"
    unchanged, lines = gr.skip(), report.left_out(lang, found, rejects)
    card = [None, unchanged, report.verdict(lang, found), gr.Row(visible=False), unchanged, unchanged, lines]
    return [*card, gr.Accordion(open=True)]


def settled(text: str) -> list[Any]:
    """The card as it was before, with one line about what happened."""
    card = [None, gr.Column(visible=True), parts.line(text), gr.Row(visible=False), gr.skip(), gr.skip()]
    return [*card, "", gr.Accordion(open=False), None, ""]


def forget_source(house: House, number: int) -> None:
    """An upload is not kept; a file that somebody named on the command line is not ours."""
    source = Path(read_json(report.folder_of(house, number) / "config.json", {}).get("path", "/"))
    if source.is_relative_to(house.home.resolve() / "tmp"):
        source.unlink(missing_ok=True)


def project_of(house: House, request: gr.Request) -> int:
    """The project the page is about; `UsageError` when there is none yet."""
    project = house.project_of(request.username, request.cookies)
    if project is None:
        raise UsageError(words.say(words.lang_of(request), "data.no_project"))
    return project.id
