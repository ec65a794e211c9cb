"""Personal tokens as rows: whose, until when, and the SHA-256. Leaves out who may make one (`app.tokens`).

When one was last used stands beside the sessions, which are in no journal.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from workbench.schema import Event
from workbench.store import accounts
from workbench.store.db import Store, uid

LATEST = """SELECT payload FROM events WHERE kind = 'token'
    QUALIFY row_number() OVER (PARTITION BY payload ->> 'id' ORDER BY seq DESC) = 1"""


@dataclass(frozen=True)
class Token:
    """`created` and `expires` are ISO times in UTC."""

    id: int
    owner: str
    title: str
    sha: str
    created: str
    expires: str
    revoked: bool = False


def all(store: Store) -> list[Token]:
    with store.cursor() as cur:
        found = cur.execute(LATEST).fetchall()
    return sorted((Token(**json.loads(payload)) for (payload,) in found), key=lambda token: token.id)


def put(store: Store, actor: str, token: Token) -> None:
    """Add the token, or replace the one of that number."""
    store.append(Event(uid(), actor, "token", asdict(token)))


def begin(store: Store, token: Token) -> None:
    """From now on its use can be noted."""
    accounts.session_add(store, token.sha, f"token:{token.id}")


def last_used(store: Store, token: Token) -> datetime | None:
    found = accounts.session_get(store, token.sha)
    return found[2] if found and found[2] > found[1] else None
