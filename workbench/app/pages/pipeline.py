"""The Pipeline tab of the Train page: SFT, reward model, PPO as one path, and its rounds. Leaves out single runs."""

from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.acts.rlhf import STAGES, Stage
from workbench.app.house import House
from workbench.app.pages import figures, parts
from workbench.app.roles import requires
from workbench.jobs.folder import END_STATES
from workbench.training.methods import METHODS

TICK = 2.5
NEW_ANSWERS = 40
WHERE = {"sft.more": "data", "rm.more": "label", "ppo.more": "data", "ppo.done": "compare"}  # to do what is advised
STARTABLE = ("start", "again", "done", "rewards")  # a reward model trained elsewhere can be named by hand
BROKEN = END_STATES - {"done", "stopped"}


def build(house: House, t: gr.I18n, tab: gr.Tab) -> None:
    """Three cards beside each other, under them the rounds; on a phone one under the other."""
    with gr.Row(elem_id="pipeline"):
        cards = {stage: card(stage, t) for stage in STAGES}
    progress = parts.block(elem_id="stage-progress")
    rounds = parts.block(elem_id="rounds")
    with gr.Row():
        count = gr.Number(NEW_ANSWERS, label=t("rlhf.answers.count"), precision=0, minimum=1, min_width=160, scale=0)
        answers = parts.button(t("rlhf.answers"), width=200, elem_id="new-answers")
    said = parts.block(elem_id="answers-said")
    timer = gr.Timer(TICK, active=False)

    lead, quiet = requires(house.accounts, "lead"), {"show_progress": "hidden", "api_visibility": "private"}
    judges = cards["ppo"]["rewards"]
    shown = [timer, progress, rounds, answers, judges]
    shown += [cards[stage][part] for stage in STAGES for part in ("about", "start", "model")]
    for event in (gr.context.Context.root_block.load, tab.select):
        event(lead(partial(fresh, house)), None, shown, **quiet)
    timer.tick(lead(partial(tick, house)), None, shown, **quiet)
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
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None:
        nothing, off = parts.line(words.say(lang, "train.nothing")), gr.Button(interactive=False)
        return [gr.Timer(active=False), nothing, "", off, gr.skip(), *["", off, gr.skip()] * len(STAGES)]
    state = ACTIONS["rlhf"](house, request.username, project=project.id)
    stages, listed = state["stages"], ACTIONS["models"](house, request.username)["models"]
    usable = [m["name"] for m in listed if not m["reason"] and m["kind"] != "reward"]
    scorers = [m["name"] for m in listed if not m["reason"] and m["kind"] == "reward"]
    running = any(stage["next"] == "wait" for stage in stages.values())
    return [
        gr.Timer(active=running),
        so_far(lang, ACTIONS["rlhf_running"](house, request.username, project=project.id)),
        history(lang, state["rounds"]),
        gr.Button(interactive=bool(stages["ppo"]["model"])),
        gr.Dropdown(choices=scorers, value=stages["ppo"]["rewards"]),
        *(part for name in STAGES for part in filled(lang, name, state, usable)),
    ]


def filled(lang: str, name: Stage, state: dict[str, Any], usable: list[str]) -> list[Any]:
    """Text, button and start model of a stage. The one that is due is what the page is for."""
    stage = state["stages"][name]
    look = {"variant": "primary" if state["due"] == name else "secondary", "interactive": stage["next"] in STARTABLE}
    return [told(lang, name, stage), gr.Button(**look), gr.Dropdown(choices=usable, value=stage["start"])]


def tick(house: House, request: gr.Request) -> list[Any]:
    """How far the running stage is; once none runs any more, everything."""
    project = house.project_of(request.username, request.cookies)
    running = ACTIONS["rlhf_running"](house, request.username, project=project.id) if project else {"stage": None}
    if running["stage"] is None:
        return fresh(house, request)
    return [gr.skip(), so_far(words.lang_of(request), running), *[gr.skip()] * (3 + 3 * len(STAGES))]


def so_far(lang: str, running: dict[str, Any]) -> str:
    if running["stage"] is None:
        return ""
    line = f"{METHODS[running['stage']].title}: {state_in_words(lang, running)}"
    left = f" · {figures.duration(lang, running['eta_s'])}" if running["eta_s"] else ""
    return parts.line(line + left)


def begin(house: House, stage: Stage, request: gr.Request, model: str, judges: list[str]) -> list[Any]:
    project = house.project_of(request.username, request.cookies)
    asked: dict[str, Any] = {"project": project.id, "stage": stage, "model": model}
    if stage == "ppo":
        asked["rewards"] = judges
    ACTIONS["rlhf_start"](house, request.username, **asked)
    return fresh(house, request)


def draw_answers(house: House, request: gr.Request, count: float | None) -> str:
    project = house.project_of(request.username, request.cookies)
    asked = {"project": project.id, "prompts": int(count) if count else None}
    made = ACTIONS["rlhf_answers"](house, request.username, **asked)
    return parts.line(words.say(words.lang_of(request), "rlhf.answers.made", **made))


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
    key = stage["next"] if stage["next"] in ("wait", "model") else f"{name}.{stage['next']}"
    facts = {name: stage[name] for name in ("units", "missing", "start", "model")}
    facts["rewards"] = ", ".join(stage["rewards"])
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
