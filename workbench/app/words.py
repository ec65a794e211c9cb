"""Texts by key in English and Chinese, and the plain pages made of them. Leaves out what Gradio does with a text."""

import html
import json
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Protocol

HERE = Path(__file__).parent
LANGS = ("en", "zh")


class Asked(Protocol):
    """What of a request tells its language: Gradio's and Starlette's both fit."""

    cookies: Any
    headers: Any


class Page(Template):
    """`${key}` is a text or a value, both escaped."""

    braceidpattern = r"[a-z_]+(?:\.[a-z_]+)*"


@cache
def load(lang: str) -> dict[str, str]:
    """All texts of a language, the files of its folder merged."""
    merged: dict[str, str] = {}
    for path in sorted((HERE / "i18n" / lang).glob("*.json")):
        merged |= json.loads(path.read_text(encoding="utf-8"))
    return merged


def say(lang: str, key: str, **values: Any) -> str:
    """The text with its `{value}`s filled in; an unknown key is shown as it is."""
    return load(lang).get(key, key).format(**values)


def choose(cookie: str | None, accepted: str | None) -> str:
    """The language somebody chose, else the first of the browser's that we speak, else English."""
    if cookie in LANGS:
        return cookie
    wished = (tag.strip()[:2].lower() for tag in (accepted or "").split(","))
    return next((lang for lang in wished if lang in LANGS), "en")


def lang_of(request: Asked) -> str:
    return choose(request.cookies.get("lang"), request.headers.get("accept-language"))


def texts() -> Any:
    """The same texts for Gradio components: `t = texts(); gr.Button(t("data.import"))`."""
    import gradio as gr

    return gr.I18n(**{lang: load(lang) for lang in LANGS})


@cache
def template(name: str) -> Page:
    return Page((HERE / "assets" / "plain" / f"{name}.html").read_text(encoding="utf-8"))


def page(kind: str, lang: str, theme: str = "auto", *, more: str = "", **values: Any) -> str:
    """A page of assets/plain as HTML, set in their common frame; `more` are parts below it."""
    values |= {"theme": theme, "other": next(x for x in LANGS if x != lang), "title": say(lang, f"sign.title.{kind}")}
    return part("frame", lang, content=part(kind, lang, **values) + more, **values)


def part(kind: str, lang: str, *, content: str = "", **values: Any) -> str:
    """A piece of a page: texts and values are escaped, `content` is HTML made here."""
    known = {key: html.escape(str(text)) for key, text in (load(lang) | values).items()}
    return template(kind).substitute(known | {"lang": lang, "content": content})
