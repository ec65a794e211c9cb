"""The learning curve as a drawing: errors measured, the law through them, where it leads. Leaves out the text."""

from math import log
from typing import Any, NamedTuple

import gradio as gr

from workbench.app import words
from workbench.app.pages import parts
from workbench.labelling.worth import law

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 10, 26  # margins
STEPS = 40
GRID = (0.02, 0.05, 0.1, 0.2)
LOOK = """
.said { font-size: 18px; font-weight: 600; margin: 8px 0; }
.curve { max-width: 560px; margin: 8px 0; }
.curve svg { display: block; width: 100%; height: auto; font-size: 11px; fill: var(--body-text-color-subdued); }
.curve path { fill: none; stroke-width: 2; stroke: var(--pw-link); }
.curve .grid { stroke: var(--border-color-primary); stroke-width: 1; }
.curve .ahead { stroke-dasharray: 5 4; }
.curve .floor { stroke: var(--body-text-color-subdued); stroke-dasharray: 2 3; stroke-width: 1.5; }
.curve circle { fill: var(--pw-link); fill-opacity: .35; }
.curve .mean { fill-opacity: 1; }
.curve ul { display: flex; flex-wrap: wrap; gap: 2px 18px; list-style: none; margin: 4px 0 0; padding: 0;
  font-size: 14px; color: var(--body-text-color-subdued); }
.curve li { display: flex; align-items: center; gap: 6px; margin: 0; }
.curve li svg { width: 26px; flex: none; }
"""


class Frame(NamedTuple):
    """Labels from left to right by their logarithm, errors from 0 below to `high`."""

    least: float
    most: float
    high: float

    def x(self, n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * log(n / self.least) / log(self.most / self.least)

    def y(self, error: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * error / self.high

    def path(self, kind: str, points: list[tuple[float, float]]) -> str:
        return f'<path class="{kind}" d="M{" L".join(f"{self.x(n):.1f} {self.y(error):.1f}" for n, error in points)}"/>'


def block(**look: Any) -> gr.HTML:
    return gr.HTML(css_template=parts.STYLE + LOOK, apply_default_css=False, **look)


def drawn(lang: str, found: dict[str, Any]) -> str:
    """What it shows stands in words and numbers beside it too."""
    points, now = found["points"], found["points"][-1]["n"]
    ends = [now + row["more"] for row in found["after"]] or [now]
    highest = max(error for point in points for error in point["errors"])
    frame = Frame(points[0]["n"], max(ends), 1.1 * max(highest, found["eps"]["value"] or 0, 0.01))
    marks = axes(frame, now, ends[-1] - now)
    if found["eps"]["value"] is not None:
        marks += frame.path("floor", [(n, found["eps"]["value"]) for n in frame[:2]])
    if found["predictable"]:
        marks += frame.path("fit", along(found["law"], frame.least, now))
        marks += frame.path("ahead", along(found["law"], now, frame.most))
    marks += "".join(dots(frame, point) for point in points)
    shown = ["points", *(name for name in ("fit", "ahead", "floor") if f'class="{name}"' in marks)]
    said = parts.safe(words.say(lang, "review.worth.figure"))
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">{marks}</svg>'
    return f"<div class=curve>{svg}<ul>{''.join(legend(lang, name) for name in shown)}</ul></div>"


def along(found: dict[str, float], start: float, end: float) -> list[tuple[float, float]]:
    sizes = [start * (end / start) ** (i / STEPS) for i in range(STEPS + 1)]
    return [(n, float(law(n, **found))) for n in sizes]


def axes(frame: Frame, now: float, more: float) -> str:
    """Lines at round errors; the labels there were first, there are now and there would be."""
    step = next((step for step in GRID if frame.high / step <= 6), 0.2)
    text = ""
    for i in range(int(frame.high / step) + 1):
        text += frame.path("grid", [(frame.least, i * step), (frame.most, i * step)])
        text += f'<text x="{LEFT - 5}" y="{frame.y(i * step) + 4:.1f}" text-anchor="end">{i * step:.0%}</text>'
    places = [(frame.least, "start", f"{frame.least:,.0f}"), (now, "middle" if more else "end", f"{now:,.0f}")]
    places += [(frame.most, "end", f"+{more:,.0f}")] if more else []
    for n, anchor, said in places:
        text += f'<text x="{frame.x(n):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{said}</text>'
    return text


def dots(frame: Frame, point: dict[str, Any]) -> str:
    x = f"{frame.x(point['n']):.1f}"
    each = "".join(f'<circle cx="{x}" cy="{frame.y(error):.1f}" r="3"/>' for error in point["errors"])
    return f'{each}<circle class="mean" cx="{x}" cy="{frame.y(point["error"]):.1f}" r="4"/>'


def legend(lang: str, name: str) -> str:
    mark = (
        '<circle class="mean" cx="13" cy="5" r="4"/>' if name == "points" else f'<path class="{name}" d="M0 5 L26 5"/>'
    )
    said = parts.safe(words.say(lang, f"review.worth.legend.{name}"))
    return f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{mark}</svg>{said}</li>'
