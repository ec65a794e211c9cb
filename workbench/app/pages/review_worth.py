"""The part of the Quality tab that says what more labels would bring. Leaves out measuring it (`acts.worth`)."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import parts, worth_figure
from workbench.app.pages.figures import duration
from workbench.app.pages.review_figures import SHARE, between, missing
from workbench.app.pages.review_team import axis_in
from workbench.app.roles import requires
from workbench.jobs.folder import END_STATES

TICK = 2.0
SAID = 500  # the sentence speaks of so many labels more


def build(house: House, t: gr.I18n, tab: gr.Tab, axis: gr.Dropdown) -> None:
    with gr.Column(visible=False, elem_id="worth") as card:
        gr.Markdown(t("review.worth"))
        gr.Markdown(t("review.worth.help"))
        with gr.Row():
            model = gr.Dropdown([], label=t("review.worth.model"), scale=0, min_width=260, elem_id="worth-model")
            start = parts.button(t("review.worth.do"), width=240, elem_id="worth-start")
            stop = parts.button(t("review.worth.off"), visible=False, elem_id="worth-stop")
        state = worth_figure.block(elem_id="worth-state")
    timer = gr.Timer(TICK, active=False)

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    shown = [card, model, start, stop, state, timer]

    @lead
    def show(request: gr.Request, axis: str | None) -> list[Any]:
        return look(house, request, axis, fresh=True)

    @lead
    def tick(request: gr.Request, axis: str | None) -> list[Any]:
        return look(house, request, axis)

    @lead
    def begin(request: gr.Request, axis: str | None, name: str) -> list[Any]:
        return look(house, request, axis, "review_worth", model=name)

    @lead
    def end(request: gr.Request, axis: str | None) -> list[Any]:
        return look(house, request, axis, "review_worth_off")

    for event in (tab.select, axis.input):
        event(show, axis, shown, **quiet)
    timer.tick(tick, axis, shown, **quiet)
    start.click(begin, [axis, model], shown, api_visibility="private", show_progress_on=state)
    stop.click(end, axis, shown, api_visibility="private", show_progress_on=state)


def look(
    house: House,
    request: gr.Request,
    axis: str | None,
    act: str = "review_worth_state",
    *,
    fresh: bool = False,
    **values: Any,
) -> list[Any]:
    """Everything of the part after an act; `fresh` also chooses a model."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None:
        return [gr.Column(visible=False), *[gr.skip()] * 4, gr.Timer(active=False)]
    asked = {"project": project.id, "axis": axis_in(project, axis)}
    told = ACTIONS[act](house, request.username, **asked, **values)
    found, job, models = told["found"], told["job"], told["models"]
    busy = bool(job) and job["state"] not in END_STATES
    usual = next((name for name in (found and found["model"], *models) if name in models), None)
    return [
        gr.Column(visible=bool(models or found)),
        gr.Dropdown(choices=models, value=usual) if fresh else gr.skip(),
        gr.Button(interactive=not busy and bool(models)),
        gr.Button(visible=busy),
        progress(lang, job)
        + (result(lang, found) if found else parts.line(words.say(lang, "review.worth.none"), "quiet")),
        gr.Timer(active=busy),
    ]


def progress(lang: str, job: dict[str, Any] | None) -> str:
    if job is None:
        return ""
    state = job["state"] if job["steps"] or job["state"] in END_STATES else "starting"
    return parts.line(words.say(lang, f"review.worth.state.{state}", **job), "bad" if state == "failed" else "")


def result(lang: str, found: dict[str, Any]) -> str:
    """One sentence, the curve, the figures behind it, and below what no model can come."""
    say = partial(words.say, lang)
    now, n = found["now"], f"{found['points'][-1]['n']:,.0f}"
    error = f"{now['value']:.0%} {between(lang, now, SHARE)}"
    text = f"<p class=said>{parts.safe(sentence(lang, found))}</p>" + worth_figure.drawn(lang, found)
    if found["after"]:
        head = [say(f"review.worth.column.{name}") for name in ("more", "hours", "error")]
        text += parts.table(head, [row(lang, after) for after in found["after"]])
    text += parts.line(
        say("review.worth.measured", model=found["model"], n=n, error=error, tested=f"{now['n']:,}"), "quiet"
    )
    if (eps := found["eps"])["value"] is None:
        return text + parts.line(say("review.worth.no_ceiling", why=missing(lang, eps)), "quiet")
    return text + parts.line(say("review.worth.ceiling", eps=f"{eps['value']:.0%}"), "quiet")


def sentence(lang: str, found: dict[str, Any]) -> str:
    if not found["predictable"]:
        return words.say(lang, "review.worth.unpredictable")
    now, then = found["after"][0], next(row for row in found["after"] if row["more"] == SAID)
    values = {"more": f"{SAID:,}", "now": f"{now['error']:.0%}", "then": f"{then['error']:.0%}"}
    if then["hours"] is None:
        return words.say(lang, "review.worth.told.no_pace", **values)
    return words.say(lang, "review.worth.told", hours=duration(lang, 3600 * then["hours"]), **values)


def row(lang: str, after: dict[str, Any]) -> list[str]:
    if not after["more"]:
        return [words.say(lang, "review.worth.now"), "–", f"{after['error']:.1%}"]
    hours = "–" if after["hours"] is None else duration(lang, 3600 * after["hours"])
    return [f"+{after['more']:,}", hours, f"{after['error']:.1%}"]
