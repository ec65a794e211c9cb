"""What leaves the house: terms asked for, repository, and what was written where. For data sets and for models."""

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from workbench.app import words
from workbench.app.pages import parts
from workbench.errors import UsageError

LICENSES = ("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "apache-2.0", "mit", "other")


class Terms(NamedTuple):
    """The components that every export asks with."""

    license: gr.Dropdown
    repo: gr.Textbox
    public: gr.Checkbox


def terms(t: gr.I18n, example: str) -> Terms:
    named = [*LICENSES, (t("data.license.none"), "none")]
    with gr.Row():
        license_ = gr.Dropdown(
            named, value="none", label=t("data.license"), info=t("data.license.help"), elem_id="license"
        )
        repo = gr.Textbox(label=t("data.repo"), placeholder=example, info=t("data.repo.help"), elem_id="repo")
    public = gr.Checkbox(label=t("data.public"), elem_id="public")
    return Terms(license_, repo, public)


def agreed(lang: str, license_: str | None, repo: str | None, public: bool) -> dict[str, Any]:
    """The terms as an act takes them. What goes to others needs a license."""
    push = (repo or "").strip() or None
    if push and license_ == "none":
        raise UsageError(words.say(lang, "data.license.missing"))
    return {"license": None if license_ == "none" else license_, "push": push, "public": public}


def written(lang: str, made: dict[str, Any]) -> str:
    """Where it lies, where it went, what is in it."""
    folder = Path(made["folder"])
    text = parts.line(words.say(lang, "data.exported", **made))
    if made["pushed"]:
        text += parts.line(words.say(lang, "data.pushed", url=made["pushed"]))
    if rows := made.get("rows"):
        text += parts.table([words.say(lang, f"data.exported.{key}") for key in ("config", "rows")], rows.items())
    files = ((p.relative_to(folder), size(p.stat().st_size)) for p in sorted(folder.rglob("*")) if p.is_file())
    return text + parts.table([words.say(lang, f"data.exported.{key}") for key in ("file", "size")], files)


def size(count: int) -> str:
    return f"{count / 1e3:,.1f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"
