"""Acts on the store as a whole: the check. Leaves out the rebuild, which needs the home for itself (`cli`)."""

from typing import Any

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.store.fsck import fsck as wrong


@act("admin")
def fsck(house: House, actor: str) -> dict[str, Any]:
    """Every sentence names what is not as it should be; none means the store is whole."""
    return {"wrong": wrong(house.store)}
