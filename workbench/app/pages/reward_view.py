"""How far to trust a finished reward model, for the eye: figures, two charts, a table. Leaves out the arithmetic."""

from typing import Any

import gradio as gr
import pandas as pd

from workbench.app import words
from workbench.app.pages import figures, parts
from workbench.training.metrics import METRICS

Report = dict[str, Any]

COLOURS = {"model": "#4f6bed", "ideal": "#8791a1", "chosen": "#4f6bed", "rejected": "#d9731a"}
SHOWN = {"accuracy_length_matched": "{:.0%}", "length_corr": "{:.2f}", "ece": "{:.2f}"}
LEVELS = {3: "label.much", 2: "label.better", 1: "label.slightly", None: "reward.no_strength"}
PARTS = 5  # that `build` makes
COLUMNS = ("strength", "agreement", "interval", "n")


def build(t: gr.I18n) -> list[Any]:
    """The components that `draw` fills; hidden until a run has a report."""
    with gr.Column(visible=False, elem_id="reward") as whole:
        told = figures.block(elem_id="reward-figures")
        with gr.Row(elem_id="reward-charts"):
            calibration = plot("calibration", ("model", "ideal"), t, x_lim=[0.5, 1], y_lim=[0, 1.05])
            scores = plot("scores", ("chosen", "rejected"), t)
        strengths = parts.block(elem_id="reward-strength")
    return [whole, told, calibration, scores, strengths]


def draw(lang: str, report: Report | None) -> list[Any]:
    if report is None:
        return [gr.Column(visible=False), *[gr.skip()] * (PARTS - 1)]
    percent = {"x_axis_format": ".0%", "y_axis_format": ".0%"}
    return [
        gr.Column(visible=True),
        facts(lang, report),
        gr.LinePlot(calibration(lang, report), **titles(lang, "confidence", "right"), **percent),
        gr.LinePlot(scores(lang, report), **titles(lang, "score", "count")),
        strengths(lang, report),
    ]


def facts(lang: str, report: Report) -> str:
    """Accuracy with its interval, then what the run itself has measured, each with its meaning."""
    found = report["accuracy"]
    means = words.say(lang, "reward.means.accuracy", interval=interval(lang, found), n=found["n"])
    cells = figures.fact(words.say(lang, "reward.figure.accuracy"), f"{found['value']:.0%}", means)
    for name, form in SHOWN.items():
        if report[name] is not None:
            title, means = words.say(lang, f"reward.figure.{name}"), words.say(lang, METRICS[name])
            cells += figures.fact(title, form.format(report[name]), means)
    return parts.heading(words.say(lang, "reward.title")) + f"<dl>{cells}</dl>"


def calibration(lang: str, report: Report) -> pd.DataFrame:
    """The bins of the model, and the diagonal that a calibrated one would follow."""
    rows = [(found["confidence"], found["right"], "model") for found in report["calibration"]]
    return frame(lang, [*rows, (0.5, 0.5, "ideal"), (1.0, 1.0, "ideal")])


def scores(lang: str, report: Report) -> pd.DataFrame:
    rows = [
        ((bar["low"] + bar["high"]) / 2, bar[side], side) for side in ("chosen", "rejected") for bar in report["scores"]
    ]
    return frame(lang, rows)


def frame(lang: str, rows: list[tuple[float, float, str]]) -> pd.DataFrame:
    named = [(x, y, words.say(lang, f"reward.series.{series}")) for x, y, series in rows]
    return pd.DataFrame(named, columns=["x", "y", "series"]).astype({"x": "float64", "y": "float64"})


def strengths(lang: str, report: Report) -> str:
    """Agreement with the annotators, the clearest preferences first."""
    head = [words.say(lang, f"reward.column.{name}") for name in COLUMNS]
    rows = (
        [words.say(lang, LEVELS[row["level"]]), f"{row['value']:.0%}", interval(lang, row), row["n"]]
        for row in report["strength"]
    )
    title, means = (words.say(lang, f"reward.{key}.strength") for key in ("chart", "means"))
    return parts.heading(title) + parts.table(head, rows) + parts.line(means, "quiet")


def interval(lang: str, found: dict[str, float]) -> str:
    return words.say(lang, "reward.interval", low=f"{found['low']:.0%}", high=f"{found['high']:.0%}")


def titles(lang: str, x: str, y: str) -> dict[str, str]:
    return {"x_title": words.say(lang, f"reward.axis.{x}"), "y_title": words.say(lang, f"reward.axis.{y}")}


def plot(key: str, series: tuple[str, str], t: gr.I18n, **look: Any) -> gr.LinePlot:
    colours = {words.say(lang, f"reward.series.{name}"): COLOURS[name] for lang in words.LANGS for name in series}
    return gr.LinePlot(
        x="x",
        y="y",
        color="series",
        color_map=colours,
        color_title=" ",
        label=t(f"reward.chart.{key}"),
        caption=t(f"reward.means.{key}"),
        height=240,
        min_width=280,
        elem_id=f"reward-{key}",
        buttons=[],
        **look,
    )
