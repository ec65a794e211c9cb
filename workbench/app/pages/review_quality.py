"""The Quality tab: agreement, noise and bias, each with its interval and what it does not say; all of it as files.

What more labels would bring is a part of its own (`review_worth`).
"""

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import parts, review_worth
from workbench.app.pages import review_figures as shapes
from workbench.app.pages.review_team import axes, axis_in
from workbench.app.roles import requires
from workbench.app.routes.files import offer

Report = dict[str, Any]
AGREEMENT = {"raw": shapes.SHARE, "direction": shapes.SHARE}  # the others are corrected for chance
NOISE = {"A": shapes.HALF, "R": shapes.HALF, "eps": shapes.SMALL, "eps_self": shapes.SMALL, "taste": shapes.SMALL}
ODDS = shapes.Scale(0.5, 1.5, "×{:.2f}", 1.0)
DRIFT = {"weeks": "week", "versions": "version", "tags": "tag"}


def build(house: House, t: gr.I18n, tab: gr.Tab) -> None:
    with gr.Row():
        axis = gr.Dropdown([], label=t("review.axis"), min_width=260, scale=0, visible=False, elem_id="quality-axis")
    shown = shapes.block(value=t("review.computing"), elem_id="quality")
    with gr.Row():
        export = parts.button(t("review.export"), width=240, elem_id="review-export")
    files = parts.block(elem_id="review-files")
    review_worth.build(house, t, tab, axis)

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    for event in (tab.select, axis.input):
        event(lead(partial(fresh, house)), axis, [axis, shown], **quiet)
    export.click(lead(partial(write, house)), axis, files, api_visibility="private")


def fresh(house: House, request: gr.Request, axis: str | None) -> list[Any]:
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None:
        return [gr.skip(), parts.line(words.say(lang, "review.no_project"), "quiet")]
    axis = axis_in(project, axis)
    told = ACTIONS["review_report"](house, request.username, project=project.id, axis=axis)
    return [axes(lang, project, axis), everything(lang, told)]


def write(house: House, request: gr.Request, axis: str | None) -> str:
    """Links to the files that were written just now."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None:
        return ""
    made = ACTIONS["review_export"](house, request.username, project=project.id, axis=axis_in(project, axis))
    links = [parts.link(f, offer(house, request.username, Path(made["folder"]) / f)) for f in made["files"]]
    listed = parts.Html(" · ".join(links))
    return parts.line(words.say(lang, "review.exported", folder=made["folder"])) + f"<p>{listed}</p>"


def everything(lang: str, told: Report) -> str:
    say = partial(words.say, lang)
    counted = {"review.votes": "votes", "review.labelled": "items", "review.overlap": "overlap_items"}
    text = parts.figures({say(key): f"{told[name]:,}" for key, name in counted.items()})
    text += parts.line(say("review.reading"), "quiet")
    text += parts.heading(say("review.agreement")) + agreement(lang, told["agreement"])
    for name, found in told["imported"].items():
        text += parts.heading(say("review.imported", name=name)) + agreement(lang, found)
    for name, of in DRIFT.items():
        if told[name]:
            text += parts.heading(say(f"review.{name}")) + drift(lang, told[name], of)
            text += parts.line(say(f"review.means.{name}"), "quiet")
    text += parts.heading(say("review.noise")) + noise(lang, told["noise"])
    return text + parts.heading(say("review.bias")) + bias(lang, told["bias"])


def agreement(lang: str, found: dict[str, shapes.Est]) -> str:
    return shapes.estimates(
        [line(lang, name, est, AGREEMENT.get(name, shapes.BEYOND_CHANCE)) for name, est in found.items()]
    )


def line(lang: str, name: str, est: shapes.Est, scale: shapes.Scale) -> str:
    means = words.say(lang, f"review.means.{name}")
    return shapes.estimate(lang, words.say(lang, f"review.figure.{name}"), est, scale, means)


def drift(lang: str, rows: list[dict[str, Any]], of: str) -> str:
    """A version has only its number for a name."""
    names = [words.say(lang, "review.version", n=row[of]) if of == "version" else row[of] for row in rows]
    lines = zip(names, rows, strict=True)
    return shapes.estimates([shapes.estimate(lang, name, row["raw"], shapes.SHARE) for name, row in lines])


def noise(lang: str, found: dict[str, Any]) -> str:
    text = shapes.estimates([line(lang, name, found[name], scale) for name, scale in NOISE.items()])
    sides = found["repeat_sides"]
    if sides["p"] is not None:
        text += parts.line(words.say(lang, "review.repeat_sides", **sides | {"p": chance(sides["p"])}), "quiet")
    return text


def bias(lang: str, found: dict[str, Any]) -> str:
    """Side and length as shares; style as odds, or why there are none."""
    say, rows = partial(words.say, lang), []
    for name in ("side", "length"):
        est = found[name]
        means = say(f"review.means.{name}")
        if est["value"] is not None and est.get("p") is not None:
            means = say("review.p", p=chance(est["p"])) + means
        rows.append(shapes.estimate(lang, say(f"review.figure.{name}"), est, shapes.HALF, means))
    text = shapes.estimates(rows) + parts.heading(say("review.style"))
    style, n = found["style"], found["style_n"]
    if isinstance(style, dict):
        return text + parts.line(shapes.missing(lang, style | {"n": n}), "quiet")
    effects = [{"value": row["odds"], "low": row["low"], "high": row["high"], "n": n} for row in style]
    text += shapes.estimates(
        [
            shapes.estimate(lang, shapes.named(lang, "review.style", row["name"]), est, ODDS)
            for row, est in zip(style, effects, strict=True)
        ]
    )
    return text + parts.line(say("review.means.style"), "quiet")


def chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
