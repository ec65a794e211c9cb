"""Acts on accounts: list, invite, change."""

from typing import Any

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.schema import AccountRole


@act("admin")
def users(house: House, actor: str) -> dict[str, Any]:
    return {"users": house.accounts.all()}


@act("admin")
def user_add(house: House, actor: str, *, name: str, role: AccountRole = "annotator") -> dict[str, Any]:
    """Invite somebody: the link lets them choose a password, once."""
    return {"name": name, "role": role, **_link(house, house.accounts.invite(actor, name, role))}


@act("admin")
def user_reset(house: House, actor: str, *, name: str) -> dict[str, Any]:
    """Sign somebody out everywhere; the link lets the person choose a new password, once."""
    return {"name": name, **_link(house, house.accounts.reset(actor, name))}


@act("admin")
def user_change(
    house: House, actor: str, *, name: str, role: AccountRole | None = None, disabled: bool | None = None
) -> dict[str, Any]:
    """Change role or lock out; either ends the person's sessions."""
    house.accounts.change(actor, name, role=role, disabled=disabled)
    return {"users": house.accounts.all()}


def _link(house: House, token: str) -> dict[str, str]:
    """A link within the server, and the server's address as others find it."""
    return {"link": f"/welcome#{token}", "server": house.settings.team_url}
