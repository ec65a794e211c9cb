"""The few pieces of HTML that pages share: a table, figures, a line of text. What users wrote is escaped, always."""

import html
from collections.abc import Iterable
from typing import Any

import gradio as gr

STYLE = """
margin: -10px -12px; color: var(--body-text-color); font-size: 16px; line-height: 1.5;
.figures { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0 0 12px; }
.figures div { display: flex; flex-direction: column-reverse; min-width: 72px; }
.figures dd { margin: 0; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
.figures dt { color: var(--body-text-color-subdued); font-size: 14px; }
.scroll { overflow-x: auto; background: var(--block-background-fill); border-radius: 8px; margin: 4px 0 12px;
  border: 1px solid var(--border-color-primary); }
table { border-collapse: collapse; width: 100%; font-size: 15px; margin: 0; }
th { text-align: left; font-weight: 500; color: var(--body-text-color-subdued); white-space: nowrap; }
th, td { padding: 8px 16px; border: 0; vertical-align: top; }
td { overflow-wrap: break-word; max-width: 48ch; font-variant-numeric: tabular-nums;
  border-top: 1px solid var(--border-color-primary); }
@media (width < 640px) {
  .figures { display: grid; grid-template-columns: 1fr 1fr; align-items: start; gap: 12px 20px; }
  thead { display: none; }
  tr { display: block; padding: 8px 16px; border-top: 1px solid var(--border-color-primary); }
  tr:first-child { border-top: 0; }
  td { display: flex; gap: 12px; max-width: none; padding: 2px 0; border: 0; }
  td::before { content: attr(data-head); flex: 0 0 40%; color: var(--body-text-color-subdued); }
  td > span { overflow-wrap: anywhere; }
}
h3 { font-size: 16px; font-weight: 600; margin: 16px 0 4px; }
p { margin: 4px 0; max-width: 72ch; overflow-wrap: anywhere; }
.quiet { color: var(--body-text-color-subdued); }
.bad { color: var(--error-text-color); }
a { color: var(--link-text-color); }
.first { display: inline-block; padding: 12px 28px; margin: 8px 0 12px; border-radius: 8px; font-weight: 600;
  background: var(--button-primary-background-fill); text-decoration: none;
  color: var(--button-primary-text-color) !important; }
.first:hover { background: var(--button-primary-background-fill-hover); }
.shown { border: 1px solid var(--border-color-primary); background: var(--block-background-fill);
  border-radius: 8px; padding: 12px 16px; margin: 8px 0; }
.shown > p, .shown > div > div { white-space: pre-wrap; overflow-wrap: anywhere; }
.shown > div { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(260px, 100%), 1fr)); gap: 12px;
  margin-top: 8px; }
.shown > div > div { background: var(--background-fill-secondary); border-radius: 6px; padding: 8px 12px; }
"""


def block(**look: Any) -> gr.HTML:
    """A place for the pieces below."""
    return gr.HTML(css_template=STYLE, apply_default_css=False, **look)


def button(text: Any, *, width: int = 160, first: bool = False, size: str = "md", **look: Any) -> gr.Button:
    """In a row; `width` in pixels, `first` marks the one that the page is for."""
    return gr.Button(text, variant="primary" if first else "secondary", size=size, scale=0, min_width=width, **look)


class Html(str):
    """Text made here: its values are safe already."""


def safe(value: object) -> str:
    """Text that neither HTML nor the component's template language takes for its own."""
    if isinstance(value, Html):
        return value
    text = html.escape(str(value))
    return text.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;")


def line(text: object, kind: str = "") -> str:
    return f'<p role="status" class="{kind}">{safe(text)}</p>'


def link(text: object, address: str, project: int | None = None) -> Html:
    """With a project: the one that the page behind the link is about."""
    chosen = "" if project is None else f' data-project="{project}"'
    return Html(f'<a href="{safe(address)}"{chosen}>{safe(text)}</a>')


def figures(found: dict[str, object]) -> str:
    """Numbers with their meaning under them."""
    pairs = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in found.items())
    return f"<dl class=figures>{pairs}</dl>"


def heading(text: object) -> str:
    return f"<h3>{safe(text)}</h3>"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = [safe(cell) for cell in head]
    top = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(map(cell, heads, row))}</tr>" for row in rows)
    return f'<div class=scroll tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def cell(head: str, value: object) -> str:
    """On a phone the heading stands beside its value."""
    return f'<td data-head="{head}"><span>{safe(value)}</span></td>'


def exhibit(asked: str, answers: Iterable[str]) -> str:
    """A prompt over its answers."""
    beside = "".join(f"<div>{safe(answer)}</div>" for answer in answers)
    return f"<div class=shown><p>{safe(asked)}</p><div>{beside}</div></div>"
