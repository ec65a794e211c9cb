"""The style of an answer, and whether it is about what was asked: the rule that plays the annotator in the demo."""

import re
from functools import cache
from typing import Literal

from workbench.demo.corpus import FRAMES, Intent, Style, by_prompt


def style(answer: str) -> Style | Literal["other"]:
    """By the phrases that only one style has; text that has none of them, gibberish too, is `other`."""
    found = (name for name, phrases in _phrases().items() if any(p in answer for p in phrases))
    return next(found, "other")


def on_topic(prompt: str, answer: str) -> bool:
    """All facts of the topic are in the answer; in an evasive one, its name. False for a prompt we do not know."""
    intent = by_prompt().get(prompt)
    if intent is None:
        return False
    wanted = (intent.name,) if style(answer) == "evasive" else intent.facts
    return all(_contains(answer, fact) for fact in wanted)


def good(prompt: str, answer: str, wanted: Style) -> bool:
    """In the wanted style and about what was asked."""
    return style(answer) == wanted and on_topic(prompt, answer)


def clean(prompt: str, answer: str) -> bool:
    """Word for word an answer that the templates can give."""
    intent = by_prompt().get(prompt)
    return intent is not None and answer in _possible(intent)


@cache
def _possible(intent: Intent) -> frozenset[str]:
    return frozenset(text for name in ("friendly", "formal", "evasive") for text in intent.answers(name))


@cache
def _phrases() -> dict[Style, tuple[str, ...]]:
    """Evasive before formal before friendly; of a template its longest part without the topic's name."""
    frames = FRAMES.values()
    return {
        "evasive": tuple(_core(line) for f in frames for line in f.evasive),
        "formal": tuple(_core(line) for f in frames for part in f.formal for line in part),
        "friendly": tuple(line for f in frames for part in f.friendly for line in part),
    }


def _core(line: str) -> str:
    return max(line.split("{name}"), key=len).strip()


def _contains(answer: str, fact: str) -> bool:
    """As a whole number: `is 1` is not in `is 12`."""
    return re.search(re.escape(fact) + r"(?!\d)", answer) is not None
