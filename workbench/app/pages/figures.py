"""Figures of a run with unit and meaning, and how memory and time are written. Leaves out where they are measured."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from workbench.app import words
from workbench.app.pages import parts

LOOK = """
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(200px, 44%), 1fr)); gap: 12px 24px;
  margin: 4px 0 12px; }
dl div { display: flex; flex-direction: column; }
dt { font-size: 14px; }
dd { margin: 0; order: -1; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
dd.means { order: 1; font-size: 13px; font-weight: 400; line-height: 1.4; color: var(--body-text-color-subdued); }
"""
ENGINES = ("packed", "padded")


def block(**look: Any) -> gr.HTML:
    return gr.HTML(css_template=parts.STYLE + LOOK, apply_default_css=False, **look)


def memory(count: float) -> str:
    """Bytes as people read them, in powers of ten."""
    if count < 1e9:
        return f"{max(count / 1e6, 1):.0f} MB"
    return f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"


def duration(lang: str, seconds: float) -> str:
    """Seconds up to a minute and a half, then minutes, then hours."""
    if seconds < 90:
        return words.say(lang, "train.time.seconds", n=max(1, round(seconds)))
    if seconds < 5400:
        return words.say(lang, "train.time.minutes", n=round(seconds / 60))
    return words.say(lang, "train.time.hours", n=f"{seconds / 3600:.1f}")


def number(value: float) -> str:
    """Three digits that count: 0.43, 24.5, 2,430."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


# Name of a figure in a metric line, and how its value is written.
SHOWN: dict[str, Callable[[str, float], str]] = {
    "tokens_per_second": lambda lang, value: number(value),
    "examples_per_second": lambda lang, value: number(value),
    "rollout_tokens_per_second": lambda lang, value: number(value),
    "update_tokens_per_second": lambda lang, value: number(value),
    "time/rollout": lambda lang, value: f"{value:.0%}",
    "time/score": lambda lang, value: f"{value:.0%}",
    "time/update": lambda lang, value: f"{value:.0%}",
    "peak_memory_mb": lambda lang, value: memory(value * 2**20),
    "padding_share": lambda lang, value: f"{value:.0%}",
    "mfu": lambda lang, value: f"{value:.0%}",
    "eta_s": duration,
}


def latest(run: dict[str, Any]) -> dict[str, float]:
    """The newest value of every figure; time left only while there is some."""
    found = {
        name: next((line[name] for line in reversed(run["metrics"]) if line.get(name) is not None), None)
        for name in SHOWN
    }
    status = run["status"]
    found["eta_s"] = status.get("eta_s") if status["state"] == "running" else None
    return {name: value for name, value in found.items() if value is not None}


def of_run(lang: str, run: dict[str, Any]) -> str:
    """Every figure over its name and one sentence, and how rows go through the model."""
    cells = "".join(cell(lang, name, value, run) for name, value in latest(run).items())
    return (f"<dl>{cells}</dl>" if cells else "") + engine(lang, run["status"])


def cell(lang: str, name: str, value: float, run: dict[str, Any]) -> str:
    means = words.say(lang, f"train.means.{name}")
    return fact(title(lang, name, run), SHOWN[name](lang, value), means)


def fact(name: str, value: str, means: str) -> str:
    """One cell of a `<dl>`: the value over its name and one sentence."""
    name, value, means = map(parts.safe, (name, value, means))
    return f"<div><dt>{name}</dt><dd>{value}</dd><dd class=means>{means}</dd></div>"


def title(lang: str, name: str, run: dict[str, Any]) -> str:
    """Pairs are counted as pairs, single answers as answers."""
    unit = ""
    if name == "examples_per_second":
        unit = ".answers" if run["config"]["method"] in ("sft", "kto") else ".pairs"
    return words.say(lang, f"train.figure.{name}{unit}")


def engine(lang: str, status: dict[str, Any]) -> str:
    """Nothing for a run that does not tell."""
    if status.get("engine") not in ENGINES:
        return ""
    reason = status.get("engine_reason")
    key = f"train.engine.{status['engine']}" + (".because" if status["engine"] == "padded" and reason else "")
    return parts.line(words.say(lang, key, reason=reason), "quiet")
