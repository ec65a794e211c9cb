"""The Models page: bases and trained models with what they came from, adding one, taking one out."""

from pathlib import Path
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import outgoing, parts, queue_order
from workbench.app.roles import may, requires
from workbench.jobs.models import made_of

COLUMNS = ("name", "kind", "size", "method", "base", "snapshot", "settings", "score")
TELLING = ("learning_rate", "epochs", "beta", "kl_coef")
SCORES = {"eval_accuracy": "{:.0%}", "eval_rewards/accuracies": "{:.0%}", "eval_objective/scores": "{:.2f}"}
QUIET = {"api_visibility": "private"}


def build(house: House, t: gr.I18n) -> None:
    with gr.Column(elem_id="models"):
        listed = parts.block(elem_id="list")
        with gr.Column(visible=False) as card:
            gr.Markdown(t("models.export"))
            with gr.Row():
                run = gr.Dropdown([], label=t("models.run"), elem_id="run")
                forms = [(t(f"models.form.{form}"), form) for form in ("merged", "adapter")]
                form = gr.Dropdown(forms, value="merged", label=t("models.form"), elem_id="form")
            terms = outgoing.terms(t, "name/model")
            with gr.Row():
                export = parts.button(t("models.export.do"), first=True, elem_id="export")
            done = parts.block(elem_id="exported")
        queue_order.build(house, t)
        with gr.Accordion(t("models.add"), open=False, elem_id="add-card"):
            source = gr.Textbox(label=t("models.source"), info=t("models.source.help"), elem_id="source")
            with gr.Row():
                add = parts.button(t("models.add.do"), elem_id="add")
            added = parts.block(elem_id="added")

    @requires(house.accounts, "lead")
    def show(request: gr.Request) -> list[Any]:
        return look(house, request)

    @requires(house.accounts, "admin")
    def bring(request: gr.Request, where: str) -> list[Any]:
        made = ACTIONS["model_add"](house, request.username, source=(where or "").strip())
        text = words.say(words.lang_of(request), "models.added", **made)
        return [parts.line(text), "", *look(house, request)[:3]]

    @requires(house.accounts, "lead")
    def write(request: gr.Request, number: int, kind: str, *agreed: Any) -> str:
        lang = words.lang_of(request)
        values = {"run": number, "form": kind, **outgoing.agreed(lang, *agreed)}
        return outgoing.written(lang, ACTIONS["export_model"](house, request.username, **values))

    shown = [listed, run, card, add]
    gr.context.Context.root_block.load(show, None, shown, show_progress="hidden", **QUIET)
    gr.on([add.click, source.submit], bring, source, [added, source, *shown[:3]], show_progress_on=added, **QUIET)
    export.click(write, [run, form, *terms], done, show_progress_on=done, **QUIET)


def look(house: House, request: gr.Request) -> list[Any]:
    """The table, the runs that can be taken out, and whether this user may add."""
    lang, found = words.lang_of(request), ACTIONS["models"](house, request.username)["models"]
    runs = [(f"{m['name']} · {(m['method'] or '').upper()}", m["run"]) for m in found if m["run"] and not m["reason"]]
    runs.reverse()
    text = table(lang, found) if found else parts.line(words.say(lang, "models.empty"))
    if not runs:
        text += parts.line(words.say(lang, "models.no_run"), "quiet")
    return [
        text,
        gr.Dropdown(choices=runs, value=runs[0][1] if runs else None),
        gr.Column(visible=bool(runs)),
        gr.Button(interactive=may(house.accounts, request.username, "admin")),
    ]


def table(lang: str, found: list[dict[str, Any]]) -> str:
    """Bases first, then runs, the newest on top; an unusable model says why."""
    bases, trained = [m for m in found if not m["run"]], [m for m in found if m["run"]]
    head = [words.say(lang, f"models.column.{key}") for key in COLUMNS]
    return parts.table(head, (row(lang, model) for model in [*bases, *reversed(trained)]))


def row(lang: str, model: dict[str, Any]) -> list[object]:
    """A model with what it came from."""
    if model["reason"]:
        return [model["name"], model["reason"], *[""] * (len(COLUMNS) - 2)]
    made = made_of(Path(model["path"]), model["name"])
    settings = [f"{name} {made.hparams[name]:g}" for name in TELLING if isinstance(made.hparams.get(name), float | int)]
    scores = (
        form.format(made.metrics[key]) for key, form in SCORES.items() if isinstance(made.metrics.get(key), float | int)
    )
    return [
        model["name"],
        words.say(lang, f"models.kind.{model['kind']}"),
        count(model["parameters"]),
        (model["method"] or "–").upper(),
        model["base"] or "–",
        (made.snapshot or "–")[:12],
        ", ".join(settings) or "–",
        next(scores, "–"),
    ]


def count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.1f} M"
