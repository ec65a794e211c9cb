"""The first page: the demo in one click, projects, and what to do next in each."""

from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import parts, settings
from workbench.app.roles import may, requires
from workbench.store import projects, runs
from workbench.store.projects import TASKS, Project

COLUMNS = ("project", "items", "labelled", "today", "steps")
ENOUGH = 30
Steps = list[tuple[str, str]]

# A link names its project, and what the demo button brings is opened at once.
OPEN = """
element.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-project]");
  if (link) document.cookie = `project=${link.dataset.project}; path=/; max-age=31536000; samesite=lax`;
});
watch("value", () => setTimeout(() => element.querySelector("a[data-open]")?.click()));
"""


def build(house: House, t: gr.I18n) -> None:
    """A fresh home offers the demo; afterwards the next step of the chosen project stands on top."""
    with gr.Column(elem_id="home"):
        top = parts.block(elem_id="top", js_on_load=OPEN)
        with gr.Row():
            demo = parts.button(t("home.demo"), width=360, first=True, size="lg", visible=False, elem_id="demo")
        with gr.Accordion(t("home.own"), open=False, visible=False, elem_id="own") as own:
            name = gr.Textbox(label=t("home.name"), max_length=80, elem_id="project-name")
            asked = [(t(f"home.task.{task}"), task) for task in TASKS]
            tasks = gr.CheckboxGroup(asked, value=["pair", "thumb"], label=t("home.tasks"), elem_id="project-tasks")
            with gr.Row():
                create = parts.button(t("home.create"), elem_id="project-create")
        card, which, save, form = settings.build(house, t)
    shown = [top, demo, own, card, which]

    @requires(house.accounts, "annotator")
    def show(request: gr.Request) -> list[Any]:
        return look(house, request)

    @requires(house.accounts, "lead")
    def start_demo(request: gr.Request) -> list[Any]:
        made = ACTIONS["demo_create"](house, request.username)
        return look(house, request, made["project"], go=True)

    @requires(house.accounts, "lead")
    def start_own(request: gr.Request, title: str, wanted: list[str]) -> list[Any]:
        made = ACTIONS["project_create"](house, request.username, name=(title or "").strip(), tasks=wanted)
        return look(house, request, made["id"], go=True)

    @requires(house.accounts, "lead")
    def change(request: gr.Request, number: int, *given: Any) -> list[Any]:
        settings.save(house, request, number, *given)
        gr.Info(words.say(words.lang_of(request), "home.saved"))
        return [gr.Column(visible=True), *look(house, request, kept=number)]

    quiet = {"api_visibility": "private"}
    save.click(change, [which, *form[1:]], [form[0], *shown], show_progress="hidden", **quiet)
    gr.context.Context.root_block.load(show, None, shown, show_progress="hidden", **quiet)
    demo.click(start_demo, None, shown, show_progress_on=demo, **quiet)
    gr.on([create.click, name.submit], start_own, [name, tasks], shown, show_progress="hidden", **quiet)


def look(
    house: House, request: gr.Request, newest: int | None = None, *, go: bool = False, kept: int | None = None
) -> list[Any]:
    """Everything on the page; `newest` is a project just made, whose next step comes first, and opens with `go`.

    kept    the project whose settings stay open
    """
    lang, leads = words.lang_of(request), may(house.accounts, request.username, "lead")
    mine = house.projects_of(request.username)
    steps = {p.id: next_steps(house, request, p, leads) for p in mine}
    chosen = house.project(newest) if newest else house.project_of(request.username, request.cookies)
    who = f"{'lead' if leads else 'annotator'}.{'some' if mine else 'none'}"
    top = parts.line(words.say(lang, f"home.greeting.{who}"))
    if chosen and steps.get(chosen.id):
        top += first_step(chosen, *steps[chosen.id][0], go=go)
    return [top + (listed(house, request, mine, steps) if mine else ""), gr.Button(visible=leads and not mine),
            gr.Accordion(visible=leads), *changeable(house, lang, kept, leads=leads)]  # fmt: skip


def changeable(house: House, lang: str, kept: int | None, *, leads: bool) -> list[Any]:
    """The card that changes projects, and which there are: the archived ones too, so that they can come back."""
    every = projects.all(house.store) if leads else []
    away = words.say(lang, "home.archived").lower()
    choices = [(f"{p.name} ({away})" if p.archived else p.name, p.id) for p in every]
    return [gr.Accordion(visible=bool(every)), gr.Dropdown(choices=choices, value=kept)]


def first_step(project: Project, text: str, page: str, *, go: bool) -> str:
    """The one large link of the page."""
    return f'<p><a id="next" class="first" href="{page}" data-project="{project.id}"{" data-open" * go}>{text}</a></p>'


def next_steps(house: House, request: gr.Request, project: Project, leads: bool) -> Steps:
    """What can be done in a project, the most useful first: text and page."""
    lang, counts = words.lang_of(request), house.counted(request.username, project)
    waiting = counts["needed"] - counts["done"]
    label = [(words.say(lang, "home.step.label", n=waiting), "/app/label")] if waiting > 0 else []
    if not leads:
        return label
    data = [(words.say(lang, "home.step.data"), "/app/data")]
    train = [(words.say(lang, "home.step.train"), "/app/train")] if counts["done"] else []
    compare = [(words.say(lang, "home.step.compare"), "/app/compare")] if runs.all(house.store, project.id) else []
    return label + data + compare + train if counts["done"] < ENOUGH else compare + train + label + data


def listed(house: House, request: gr.Request, projects: list[Project], steps: dict[int, Steps]) -> str:
    """The projects, the newest first, each with its counts and its steps."""
    lang, rows = words.lang_of(request), []
    for project in reversed(projects):
        counts = house.counted(request.username, project)
        links = parts.Html(" · ".join(parts.link(text, page, project.id) for text, page in steps[project.id]))
        rows.append((project.name, counts["needed"], counts["done"], counts["today"], links))
    return parts.table([words.say(lang, f"home.column.{key}") for key in COLUMNS], rows)
