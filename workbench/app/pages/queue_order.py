"""The control of the Models page by which a reward model orders the queue. Leaves out scores and queue themselves."""

from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import parts
from workbench.app.roles import requires
from workbench.jobs.folder import END_STATES

TICK = 2.0


def build(house: House, t: gr.I18n) -> None:
    """Hidden until there is a reward model."""
    with gr.Column(visible=False, elem_id="order") as card:
        gr.Markdown(t("models.order"))
        gr.Markdown(t("models.order.help"))
        with gr.Row():
            model = gr.Dropdown([], label=t("models.order.model"), elem_id="order-model")
            start = parts.button(t("models.order.do"), width=300, elem_id="order-start")
            stop = parts.button(t("models.order.off"), visible=False, elem_id="order-stop")
        state = parts.block(elem_id="order-state")
    timer = gr.Timer(TICK, active=False)

    @requires(house.accounts, "lead")
    def show(request: gr.Request) -> list[Any]:
        return look(house, request, fresh=True)

    @requires(house.accounts, "lead")
    def tick(request: gr.Request) -> list[Any]:
        return look(house, request)

    @requires(house.accounts, "lead")
    def begin(request: gr.Request, name: str) -> list[Any]:
        return look(house, request, "queue_scores", model=name)

    @requires(house.accounts, "lead")
    def end(request: gr.Request) -> list[Any]:
        return look(house, request, "queue_scores_off")

    shown, quiet = [card, model, start, stop, state, timer], {"show_progress": "hidden", "api_visibility": "private"}
    gr.context.Context.root_block.load(show, None, shown, **quiet)
    timer.tick(tick, None, shown, **quiet)
    start.click(begin, model, shown, api_visibility="private", show_progress_on=state)
    stop.click(end, None, shown, api_visibility="private", show_progress_on=state)


def look(
    house: House, request: gr.Request, act: str = "queue_scores_state", *, fresh: bool = False, **values: Any
) -> list[Any]:
    """Everything of the control after an act; `fresh` also chooses a model."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None:
        return [gr.Column(visible=False), *[gr.skip()] * 4, gr.Timer(active=False)]
    found = ACTIONS[act](house, request.username, project=project.id, **values)
    busy = bool(found["job"]) and found["job"]["state"] not in END_STATES
    usual = next((name for name in [found["model"], *reversed(found["models"])] if name in found["models"]), None)
    return [
        gr.Column(visible=bool(found["models"] or found["ordered"])),
        gr.Dropdown(choices=found["models"], value=usual) if fresh else gr.skip(),
        gr.Button(interactive=not busy and bool(found["models"])),
        gr.Button(visible=busy or found["ordered"]),
        told(lang, project.name, found),
        gr.Timer(active=busy),
    ]


def told(lang: str, project: str, found: dict[str, Any]) -> str:
    """What orders the queue now, and how far a scoring is."""
    key = "is_off" if not found["ordered"] else "lost" if found["lost"] else "is_on"
    text = parts.line(words.say(lang, f"models.order.{key}", project=project, **found), "bad" if key == "lost" else "")
    if job := found["job"]:
        state = job["state"] if job["steps"] or job["state"] in END_STATES else "starting"
        text += parts.line(words.say(lang, f"models.order.state.{state}", **job), "bad" if state == "failed" else "")
    return text
