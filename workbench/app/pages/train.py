"""The Train page: choose a method, see its form filled with the preset, start. Watching a run is `run_view`."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.app.pages import figures, parts, pipeline, run_view
from workbench.app.roles import requires
from workbench.errors import WorkbenchError
from workbench.training.hparams import Knob, knobs
from workbench.training.methods import METHODS

# One component per knob name serves every method: a form shows those its method has.
FORM: dict[str, Knob] = {knob.name: knob for method in METHODS.values() for knob in knobs(method.hparams)}
# What cost and start depend on.
DEARER = ("epochs", "units_per_step", "max_steps", "max_length", "lora_r", "precision", "allow")
DEARER += ("rollouts", "rollout_batch", "samples_per_prompt", "max_new_tokens")


def build(house: House, t: gr.I18n) -> None:
    """A single run, or the whole path of RLHF."""
    with gr.Tabs(elem_id="train-tabs"):
        with gr.Tab(t("train.tab.run"), id="run"):
            single(house, t)
        with gr.Tab(t("train.tab.pipeline"), id="pipeline") as tab:
            pipeline.build(house, t, tab)


def single(house: House, t: gr.I18n) -> None:
    """A new run on the left, the chosen run on the right; on a phone one under the other."""
    with gr.Row(elem_id="train"):
        with gr.Column(scale=5, min_width=320):
            titles = [(entry.title, name) for name, entry in METHODS.items()]
            method = gr.Radio(titles, value="dpo", label=t("train.method"), elem_id="method")
            about = parts.block(elem_id="about")
            model = gr.Dropdown([], label=t("train.model"), elem_id="model")
            rewards = gr.Dropdown(
                [],
                multiselect=True,
                allow_custom_value=True,
                label=t("train.rewards"),
                info=t("train.rewards.info"),
                visible=False,
                elem_id="rewards",
            )
            ready = parts.block(elem_id="ready")
            with gr.Row():
                start = parts.button(t("train.start"), first=True, interactive=False, elem_id="start")
                preset = parts.button(t("train.preset"), elem_id="preset")
            with gr.Row():
                fields = {name: field(knob, t) for name, knob in FORM.items() if not knob.advanced}
            with gr.Accordion(t("train.advanced"), open=False), gr.Row():
                fields |= {name: field(knob, t) for name, knob in FORM.items() if knob.advanced}
        with gr.Column(scale=8, min_width=320):
            chosen = run_view.build(house, t)
    form = [fields[name] for name in FORM]

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    shown = {"outputs": [model, rewards, about, ready, start, *form], **quiet}
    page = gr.context.Context.root_block
    for event in (page.load, method.change, model.input, preset.click):
        event(lead(partial(fresh, house)), [method, model, rewards], **shown)
    fields["tuning"].input(lead(partial(fill, house)), [method, model, rewards, fields["tuning"]], **shown)
    whole = [method, model, rewards, *form]
    for changed in (rewards, *(fields[name] for name in DEARER)):
        changed.input(lead(partial(reckon, house)), whole, [ready, start], trigger_mode="always_last", **quiet)
    start.click(lead(partial(begin, house)), whole, chosen, api_visibility="private")


def fill(
    house: House, request: gr.Request, name: str, model_name: str | None, judges: list[str], tuning: str | None
) -> list[Any]:
    """The form of the chosen method at its preset, what it costs, and whether there are labels enough."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    names = startable(house, request.username)
    model_name = model_name if model_name in names else next(iter(names), None)
    scorers, judges = rewards_of(house, request.username, name, project and project.id, judges)
    models = gr.Dropdown(choices=names, value=model_name)
    judged = gr.Dropdown(choices=scorers, value=judges, visible=METHODS[name].draws)
    if project is None or model_name is None:
        nothing = parts.line(words.say(lang, "train.nothing"))
        return [models, judged, "", nothing, gr.Button(interactive=False), *[gr.skip()] * len(FORM)]
    asked = {"project": project.id, "method": name, "model": model_name, "rewards": judges}
    plan = ACTIONS["plan"](house, request.username, **asked, tuning=tuning)
    about = parts.line(words.say(lang, METHODS[name].summary), "quiet")
    return [models, judged, about, *readiness(lang, plan), *filled(name, plan["preset"], lang)]


def fresh(house: House, request: gr.Request, name: str, model_name: str | None, judges: list[str]) -> list[Any]:
    return fill(house, request, name, model_name, judges, None)


def rewards_of(
    house: House, actor: str, method: str, project: int | None, chosen: list[str]
) -> tuple[list[str], list[str]]:
    """The reward models there are, for a method that needs one, and which are chosen.

    That is the newest of the project, unless some are chosen already.
    """
    if not METHODS[method].draws or project is None:
        return [], []
    models = ACTIONS["models"](house, actor)["models"]
    names = [m["name"] for m in models if m["kind"] == "reward" and not m["reason"]]
    ours = {f"run-{run['id']}" for run in ACTIONS["runs"](house, actor, project=project)["runs"]}
    kept = [text for text in chosen if text.partition("=")[0] in names]
    return names, kept or [name for name in names if name in ours][-1:]


def reckon(
    house: House, request: gr.Request, name: str, model_name: str | None, judges: list[str], *values: Any
) -> list[Any]:
    """Readiness and cost of the form as it stands, or which of its values cannot be."""
    project = house.project_of(request.username, request.cookies)
    if project is None or model_name is None:
        return [gr.skip(), gr.skip()]
    asked = {"project": project.id, "method": name, "model": model_name, "hparams": given(name, values)}
    asked["rewards"] = judges
    try:
        return readiness(words.lang_of(request), ACTIONS["plan"](house, request.username, **asked))
    except WorkbenchError as error:
        return [parts.line(error.message, "bad"), gr.Button(interactive=False)]


def begin(
    house: House, request: gr.Request, name: str, model_name: str, judges: list[str], *values: Any
) -> gr.Dropdown:
    project = house.project_of(request.username, request.cookies)
    asked = {"project": project.id, "method": name, "model": model_name, "hparams": given(name, values)}
    made = ACTIONS["train"](house, request.username, **asked, rewards=judges)
    return run_view.listed(house, request, made["run"])


def given(method: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """What the form says of the knobs that the method has; a field left empty says nothing."""
    own = {knob.name for knob in knobs(METHODS[method].hparams)}
    return {key: value for key, value in zip(FORM, values, strict=True) if key in own and value is not None}


def readiness(lang: str, plan: dict[str, Any]) -> list[Any]:
    """Whether there are labels enough and what the run costs, and the button that goes with it."""
    needs, prompts = plan["needs"] or "yes", ".prompts" if METHODS[plan["method"]].draws else ""
    text = parts.line(words.say(lang, f"train.ready.{needs}{prompts if needs in ('yes', 'more') else ''}", **plan))
    return [text + sureness(lang, plan["sureness"]) + priced(lang, plan), gr.Button(interactive=plan["needs"] is None)]


def sureness(lang: str, labels: dict[str, Any] | None) -> str:
    """How often annotators agree, with others and with themselves, and what that says of one label, if it is known."""
    if labels is None:
        return ""
    agreement, said = labels["A"]["value"], []
    if labels["eps"]["value"] is not None:
        told = {"agreement": f"{agreement:.0%}", "n": labels["n"], **shares(labels["eps"])}
        said.append(parts.line(words.say(lang, "train.sureness", **told)))
    elif labels["eps"]["why"] == "not_identifiable":
        told = {"agreement": f"{agreement:.0%}", "n": labels["n"]}
        said.append(parts.line(words.say(lang, "train.sureness.chance", **told), "bad"))
    if labels["eps_self"]["value"] is not None:
        said.append(parts.line(words.say(lang, "train.sureness.self", **shares(labels["eps_self"]))))
    return "".join(said)


def shares(estimate: dict[str, Any]) -> dict[str, str]:
    """An estimate in per cent."""
    return {key: f"{estimate[key]:.0%}" for key in ("value", "low", "high")}


def priced(lang: str, plan: dict[str, Any]) -> str:
    """Steps, memory and time in one line; what to do when this machine has not enough."""
    cost = plan["cost"]
    if cost is None:
        return ""
    told = [words.say(lang, "train.cost.steps", steps=cost["steps"])]
    if cost["memory"]:
        told.append(words.say(lang, "train.cost.about", value=figures.memory(cost["memory"])))
    if cost["seconds"]:
        told.append(words.say(lang, "train.cost.about", value=figures.duration(lang, cost["seconds"])))
    line = parts.line(words.say(lang, "train.cost.and").join(told))
    if cost["fits"]:
        return line
    key = f"train.cost.too_large.{'full' if cost['tuning'] == 'full' else 'adapters'}"
    memory, has = figures.memory(cost["memory"]), figures.memory(cost["machine"])
    return line + parts.line(words.say(lang, key, memory=memory, machine=has), "bad")


def startable(house: House, actor: str) -> list[str]:
    """Models a run may start from, the bases first."""
    models = ACTIONS["models"](house, actor)["models"]
    return [m["name"] for m in models if not m["reason"] and m["kind"] != "reward"]


def filled(method: str, preset: dict[str, Any], lang: str) -> list[Any]:
    """For every knob of the form: its value and help in this method, or hidden."""
    own = {knob.name: knob for knob in knobs(METHODS[method].hparams)}
    updates = []
    for name, knob in FORM.items():
        here, kind = own.get(name), component(knob)
        if here is None:
            updates.append(kind(visible=False))
            continue
        look = {"choices": list(here.choices)} if here.choices else {}
        updates.append(
            kind(value=preset.get(name, here.default), info=words.say(lang, here.help), visible=True, **look)
        )
    return updates


def field(knob: Knob, t: gr.I18n) -> Any:
    look = {"choices": list(knob.choices)} if knob.choices else {}
    if knob.type is int:
        look["precision"] = 0
    return component(knob)(
        value=knob.default, label=t(knob.name), elem_id=f"hp-{knob.name}", min_width=170, visible=False, **look
    )


def component(knob: Knob) -> type:
    if knob.choices:
        return gr.Dropdown
    return {bool: gr.Checkbox, int: gr.Number, float: gr.Number, str: gr.Textbox}[knob.type]
