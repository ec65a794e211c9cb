"""Acts on models: list, add from a folder or the Hub, export with a card."""

import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from workbench.app.accounts import LOCAL
from workbench.app.acts.act import act
from workbench.app.acts.children import finish, push_folder
from workbench.app.house import House
from workbench.errors import Conflict, NotAllowed, NotFound, UsageError
from workbench.jobs import models as folders
from workbench.jobs.folder import aside

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
Form = Literal["adapter", "merged"]


@act("lead")
def models(house: House, actor: str) -> dict[str, Any]:
    return {"models": [asdict(m) for m in folders.all(house.home)]}


@act("admin")
def model_add(house: House, actor: str, *, source: str, name: str | None = None) -> dict[str, Any]:
    """Copy a folder, or fetch a Hub model's safetensors, config and tokenizer, into models/<name>."""
    name = name or source.rstrip("/").split("/")[-1]
    target = house.home / "models" / name
    if target.exists():
        raise Conflict(f"there is a model {name!r} already: give another name")
    if not NAME.fullmatch(name) or name == "demo-tiny" or folders.RUN.fullmatch(name):
        raise UsageError(f"model name {name!r}: letters, digits, '-', '_' and '.', and not one the program uses itself")
    if Path(source).is_dir():
        if actor != LOCAL:
            raise NotAllowed(f"{source} is a folder of the server: only its own command line may name one")
        folders.scan(Path(source), name)
        with aside(target) as part:
            shutil.copytree(source, part, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
    elif source.startswith(("/", ".", "~")):
        raise NotFound(f"no folder {source} on this machine")
    else:
        finish(house, "workbench.formats.fetch", {"model": source, "to": str(target)}, network=True)
    return asdict(folders.scan(target, name))


@act("lead")
def export_model(
    house: House,
    actor: str,
    *,
    run: int,
    form: Form | None = None,
    license: str | None = None,
    push: str | None = None,
    public: bool = False,
    out: Path | None = None,
) -> dict[str, Any]:
    """The trained model as a Hub folder with its card: an adapter stays an adapter unless `merged` is asked for."""
    model = folders.get(house.home, f"run-{run}")
    form = form or ("adapter" if model.base_path else "merged")
    folder = out or house.home / "exports" / f"run-{run}-{form}"
    config = {"run": str(house.runs.folder(run)), "out": str(folder), "form": form, "license": license}
    config["base"] = model.base_path
    finish(house, "workbench.training.export", config)
    url = push_folder(house, folder, push, kind="model", public=public) if push else None
    return {"folder": str(folder), "form": form, "pushed": url}
