"""One run as it goes: progress, charts with a sentence each, samples, provenance. Part of the Train page."""

from functools import partial
from typing import Any

import gradio as gr
import pandas as pd

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import figures, parts, reward_view
from workbench.app.roles import requires
from workbench.jobs.folder import END_STATES
from workbench.training.methods import METHODS
from workbench.training.metrics import METRICS, meaning

TICK = 2.5
# Key of the chart's title, and the metric it draws beside its held-out twin.
CHARTS = {
    "loss": "loss",
    "margins": "rewards/margins",
    "accuracies": "rewards/accuracies",
    "chosen": "rewards/chosen",
    "rejected": "rewards/rejected",
    "scores": "objective/scores",
    "kl": "objective/kl",
    "length": "objective/length",
    "ends": "objective/eos_rate",
    "rate": "learning_rate",
}
STEPS_READ = 5
HELD_SCORE, MOVED = "eval_objective/scores", "objective/kl"
TYPES = {"step": "int64", "rows": "str", "value": "float64"}  # told also of no rows, or the axes become lists of words
ROWS = {"train": "#4f6bed", "eval": "#d9731a"}
BAR = """<div role="progressbar" aria-valuenow="{{value}}" aria-valuemin="0" aria-valuemax="100">
<div style="width: {{value}}%"></div></div>"""
BAR_LOOK = """[role=progressbar] { height: 8px; margin: 0 -12px; border-radius: 4px; overflow: hidden;
  background: var(--pw-line); }
[role=progressbar] div { height: 100%; background: var(--pw-main); transition: width .4s; }"""


def build(house: House, t: gr.I18n) -> gr.Dropdown:
    """Returns the dropdown of runs: setting it shows that run."""
    chosen = gr.Dropdown([], label=t("train.run"), elem_id="run")
    state = parts.block(elem_id="run-state")
    bar = gr.HTML(value=0, html_template=BAR, css_template=BAR_LOOK, elem_id="run-progress")
    speed = figures.block(elem_id="run-figures")
    with gr.Row():
        stop = parts.button(t("train.stop"), visible=False, elem_id="run-stop")
        resume = parts.button(t("train.resume"), first=True, visible=False, elem_id="run-resume")
    with gr.Row(elem_id="charts"):
        curve = gr.ScatterPlot(
            x="kl",
            y="score",
            x_title=" ",
            y_title=" ",
            label=t("train.chart.curve"),
            caption=" ",
            height=220,
            min_width=280,
            elem_id="chart-curve",
            visible=False,
            buttons=[],
        )
        plots = [plot(key, t) for key in CHARTS]
    reward = reward_view.build(t)
    with gr.Accordion(t("train.samples"), open=False):
        samples = parts.block(elem_id="samples")
    with gr.Accordion(t("train.details"), open=False):
        config = gr.JSON(show_label=False)
        log = gr.Textbox(label=t("train.log"), lines=8, max_lines=20, interactive=False)
    drawn = gr.State("")  # what the page shows, so that nothing is sent twice; a reload draws it anew
    timer = gr.Timer(TICK)

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [drawn, state, bar, speed, stop, resume, samples, config, log, curve, *reward, *plots]
    gr.context.Context.root_block.load(lead(partial(listed, house)), None, chosen, **quiet)
    for event in (timer.tick, chosen.change):
        event(lead(partial(draw, house)), [chosen, drawn], outputs, **quiet)
    stop.click(lead(partial(ask, house, "run_stop")), chosen, None, **quiet)
    resume.click(lead(partial(ask, house, "run_resume")), chosen, None, **quiet)
    return chosen


def draw(house: House, request: gr.Request, number: int | None, before: str) -> list[Any]:
    """Everything about the run, or nothing when nothing has changed."""
    lang, rest = words.lang_of(request), 9 + reward_view.PARTS + len(CHARTS)
    run = ACTIONS["run"](house, request.username, number=number) if number else None
    now = fingerprint(run)
    if now == before:
        return [gr.skip()] * (rest + 1)
    if run is None:
        return [now, parts.line(words.say(lang, "train.no_run")), *[gr.skip()] * (rest - 1)]
    ended, done = run["status"]["state"] in END_STATES, run["status"]["state"] == "done"
    return [
        now,
        describe(lang, run),
        percent(run["status"]),
        figures.of_run(lang, run) + (legend(lang) if run["metrics"] else ""),
        gr.Button(visible=not ended),
        gr.Button(visible=ended and not done),
        answers(lang, run["samples"]),
        run["config"],
        run["log"],
        reward_curve(lang, run),
        *reward_view.draw(lang, run["report"]),
        *[chart(lang, run, name) for name in CHARTS.values()],
    ]


def ask(house: House, act: str, request: gr.Request, number: int) -> None:
    ACTIONS[act](house, request.username, number=number)


def listed(house: House, request: gr.Request, number: int | None = None) -> gr.Dropdown:
    """The project's runs, newest first, with `number` chosen, else the one that the address names, else the newest."""
    project = house.project_of(request.username, request.cookies)
    rows = ACTIONS["runs"](house, request.username, project=project.id)["runs"] if project else []
    choices = [(f"#{row['id']} {row['method']} · {row['model']}", row["id"]) for row in rows]
    named = [row["id"] for row in rows if str(row["id"]) == request.query_params.get("run")]
    newest = rows[0]["id"] if rows else None
    return gr.Dropdown(choices=choices, value=number or next(iter(named), newest))


def fingerprint(run: dict[str, Any] | None) -> str:
    if run is None:
        return "none"
    status = run["status"]
    grown = len(run["metrics"]), len(run["samples"])
    return " ".join(map(str, (run["run"], status["state"], status["step"], status.get("engine"), *grown)))


def describe(lang: str, run: dict[str, Any]) -> str:
    """State and result in one line; below it what the run itself has to say."""
    status = run["status"]
    line = words.say(lang, f"train.state.{status['state']}", step=status["step"] or 0, steps=status["steps"] or "?")
    kept = (run.get("result") or {}).get("metrics", {})  # of the step that a run with early stopping went back to
    if accuracy := held_out([*run["metrics"], kept]):
        line += " · " + words.say(lang, "train.result", value=f"{accuracy:.0%}")
    if gain := gained(run["metrics"]):
        line += " · " + words.say(lang, "train.gained", **gain)
    if status.get("left_out") or status.get("cut"):
        line += " · " + words.say(lang, "train.left_out", rows=status["left_out"], cut=status["cut"])
    return parts.line(line) + (parts.line(status["message"], "quiet") if status.get("message") else "")


def legend(lang: str) -> str:
    """Which line of the charts is which."""
    named = (
        f'<span style="color:{colour}">●</span> {words.say(lang, f"train.series.{rows}")}'
        for rows, colour in ROWS.items()
    )
    return parts.line(parts.Html(" &nbsp; ".join(named)), "quiet")


def held_out(lines: list[dict[str, Any]]) -> float | None:
    """The last held-out accuracy, of a reward model or of the rewards of a policy."""
    values = [line.get("eval_accuracy", line.get("eval_rewards/accuracies")) for line in lines]
    return next((value for value in reversed(values) if value is not None), None)


def gained(lines: list[dict[str, Any]]) -> dict[str, str] | None:
    """The first and last held-out score of drawn answers, and how far they have moved for it."""
    scores, moved = ([line[name] for line in lines if line.get(name) is not None] for name in (HELD_SCORE, MOVED))
    if len(scores) < 2 or not moved:
        return None
    return {"before": f"{scores[0]:.2f}", "after": f"{scores[-1]:.2f}", "kl": f"{moved[-1]:.1f}"}


def percent(status: dict[str, Any]) -> int:
    if status["state"] == "done":
        return 100
    return int(100 * (status["step"] or 0) / status["steps"]) if status.get("steps") else 0


def answers(lang: str, samples: list[dict[str, Any]]) -> str:
    shown = {"step": "step", "prompt": "prompt", "answer": "text"}
    if any("score" in s for s in samples):
        shown["score"] = "score"
    head = [words.say(lang, f"train.sample.{key}") for key in shown]
    return parts.table(head, ([told(s.get(name)) for name in shown.values()] for s in beside(samples)))


def beside(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers to one prompt under each other, of the first and the last step and a few between."""
    steps, prompts = (list(dict.fromkeys(s[name] for s in samples)) for name in ("step", "prompt"))
    few = {steps[round(i * (len(steps) - 1) / (STEPS_READ - 1))] for i in range(STEPS_READ)} if steps else set()
    read = [s for s in samples if s["step"] in few]
    return sorted(read, key=lambda s: (prompts.index(s["prompt"]), s["step"]))


def told(value: Any) -> Any:
    return f"{value:.2f}" if isinstance(value, float) else value


def chart(lang: str, run: dict[str, Any], metric: str) -> gr.LinePlot:
    """One chart of a run; none where its method never logs the figure."""
    points, method = series(lang, run["metrics"], metric), METHODS[run["config"]["method"]]
    has = metric == "learning_rate" or metric.startswith("objective/") is method.draws
    caption = words.say(lang, meaning(metric, method))
    return gr.LinePlot(points, caption=caption, visible=len(points) > 0 or (has and not run["metrics"]))


def reward_curve(lang: str, run: dict[str, Any]) -> gr.ScatterPlot:
    """The score of each rollout against how far the policy had moved for it."""
    points = [(line[MOVED], line["objective/scores"]) for line in run["metrics"] if line.get(MOVED) is not None]
    table = pd.DataFrame(points, columns=["kl", "score"], dtype="float64")
    return gr.ScatterPlot(table, caption=words.say(lang, "train.curve"), visible=len(points) > 0)


def series(lang: str, lines: list[dict[str, Any]], metric: str) -> pd.DataFrame:
    """Long form for the chart: step, which rows it was measured on, value."""
    kinds = {metric: words.say(lang, "train.series.train"), f"eval_{metric}": words.say(lang, "train.series.eval")}
    if metric == "objective/scores":  # of reward models that only watch, under their own names
        kinds |= {n: n.partition("/")[2] for line in lines[:1] for n in line if n.startswith("eval_watching/")}
    rows = [
        (line["step"], kind, line[name]) for line in lines for name, kind in kinds.items() if line.get(name) is not None
    ]
    return pd.DataFrame(rows, columns=["step", "rows", "value"]).astype(TYPES)


def plot(key: str, t: gr.I18n) -> gr.LinePlot:
    return gr.LinePlot(
        x="step",
        y="value",
        color="rows",
        color_map={
            words.say(lang, f"train.series.{rows}"): colour for lang in words.LANGS for rows, colour in ROWS.items()
        },
        colors_in_legend=[],
        x_title=" ",
        y_title=" ",
        label=t(f"train.chart.{key}"),
        caption=t(METRICS[CHARTS[key]]),
        height=220,
        min_width=280,
        elem_id=f"chart-{key}",
        buttons=[],
    )
