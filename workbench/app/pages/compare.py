"""The Compare page: one prompt, two models side by side, a blind vote; held-out comparisons and their results."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.actions import ACTIONS
from workbench.app.acts.compare import compare_events
from workbench.app.house import House
from workbench.app.pages import parts
from workbench.app.pages.train import startable
from workbench.app.roles import requires

VOTES = {
    "left": (0, 2),
    "slightly_left": (0, 1),
    "tie": ("tie", None),
    "both_bad": ("both_bad", None),
    "slightly_right": (1, 1),
    "right": (1, 2),
}
COLUMNS = ("models", "rate", "interval", "votes", "ties", "both_bad")


def build(house: House, t: gr.I18n) -> None:
    with gr.Column(elem_id="compare"):
        prompt = gr.Textbox(label=t("compare.prompt"), placeholder=t("compare.placeholder"), lines=2, elem_id="prompt")
        with gr.Row():
            first = gr.Dropdown([], label=t("compare.model_a"), elem_id="model-a")
            second = gr.Dropdown([], label=t("compare.model_b"), elem_id="model-b")
            ask = parts.button(t("compare.ask"), first=True, elem_id="ask")
    with gr.Row(equal_height=True):
        left = gr.Textbox(label=t("compare.answer_1"), lines=7, interactive=False, elem_id="left")
        right = gr.Textbox(label=t("compare.answer_2"), lines=7, interactive=False, elem_id="right")
    with gr.Row(elem_id="votes"):
        buttons = {
            key: gr.Button(t(f"compare.vote.{key}"), interactive=False, size="md", min_width=100, elem_id=f"vote-{key}")
            for key in VOTES
        }
    said = parts.block(elem_id="said")
    asked = gr.State("")  # the comparison on screen; after a reload one asks again
    results = parts.block(elem_id="results")
    with gr.Accordion(t("compare.held_out"), open=False):
        gr.Markdown(t("compare.held_out.help"))
        held_out = parts.button(t("compare.held_out.start"), elem_id="held-out")

    lead, quiet = requires(house.accounts, "lead"), {"api_visibility": "private"}
    page = gr.context.Context.root_block
    page.load(lead(partial(show, house)), None, [first, second, results], show_progress="hidden", **quiet)
    for event in (ask.click, prompt.submit):
        shown = [asked, left, right, said, *buttons.values()]
        event(lead(partial(answer, house)), [prompt, first, second], shown, **quiet)
    for key, button in buttons.items():
        button.click(lead(partial(vote, house, key)), asked, [said, results, *buttons.values()], **quiet)
    held_out.click(lead(partial(whole_set, house)), [first, second], said, **quiet)


def show(house: House, request: gr.Request) -> list[Any]:
    """The first base against the newest run, and the votes so far."""
    names = startable(house, request.username)
    chosen = (names[0], names[-1]) if names else (None, None)
    return [*(gr.Dropdown(choices=names, value=value) for value in chosen), table(house, request)]


def answer(house: House, request: gr.Request, text: str, a: str, b: str) -> Iterator[list[Any]]:
    """Stream both answers; the votes open when both are whole."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None or not (text or "").strip() or a == b:
        yield ["", "", "", parts.line(words.say(lang, "compare.needs")), *votes(open=False)]
        return
    values = {"project": project.id, "prompt": text, "models": [a, b]}
    number = ACTIONS["compare_ask"](house, request.username, **values)["request"]
    yield [number, "", "", parts.line(words.say(lang, "compare.waiting")), *votes(open=False)]
    texts = ["", ""]
    for texts in compare_events(house, request.username, number):
        yield [number, *texts, parts.line(words.say(lang, "compare.writing")), *votes(open=False)]
    verdict = "choose" if texts[0] != texts[1] else "same"
    if not all(text.strip() for text in texts):
        verdict = "empty"
    yield [number, *texts, parts.line(words.say(lang, f"compare.{verdict}")), *votes(open=verdict == "choose")]


def vote(house: House, key: str, request: gr.Request, number: str) -> list[Any]:
    choice, strength = VOTES[key]
    values = {"request": number, "choice": choice, "strength": strength}
    left, right = ACTIONS["compare_vote"](house, request.username, **values)["reveal"]
    who = words.say(words.lang_of(request), "compare.reveal", left=left, right=right)
    return [parts.line(who), table(house, request), *votes(open=False)]


def votes(*, open: bool) -> list[gr.Button]:
    return [gr.Button(interactive=open)] * len(VOTES)


def whole_set(house: House, request: gr.Request, a: str, b: str) -> str:
    """Both models answer the held-out prompts; the pairs wait on the Label page."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    if project is None or a == b:
        return parts.line(words.say(lang, "compare.needs"))
    made = ACTIONS["compare_set"](house, request.username, project=project.id, models=[a, b])
    return parts.line(words.say(lang, "compare.queued", **made))


def table(house: House, request: gr.Request) -> str:
    """How often the second of two models, by name the newer one, won: one row per pair, with the interval."""
    lang, project = words.lang_of(request), house.project_of(request.username, request.cookies)
    found = ACTIONS["compare_results"](house, request.username, project=project.id)["results"] if project else []
    rows = [
        (
            f"{r['b']} – {r['a']}",
            "–" if r["win_rate"] is None else f"{1 - r['win_rate']:.0%}",
            "–" if r["win_rate"] is None else f"{1 - r['high']:.0%} – {1 - r['low']:.0%}",
            r["wins"] + r["losses"],
            r["ties"],
            r["both_bad"],
        )
        for r in found
    ]
    if not rows:
        return parts.line(words.say(lang, "compare.none"), "quiet")
    head = [words.say(lang, f"compare.column.{key}") for key in COLUMNS]
    return parts.heading(words.say(lang, "compare.results")) + parts.table(head, rows)
