"""Estimates for the eye: a value with its interval on a line, bars by day, a table of who agrees with whom.

Leaves out where they come from (`labelling.report`) and which of them a page shows.
"""

from collections import Counter
from typing import Any, NamedTuple

import gradio as gr

from workbench.app import words
from workbench.app.pages import parts

Est = dict[str, Any]
DAYS = 30
LOOK = """
.estimates { display: grid; gap: 14px; margin: 8px 0 20px; }
.estimate { display: grid; grid-template-columns: 220px minmax(0, 1fr) 210px; gap: 2px 16px; align-items: center; }
.estimate .name { font-weight: 600; overflow-wrap: anywhere; }
.estimate .value { font-variant-numeric: tabular-nums; }
.estimate .value b { font-size: 18px; font-weight: 600; }
.estimate .value span, .estimate .means { font-size: 14px; line-height: 1.4; color: var(--body-text-color-subdued); }
.estimate .means { grid-column: 2 / -1; max-width: 78ch; }
.line { position: relative; height: 18px; border-radius: 4px; background: var(--background-fill-secondary);
  border: 1px solid var(--border-color-primary); }
.line i, .line b, .line u { position: absolute; top: 50%; transform: translateY(-50%); }
.line i { height: 6px; min-width: 2px; border-radius: 3px; background: var(--pw-link); opacity: .4; }
.line b { width: 4px; height: 14px; margin-left: -2px; border-radius: 2px; background: var(--pw-link); }
.line u { width: 0; height: 100%; border-left: 2px dashed var(--pw-field); }
.days { width: fit-content; min-width: min(300px, 100%); max-width: 100%; margin: 8px 0 16px; }
.days div { display: flex; align-items: flex-end; gap: 3px; height: 120px; margin-bottom: 2px;
  border-bottom: 1px solid var(--border-color-primary); }
.days i { flex: 0 1 22px; min-width: 2px; min-height: 1px; background: var(--pw-main); border-radius: 3px 3px 0 0; }
.days p { display: flex; justify-content: space-between; max-width: none; font-size: 14px;
  color: var(--body-text-color-subdued); }
td small { display: block; font-size: 13px; color: var(--body-text-color-subdued); white-space: nowrap; }
.scroll:has(.heat) { width: fit-content; max-width: 100%; }
.heat th, .heat td { padding: 6px 12px; text-align: center; border: 1px solid var(--border-color-primary); }
.heat small { color: inherit; }
.heat th[scope=row] { text-align: left; }
.messages { display: grid; gap: 10px; padding: 0; margin: 4px 0 16px; list-style: none; }
.messages li { padding: 8px 16px 10px; max-width: 80ch; background: var(--block-background-fill); border-radius: 8px;
  border: 1px solid var(--border-color-primary); }
.messages p { margin: 0; }
.messages .quiet { font-size: 14px; }
.messages .text { white-space: pre-wrap; }
@media (width < 640px) {
  td:first-child span { font-weight: 600; }
  .heat thead { display: table-header-group; }
  .heat tr { display: table-row; }
  .heat td { display: table-cell; }
  .heat td::before { content: none; }
  .estimate { grid-template-columns: minmax(40%, 1fr) minmax(0, auto); }
  .estimate .value { text-align: right; }
  .estimate .line, .estimate .means { grid-column: 1 / -1; }
  .estimate .line { grid-row: 2; }
}
"""


class Scale(NamedTuple):
    """What a line runs from and to, how a value on it is written, where its reference stands."""

    low: float
    high: float
    form: str
    reference: float | None = None

    def at(self, value: float) -> float:
        """Percent of the way."""
        return 100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def text(self, value: float) -> str:
        return self.form.format(value).replace("-", "−")


SHARE = Scale(0.0, 1.0, "{:.0%}")
HALF = SHARE._replace(reference=0.5)
BEYOND_CHANCE = Scale(-0.2, 1.0, "{:.2f}", 0.0)
SMALL = Scale(0.0, 0.5, "{:.2f}")


def block(**look: Any) -> gr.HTML:
    return gr.HTML(css_template=parts.STYLE + LOOK, apply_default_css=False, **look)


def estimates(rows: list[str]) -> str:
    return f"<div class=estimates>{''.join(rows)}</div>"


def estimate(lang: str, name: str, est: Est, scale: Scale, means: str = "") -> str:
    """One line: name, the interval as a bar with the value on it, both as numbers, and a sentence."""
    told, safe = written(lang, est, scale), parts.safe
    more = f"<span class=means>{safe(means)}</span>" if means else ""
    return (
        f"<div class=estimate><span class=name>{safe(name)}</span>{drawn(est, scale)}"
        f"<span class=value>{told}</span>{more}</div>"
    )


def drawn(est: Est, scale: Scale) -> str:
    """The line; empty when there is no value. It says nothing that is not written beside it."""
    marks = ""
    if scale.reference is not None:
        marks += f'<u style="left: {scale.at(scale.reference):.1f}%"></u>'
    if est["value"] is not None:
        if est.get("low") is not None:
            low, high = scale.at(est["low"]), scale.at(est["high"])
            marks += f'<i style="left: {low:.1f}%; width: {high - low:.1f}%"></i>'
        marks += f'<b style="left: {scale.at(est["value"]):.1f}%"></b>'
    return f'<span class=line aria-hidden="true">{marks}</span>'


def written(lang: str, est: Est, scale: Scale) -> str:
    """Value, interval and count; or why there is none."""
    if est["value"] is None:
        return f"<span>{parts.safe(missing(lang, est))}</span>"
    counted = words.say(lang, "review.n", n=f"{est['n']:,}")
    return f"<b>{scale.text(est['value'])}</b> <span>{parts.safe(between(lang, est, scale))} {counted}</span>"


def between(lang: str, est: Est, scale: Scale) -> str:
    if est.get("low") is None:
        return ""
    low, high = (scale.text(est[end]) for end in ("low", "high"))
    return words.say(lang, "review.between", low=low.removesuffix("%"), high=high)


def missing(lang: str, est: Est) -> str:
    """Why there is no number: too few, or nothing to tell apart."""
    why, n = est.get("why") or "nothing", est.get("n") or 0
    if why.startswith("needs_"):
        return words.say(lang, "review.why.needs", need=why.removeprefix("needs_"), n=n)
    return named(lang, "review.why", why)


def short(lang: str, est: Est, scale: Scale, mark: str) -> parts.Html | str:
    """For a cell of a table: the interval stands under its value."""
    if est["value"] is None:
        return "–"
    value, interval = scale.text(est["value"]) + mark, between(lang, est, scale)
    return parts.Html(f"{parts.safe(value)}<small>{parts.safe(interval)}</small>")


def named(lang: str, prefix: str, name: str) -> str:
    """The words for a name, or the name itself where we have none."""
    key = f"{prefix}.{name}"
    found = words.say(lang, key)
    return name if found == key else found


def by_day(lang: str, days: list[dict[str, Any]]) -> str:
    """Labels of the last days as bars, the days without any included."""
    import pandas as pd

    counts: Counter[str] = Counter()
    for day in days:
        counts[day["day"]] += day["labels"]
    if not counts:
        return parts.line(words.say(lang, "review.days.none"), "quiet")
    spanned = [f"{day:%Y-%m-%d}" for day in pd.date_range(min(counts), max(counts))][-DAYS:]
    most = max(counts[day] for day in spanned)
    bars = "".join(
        f'<i style="height: {100 * counts[day] / max(1, most):.0f}%" title="{day}: {counts[day]}"></i>'
        for day in spanned
    )
    said = words.say(lang, "review.days.said", first=spanned[0], last=spanned[-1], most=f"{most:,}")
    peak = words.say(lang, "review.days.most", most=f"{most:,}")
    below = dict.fromkeys((spanned[0], peak, spanned[-1]))
    return (
        f'<div class=days><div role=img aria-label="{parts.safe(said)}">{bars}</div>'
        f"<p>{''.join(f'<span>{parts.safe(text)}</span>' for text in below)}</p></div>"
    )


def heat(lang: str, shared: dict[str, Any]) -> str:
    """Who agrees with whom: the share, the number of items behind it, and a tint that grows with the share."""
    people = shared["people"]
    heads = "".join(f"<th scope=col>{parts.safe(name)}</th>" for name in people)
    rows = ""
    for i, name in enumerate(people):
        cells = "".join(tinted(lang, shared, i, j) for j in range(len(people)))
        rows += f"<tr><th scope=row>{parts.safe(name)}</th>{cells}</tr>"
    return (
        f'<div class=scroll tabindex="0"><table class=heat><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def tinted(lang: str, shared: dict[str, Any], i: int, j: int) -> str:
    share, n = shared["agreement"][i][j], shared["n"][i][j]
    if i == j or share is None:
        return "<td>–</td>"
    tint = f"color-mix(in srgb, var(--pw-main) {round(32 * share)}%, transparent)"
    return f'<td style="background: {tint}">{share:.0%}<small>{words.say(lang, "review.n", n=n)}</small></td>'
