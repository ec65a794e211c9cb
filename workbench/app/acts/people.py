"""Acts on accounts: list, invite, change."""

from typing import Any

from pydantic import Field

from workbench.app.acts.act import Role, act
from workbench.app.house import House


@act("admin")
def users(house: House, actor: str) -> dict[str, Any]:
    return {"users": house.accounts.all()}


@act("admin")
def user_add(
    house: House, actor: str, *, name: str = Field(pattern=r"^[\w.@-]{1,64}$"), role: Role = "annotator"
) -> dict[str, Any]:
    """Invite somebody: the link lets them choose a password, once."""
    return {"name": name, "role": role, "link": f"/welcome#{house.accounts.invite(actor, name, role)}"}


@act("admin")
def user_reset(house: House, actor: str, *, name: str) -> dict[str, Any]:
    """Sign somebody out everywhere; the link lets the person choose a new password, once."""
    return {"name": name, "link": f"/welcome#{house.accounts.reset(actor, name)}"}


@act("admin")
def user_change(
    house: House, actor: str, *, name: str, role: Role | None = None, disabled: bool | None = None
) -> dict[str, Any]:
    """Change role or lock out; either ends the person's sessions."""
    house.accounts.change(actor, name, role=role, disabled=disabled)
    return {"users": house.accounts.all()}
