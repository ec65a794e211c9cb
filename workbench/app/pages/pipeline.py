"""The Pipeline tab of the Train page: SFT, reward model, PPO as one path, and its rounds. Leaves out single runs."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.acts.rlhf import STAGES, Stage
from workbench.app.house import House
from workbench.app.pages import parts
from workbench.app.roles import requires
from workbench.jobs.folder import END_STATES
from workbench.training.methods import METHODS

TICK = 2.5
NEW_ANSWERS = 40
WHERE = {"sft.more": "data", "rm.more": "label", "ppo.more": "data", "ppo.done": "compare"}  # to do what is advised
BROKEN = END_STATES - {"done", "stopped"}


def build(house: House, t: gr.I18n, tab: gr.Tab) -> None:
    """Three cards beside each other, under them the rounds; on a phone one under the other."""
    with gr.Row(elem_id="pipeline"):
        cards = {stage: card(stage, t) for stage in STAGES}
    rounds = parts.block(elem_id="rounds")
    with gr.Row():
        count = gr.Number(NEW_ANSWERS, label=t("rlhf.answers.count"), precision=0, minimum=1, min_width=160, scale=0)
        answers = parts.button(t("rlhf.answers"), width=200, elem_id="new-answers")
    said = parts.block(elem_id="answers-said")
    timer = gr.Timer(TICK, active=False)

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    models = [cards[stage]["model"] for stage in STAGES]
    judges = cards["ppo"]["rewards"]
    shown = [timer, rounds, answers, *(cards[stage][part] for stage in STAGES for part in ("about", "start"))]
    for event in (gr.context.Context.root_block.load, tab.select):
        event(lead(partial(fresh, house)), None, [*shown, *models, judges], **quiet)
    timer.tick(lead(partial(draw, house)), None, shown, **quiet)
    for stage in STAGES:
        act = lead(partial(begin, house, stage))
        cards[stage]["start"].click(act, [cards[stage]["model"], judges], shown, api_visibility="private")
    answers.click(lead(partial(draw_answers, house)), count, said, api_visibility="private")


def card(stage: Stage, t: gr.I18n) -> dict[str, Any]:
    with gr.Column(min_width=300, elem_classes="stage-card"):
        made = {"about": parts.block(elem_id=f"stage-{stage}")}
        made["model"] = gr.Dropdown([], label=t("train.model"), elem_id=f"stage-{stage}-model")
        if stage == "ppo":
            look = {"multiselect": True, "allow_custom_value": True, "info": t("train.rewards.info")}
            made["rewards"] = gr.Dropdown([], label=t("train.rewards"), elem_id="stage-rewards", **look)
        made["start"] = parts.button(t("train.start"), interactive=False, elem_id=f"stage-{stage}-start")
    return made


def fresh(house: House, request: gr.Request) -> list[Any]:
    """Everything, with what each stage would start from."""
    state, lang = state_of(house, request), words.lang_of(request)
    names = ACTIONS["models"](house, request.username)["models"] if state else []
    usable = [m["name"] for m in names if not m["reason"] and m["kind"] != "reward"]
    scorers = [m["name"] for m in names if not m["reason"] and m["kind"] == "reward"]
    starts = [gr.Dropdown(choices=usable, value=state and state["stages"][stage]["start"]) for stage in STAGES]
    judges = gr.Dropdown(choices=scorers, value=state["stages"]["ppo"]["rewards"] if state else [])
    return [*drawn(lang, state), *starts, judges]


def draw(house: House, request: gr.Request) -> list[Any]:
    return drawn(words.lang_of(request), state_of(house, request))


def begin(house: House, stage: Stage, request: gr.Request, model: str, judges: list[str]) -> list[Any]:
    project = house.project_of(request.username, request.cookies)
    asked: dict[str, Any] = {"project": project.id, "stage": stage, "model": model}
    if stage == "ppo":
        asked["rewards"] = judges
    ACTIONS["rlhf_start"](house, request.username, **asked)
    return draw(house, request)


def draw_answers(house: House, request: gr.Request, count: float | None) -> str:
    project = house.project_of(request.username, request.cookies)
    asked = {"project": project.id, "prompts": int(count) if count else None}
    made = ACTIONS["rlhf_answers"](house, request.username, **asked)
    return parts.line(words.say(words.lang_of(request), "rlhf.answers.made", **made))


def state_of(house: House, request: gr.Request) -> dict[str, Any] | None:
    project = house.project_of(request.username, request.cookies)
    return ACTIONS["rlhf"](house, request.username, project=project.id) if project else None


def drawn(lang: str, state: dict[str, Any] | None) -> list[Any]:
    """Timer, rounds, the button for new answers, then text and button of each stage."""
    if state is None:
        nothing = parts.line(words.say(lang, "train.nothing"))
        off = gr.Button(interactive=False)
        return [gr.Timer(active=False), "", off, nothing, off, "", off, "", off]
    stages = state["stages"]
    running = any(stage["next"] == "wait" for stage in stages.values())
    cards = [part for name in STAGES for part in (told(lang, name, stages[name]), button(name, state))]
    usable = gr.Button(interactive=bool(stages["ppo"]["model"]))
    return [gr.Timer(active=running), history(lang, state["rounds"]), usable, *cards]


def button(name: Stage, state: dict[str, Any]) -> gr.Button:
    """The stage that is due is the one the page is for; a finished one may be run again."""
    ready = state["stages"][name]["next"] in ("start", "again", "done")
    return gr.Button(interactive=ready, variant="primary" if state["due"] == name else "secondary")


def told(lang: str, name: Stage, stage: dict[str, Any]) -> str:
    """What the stage is for, how much it has to learn from, what came of it, what to do next."""
    title = parts.heading(f"{STAGES.index(name) + 1} · {METHODS[name].title}")
    counted = parts.figures({words.say(lang, f"rlhf.units.{name}"): f"{stage['units']:,}"})
    run = stage["run"]
    lines = [parts.line(words.say(lang, f"rlhf.about.{name}"), "quiet"), counted]
    if run and run["state"] == "done":
        lines.append(parts.line(outcome(lang, name, run)))
    if run and run["state"] in BROKEN:
        lines.append(parts.line(state_in_words(lang, run) + (f": {run['message']}" if run["message"] else ""), "bad"))
    lines.append(parts.line(advice(lang, name, stage)))
    if page := WHERE.get(f"{name}.{stage['next']}"):
        lines.append(parts.line(parts.link(words.say(lang, f"shell.{page}"), f"/app/{page}")))
    return title + "".join(lines)


def outcome(lang: str, name: Stage, run: dict[str, Any]) -> str:
    """The result of a finished run in one line."""
    result = run["result"]
    facts = {
        "run": run["model"],
        "perplexity": number(result.get("eval_perplexity")),
        "accuracy": f"{result['eval_accuracy']:.0%}" if result.get("eval_accuracy") is not None else "–",
        "score": number(result.get("eval_objective/scores")),
        "kl": number(result.get("objective/kl")),
    }
    return words.say(lang, f"rlhf.result.{name}", **facts) + (f" · {run['message']}" if run["message"] else "")


def advice(lang: str, name: Stage, stage: dict[str, Any]) -> str:
    run = stage["run"] or {}
    key = stage["next"] if stage["next"] in ("wait", "model") else f"{name}.{stage['next']}"
    facts = {
        "units": stage["units"],
        "missing": stage["missing"],
        "start": stage["start"],
        "model": stage["model"],
        "rewards": ", ".join(stage["rewards"]),
        "step": run.get("step") or 0,
        "steps": run.get("steps") or "?",
    }
    return words.say(lang, f"rlhf.next.{key}", **facts)


def history(lang: str, rounds: list[dict[str, Any]]) -> str:
    """The rounds so far, the newest first."""
    title = parts.heading(words.say(lang, "rlhf.rounds"))
    if not rounds:
        return title + parts.line(words.say(lang, "rlhf.rounds.none"), "quiet")
    columns = ("round", "from", "judge", "accuracy", "comparisons", "before", "after", "kl", "state")
    head = [words.say(lang, f"rlhf.round.{column}") for column in columns]
    rows = [
        [
            i,
            made["start"],
            ", ".join(made["rewards"]),
            "–" if made["accuracy"] is None else f"{made['accuracy']:.0%}",
            "–" if made["comparisons"] is None else made["comparisons"],
            number(made["before"]),
            number(made["after"]),
            number(made["kl"]),
            f"run-{made['run']}" if made["state"] == "done" else state_in_words(lang, made),
        ]
        for i, made in reversed(list(enumerate(rounds, 1)))
    ]
    return title + parts.table(head, rows)


def state_in_words(lang: str, run: dict[str, Any]) -> str:
    return words.say(lang, f"train.state.{run['state']}", step=run["step"] or 0, steps=run["steps"] or "?")


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
