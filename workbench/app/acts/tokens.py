"""Acts on personal tokens: list, make, revoke."""

from typing import Any

from pydantic import Field

from workbench.app.accounts import LOCAL
from workbench.app.acts.act import act
from workbench.app.house import House
from workbench.errors import NotAllowed, NotFound


@act("annotator")
def tokens(house: House, actor: str, *, everybody: bool = False) -> dict[str, Any]:
    """One's own tokens; admins may see everybody's. Never the tokens themselves."""
    if everybody and house.accounts.role(actor) != "admin":
        raise NotAllowed("everybody's tokens are for admins to see")
    return {"tokens": house.accounts.tokens.all(None if everybody else actor)}


@act("annotator")
def token_add(
    house: House,
    actor: str,
    *,
    title: str = Field(min_length=1, max_length=80),
    days: int = Field(90, ge=1, le=365),
    user: str | None = None,
) -> dict[str, Any]:
    """A token for one's own programs, told this once. Only the server's command line may make one for somebody else."""
    owner = user or actor
    if owner != actor and actor != LOCAL:
        raise NotAllowed(f"a token for {owner}: only {owner} may make one")
    if owner == LOCAL or house.accounts.role(owner) is None:
        raise NotFound(f"no user {owner!r} who could have a token: name one with --user")
    made, secret = house.accounts.tokens.make(actor, owner, title.strip(), days)
    return {"id": made.id, "owner": owner, "title": made.title, "expires": made.expires, "token": secret}


@act("annotator")
def token_revoke(house: House, actor: str, *, number: int) -> dict[str, Any]:
    """End a token at once: one's own, and for admins anybody's."""
    own = None if house.accounts.role(actor) == "admin" else actor
    house.accounts.tokens.revoke(actor, number=number, owner=own)
    return {"revoked": number}
