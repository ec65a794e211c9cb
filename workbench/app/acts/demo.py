"""The demo project in one act: prompts and answers that ship with the program, labelled by nobody yet."""

from typing import Any

from workbench.app.acts.act import act
from workbench.app.acts.data import import_confirm, import_file
from workbench.app.acts.projects import project_create
from workbench.app.house import House
from workbench.errors import NotFound
from workbench.settings import DEMO
from workbench.store import projects as rows

NAME = "Demo"
EVAL_SHARE = 0.2


@act("lead")
def demo_create(house: House, actor: str) -> dict[str, Any]:
    """Create the demo project, or give the one that is there."""
    if existing := next((p for p in rows.all(house.store) if p.name == NAME and not p.archived), None):
        return {"project": existing.id}
    prompts = DEMO / "prompts.jsonl"
    if not prompts.exists():
        raise NotFound(f"the demo data is not in {DEMO}: it comes with a checkout of the program")
    made = project_create(house, actor, name=NAME, tasks=["pair", "thumb"], eval_share=EVAL_SHARE)
    parsed = import_file(house, actor, project=made["id"], path=prompts, dialect="prompts")
    stored = import_confirm(house, actor, project=made["id"], number=parsed["import"])
    return {"project": made["id"], "items": stored["items"]}
