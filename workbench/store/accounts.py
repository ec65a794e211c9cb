"""Accounts and sessions as rows. Leaves out passwords' hashing, tokens and who may do what (`app.accounts`)."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from workbench.errors import UsageError
from workbench.schema import ROLES, Event
from workbench.store import rows
from workbench.store.db import Store, uid


@dataclass(frozen=True)
class Account:
    """`password` is an argon2 string, or null until the person has set one."""

    name: str
    role: str
    password: str | None = None
    disabled: bool = False


def all(store: Store) -> list[Account]:
    return sorted((Account(**payload) for payload in store.latest("accounts")), key=lambda a: a.name)


def put(store: Store, actor: str, account: Account) -> None:
    """Add the account, or replace the one of that name."""
    if account.role not in ROLES:
        raise UsageError(f"role {account.role!r}: one of {', '.join(ROLES)}")
    store.append(Event(uid(), actor, "account", asdict(account)))


def session_add(store: Store, sha: str, name: str) -> None:
    """Remember a session by the SHA-256 of its token. Sessions are not journalled."""
    now = datetime.now(UTC)
    with store.transaction() as cur:
        cur.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", [sha, name, now, now])


def session_get(store: Store, sha: str) -> tuple[str, datetime, datetime] | None:
    """Name, time of sign-in, time of the last touch."""
    with store.cursor() as cur:
        row = cur.execute(
            "SELECT name, epoch_us(created), epoch_us(seen) FROM sessions WHERE token_sha = ?", [sha]
        ).fetchone()
    return row and (row[0], rows.moment(row[1]), rows.moment(row[2]))


def session_touch(store: Store, sha: str) -> None:
    with store.transaction() as cur:
        cur.execute("UPDATE sessions SET seen = ? WHERE token_sha = ?", [datetime.now(UTC), sha])


def session_end(store: Store, sha: str) -> None:
    with store.transaction() as cur:
        cur.execute("DELETE FROM sessions WHERE token_sha = ?", [sha])


def sessions_end_all(store: Store, name: str) -> None:
    """Sign `name` out everywhere."""
    with store.transaction() as cur:
        cur.execute("DELETE FROM sessions WHERE name = ?", [name])
