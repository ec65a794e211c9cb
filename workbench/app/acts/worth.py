"""Acts of a lead on what more labels would bring: measure it in a child, see what was found, stop.

Leaves out the child's life (`work`) and the arithmetic (`labelling.worth`).
"""

import shutil
from pathlib import Path
from typing import Any

from workbench.app.acts.act import act
from workbench.app.acts.quality import measured
from workbench.app.acts.review import Axis, axis_of
from workbench.app.acts.work import Work, ended
from workbench.app.house import House
from workbench.errors import ModelError
from workbench.jobs import models as folders
from workbench.jobs.folder import read_json
from workbench.store import worth


@act("lead")
def review_worth(house: House, actor: str, *, project: int | str, model: str, axis: str = Axis) -> dict[str, Any]:
    """Measure with a base model what labels teach, and what more of them would."""
    found, base = axis_of(house.project(project), axis), folders.get(house.home, model)
    if not untaught(house, base):
        raise ModelError(f"{model} has seen labels or gives scores: choose a base model that no label has formed")
    states = house.home / "cache" / "states" / f"{found.id}.safetensors"
    config = {"actor": actor, "axis": axis, "items": "items.parquet", "states": str(states)}
    MEASURING.start(
        house, found.id, base, config, lambda job: worth.write_pairs(house.store, found, axis, job / "items.parquet")
    )
    return review_worth_state(house, actor, project=found.id, axis=axis)


@act("lead")
def review_worth_state(house: House, actor: str, *, project: int | str, axis: str = Axis) -> dict[str, Any]:
    """What was found last, how far a new measuring is, and the models to choose from."""
    found = axis_of(house.project(project), axis)
    job = MEASURING.state(house, found.id)
    usable = [m.name for m in folders.all(house.home) if not m.reason and untaught(house, m)]
    return {"found": measured(house, found.id, axis), "job": job, "models": usable}


@act("lead")
def review_worth_off(house: House, actor: str, *, project: int | str, axis: str = Axis) -> dict[str, Any]:
    """End a measuring that is under way."""
    MEASURING.stop(house, house.project(project).id)
    return review_worth_state(house, actor, project=project, axis=axis)


def untaught(house: House, model: folders.Model) -> bool:
    return model.kind != "reward" and folders.untaught(house.home, model) == model


def _settle(house: House, job: Path) -> None:
    """What a child has found holds from now on; the texts that it has read go."""
    with house.store.lock:
        if (found := ended(job)) is None:
            return
        config, _ = found
        worth.note(house.store, config["actor"], config["project"], config["axis"], read_json(job / "result.json"))
        shutil.rmtree(job)


MEASURING = Work("worth", "workbench.training.worth", _settle)
