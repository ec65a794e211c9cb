"""The Team tab: how much is done, who labels how, one person closely, and what a lead can do about it."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.acts.quality import LONGEST
from workbench.app.house import House
from workbench.app.pages import figures, parts
from workbench.app.pages import review_figures as shapes
from workbench.app.roles import requires
from workbench.store.projects import Project

Report = dict[str, Any]
WORK = ("labels", "median_s", "fast", "ties", "both_bad", "skips", "flags")
TRUST = ("gold", "self", "majority", "kappa", "left", "longer", "reliability")
SCALES = {"kappa": shapes.BEYOND_CHANCE, "left": shapes.HALF, "longer": shapes.HALF}
CLOSELY = ("gold", "self", "majority", "kappa", "left", "longer")
WEEK = 7

# The clock of whoever reads, not the server's.
TIMES = """
const local = () => {
  for (const time of element.querySelectorAll("time:not([title])")) {
    time.title = time.dateTime;
    const shown = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang, shown);
  }
};
watch("value", () => setTimeout(local));
"""


def build(house: House, t: gr.I18n, tab: gr.Tab) -> None:
    """A table for work, one for trust, charts; under them one person."""
    with gr.Row():
        axis = gr.Dropdown([], label=t("review.axis"), min_width=260, scale=0, visible=False, elem_id="team-axis")
    team = shapes.block(value=t("review.computing"), elem_id="team")
    with gr.Row():
        who = gr.Dropdown([], label=t("review.person"), min_width=260, scale=0, elem_id="person")
    person = shapes.block(elem_id="person-about")
    with gr.Row():
        pause = parts.button(t("review.pause"), width=200, visible=False, elem_id="pause")
        resume = parts.button(t("review.let_on"), width=200, visible=False, elem_id="let-on")
        again = parts.button(t("review.again"), width=200, visible=False, elem_id="again")
        passed = parts.button(t("review.pass"), width=200, visible=False, elem_id="pass")
    look = {"lines": 2, "max_lines": 8, "max_length": LONGEST, "visible": False, "elem_id": "message"}
    text = gr.Textbox(label=" ", info=t("review.message.help"), **look)
    with gr.Row():
        send = parts.button(t("review.message.send"), width=200, visible=False, elem_id="message-send")
    sent = shapes.block(elem_id="messages", js_on_load=TIMES)

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    buttons = [pause, resume, again, passed, text, send, sent]
    for event in (tab.select, axis.input):
        event(lead(partial(fresh, house)), [axis, who], [axis, team, who, person, *buttons], **quiet)
    asked, shown = [axis, who], [person, *buttons]
    who.input(lead(partial(another, house)), asked, [text, *shown], **quiet)
    for button, act, values in (
        (pause, "review_pause", {"on": True}),
        (resume, "review_pause", {"on": False}),
        (again, "review_calibrate", {"state": "again"}),
        (passed, "review_calibrate", {"state": "passed"}),
    ):
        button.click(lead(partial(about, house, act, values)), asked, shown, api_visibility="private")
    send.click(lead(partial(write, house)), [*asked, text], [text, *shown], api_visibility="private")


def fresh(house: House, request: gr.Request, axis: str | None, who: str | None) -> list[Any]:
    """Everything, and the same person closely as long as there is that one."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None:
        nothing = parts.line(words.say(lang, "review.no_project"), "quiet")
        return [gr.skip(), nothing, gr.skip(), "", *hidden()]
    axis = axis_in(project, axis)
    asked = {"project": project.id, "axis": axis}
    told = ACTIONS["review_report"](house, request.username, **asked)
    people = ACTIONS["review_queue"](house, request.username, **asked)["people"]
    here = [name for name in people if ":" not in name]  # those of imports cannot be spoken to
    names = list(dict.fromkeys([*(row["annotator"] for row in told["people"]), *here]))
    who = who if who in names else next(iter(names), None)
    seen = closely(house, request, axis, who)
    return [axes(lang, project, axis), table(lang, told), gr.Dropdown(choices=names, value=who), *seen]


def axis_in(project: Project, axis: str | None) -> str:
    return axis if axis in project.guidelines else next(iter(project.guidelines))


def axes(lang: str, project: Project, axis: str) -> gr.Dropdown:
    """Asked for only where there is a choice."""
    names = [(shapes.named(lang, "review.axis", name), name) for name in project.guidelines]
    return gr.Dropdown(choices=names, value=axis, visible=bool(project.axes))


def table(lang: str, told: Report) -> str:
    """Progress, the two tables, days, and who agrees with whom."""
    say = partial(words.say, lang)
    text = parts.figures(progress(lang, told))
    if not told["people"]:
        return text + parts.line(say("review.team.none"), "quiet")
    text += parts.heading(say("review.work")) + columns(lang, told, WORK)
    text += parts.heading(say("review.trust")) + columns(lang, told, TRUST)
    text += parts.line(say("review.marked.means"), "quiet")
    text += parts.heading(say("review.days")) + shapes.by_day(lang, told["days"])
    if len(told["confusion"]["people"]) > 1:
        text += parts.heading(say("review.confusion")) + shapes.heat(lang, told["confusion"])
        text += parts.line(say("review.means.confusion"), "quiet")
    return text


def progress(lang: str, told: Report) -> dict[str, object]:
    """Done, needed, per day of the last week that saw work, and what the rest takes."""
    say, done = partial(words.say, lang), told["progress"]
    found = {say("review.done"): f"{done['done']:,} / {done['needed']:,}"}
    days = sorted({row["day"] for row in told["days"]})[-WEEK:]
    if days:
        labels = sum(row["labels"] for row in told["days"] if row["day"] in days)
        found[say("review.per_day")] = f"{labels / len(days):,.0f}"
    if done["hours_left"] is not None:
        found[say("review.left")] = figures.duration(lang, 3600 * done["hours_left"]) if done["hours_left"] else "0"
    if told["median_s"] is not None:
        found[say("review.median")] = seconds(lang, told["median_s"])
    return found


def columns(lang: str, told: Report, names: tuple[str, ...]) -> str:
    head = [words.say(lang, f"review.column.{name}") for name in ("annotator", *names)]
    return parts.table(head, [[row["annotator"], *(cell(lang, row, name) for name in names)] for row in told["people"]])


def cell(lang: str, row: dict[str, Any], name: str) -> object:
    """A value as a table has it; the arrow says that it stands out from the group."""
    value, mark = row[name], " ◄" if name in row["marked"] else ""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return shapes.short(lang, value, SCALES.get(name, shapes.SHARE), mark)
    if name == "labels":
        return f"{value:,}"
    return (seconds(lang, value) if name == "median_s" else f"{value:.0%}") + mark


def seconds(lang: str, value: float) -> str:
    return words.say(lang, "review.seconds", n=f"{value:.0f}" if value >= 10 else f"{value:.1f}")


def closely(house: House, request: gr.Request, axis: str | None, who: str | None) -> list[Any]:
    """One person: figures with intervals, days, what can be done, and what was written."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None or not who:
        return ["", *hidden()]
    asked = {"project": project.id, "axis": axis_in(project, axis), "annotator": who}
    found = ACTIONS["review_person"](house, request.username, **asked)
    shown = [not found["paused"], found["paused"], True, found["calibration"] == "again"]
    say = partial(words.say, lang)
    text = gr.Textbox(label=say("review.message", name=who), visible=found["open"])
    buttons = [gr.Button(visible=on) for on in shown]
    return [described(lang, found), *buttons, text, gr.Button(visible=found["open"]), written(lang, found["messages"])]


def another(house: House, request: gr.Request, axis: str | None, who: str | None) -> list[Any]:
    """Somebody else, closely: what was begun to the one before is not for them."""
    return ["", *closely(house, request, axis, who)]


def described(lang: str, found: dict[str, Any]) -> str:
    say, row = partial(words.say, lang), found["person"]
    state = [say("review.is_paused")] if found["paused"] else []
    if found["calibration"]:
        state.append(say(f"review.calibration.{found['calibration']}"))
    text = "".join(parts.line(line) for line in state)
    if row is None:
        return text + parts.line(say("review.person.none"), "quiet")
    if row["marked"]:
        names = say("review.and").join(say(f"review.column.{name}") for name in row["marked"])
        text += parts.line(say("review.marked", names=names))
    text += shapes.estimates(
        [
            shapes.estimate(lang, say(f"review.column.{name}"), row[name], SCALES.get(name, shapes.SHARE))
            for name in CLOSELY
        ]
    )
    return text + parts.heading(say("review.days")) + shapes.by_day(lang, found["days"])


def written(lang: str, messages: list[dict[str, Any]]) -> str:
    """What leads wrote to this person, the newest first, and whether it was read."""
    if not messages:
        return ""
    say, rows = partial(words.say, lang), []
    for told in reversed(messages):
        first = say("review.message.from", name=parts.safe(told["by"]), time=clock(told["at"]))
        seen = "review.message.seen" if told["read"] else "review.message.unseen"
        state = say(seen, time=clock(told["read"]))
        rows.append(f"<li><p class=quiet>{first} · {state}</p><p class=text>{parts.safe(told['text'])}</p></li>")
    return parts.heading(say("review.messages")) + f"<ul class=messages>{''.join(rows)}</ul>"


def clock(iso: str | None) -> str:
    return f'<time datetime="{iso}">{iso[:16].replace("T", " ")}</time>' if iso else ""


def write(house: House, request: gr.Request, axis: str, who: str, text: str | None) -> list[Any]:
    """Send it; the field is empty again."""
    return ["", *about(house, "review_message", {"text": text or ""}, request, axis, who)]


def about(house: House, act: str, values: dict[str, Any], request: gr.Request, axis: str, who: str) -> list[Any]:
    project = house.project_of(request.username, request.cookies)
    ACTIONS[act](house, request.username, project=project.id, annotator=who, **values)
    return closely(house, request, axis, who)


def hidden() -> list[Any]:
    return [*[gr.Button(visible=False)] * 4, gr.Textbox(visible=False), gr.Button(visible=False), ""]
