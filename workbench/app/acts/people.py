"""Acts on accounts: list, invite, change."""

from typing import Any

from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import NotAllowed
from workbench.schema import AccountRole
from workbench.store import projects


@act("admin")
def users(house: House, actor: str) -> dict[str, Any]:
    return {"users": house.accounts.all()}


@act("lead")
def annotators(house: House, actor: str, *, project: int | str | None = None) -> dict[str, Any]:
    """Those who label: name, state, and whether a project, archived or not, is open to them."""
    found = projects.get(house.store, project) if project is not None else None
    listed = [u for u in house.accounts.all() if u["role"] == "annotator"]
    return {"annotators": [u | {"member": found is None or found.open_to(u["name"])} for u in listed]}


@act("lead")
def user_add(
    house: House, actor: str, *, name: str, role: AccountRole = "annotator", project: int | str | None = None
) -> dict[str, Any]:
    """Invite somebody, also straight into a project: the link lets them choose a password, once.

    Admins invite anybody, leads annotators.
    """
    found = house.project(project) if project is not None else None
    with house.store.lock:
        _check_inviting(house, actor, name, role)
        token = house.accounts.invite(actor, name, role)
        if found and not found.open_to(name):
            projects.change(house.store, actor, found.id, members=[*found.members, name])
    return {"name": name, "role": role, **_link(house, token)}


def _check_inviting(house: House, actor: str, name: str, role: AccountRole) -> None:
    """A lead makes annotators, and renews the link of one who was invited and is not locked out."""
    if house.accounts.role(actor) == "admin":
        return
    known = next((u for u in house.accounts.all() if u["name"] == name), {"role": role, "disabled": False})
    if role != "annotator" or known["role"] != role or known["disabled"]:
        raise NotAllowed("leads invite annotators; anybody else is for an admin to invite")


@act("admin")
def user_reset(house: House, actor: str, *, name: str) -> dict[str, Any]:
    """Sign somebody out everywhere; the link lets the person choose a new password, once."""
    return {"name": name, **_link(house, house.accounts.reset(actor, name))}


@act("admin")
def user_change(
    house: House, actor: str, *, name: str, role: AccountRole | None = None, disabled: bool | None = None
) -> dict[str, Any]:
    """Change role or lock out; either ends the person's sessions and gives back what the person had leased."""
    house.accounts.change(actor, name, role=role, disabled=disabled)
    house.queue.forget(name)
    return {"users": house.accounts.all()}


def _link(house: House, token: str) -> dict[str, str]:
    """A link within the server, and the server's address as others find it."""
    return {"link": f"/welcome#{token}", "server": house.settings.team_url}
