"""Personal tokens: programs act as the person who made one, with that person's role. Leaves out HTTP.

256 random bits cannot be guessed, and they are looked up by their hash: neither trying nor timing tells anything.
"""

import hashlib
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.errors import NotFound
from workbench.store import accounts, tokens
from workbench.store.db import Store
from workbench.store.tokens import Token

PREFIX = "pwb_"
SAVE_EVERY = timedelta(minutes=5)


class Tokens:
    """The tokens of a house that nobody revoked, by their SHA-256."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._table = {token.sha: token for token in tokens.all(store) if not token.revoked}
        self._saved: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._later = ThreadPoolExecutor(1)

    def owner(self, secret: str) -> str | None:
        """Whose token this is: None when unknown, revoked or too old."""
        now, found = datetime.now(UTC), self._table.get(digest(secret))
        if found is None or datetime.fromisoformat(found.expires) < now:
            return None
        if now - self._saved.get(found.sha, datetime.min.replace(tzinfo=UTC)) > SAVE_EVERY:
            self._saved[found.sha] = now
            self._later.submit(accounts.session_touch, self.store, found.sha)
        return found.owner

    def make(self, actor: str, owner: str, title: str, days: int) -> tuple[Token, str]:
        """A new token, and its secret, which nobody can read again."""
        secret, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        times = now.isoformat(timespec="seconds"), (now + timedelta(days=days)).isoformat(timespec="seconds")
        with self._lock:
            number = max((token.id for token in tokens.all(self.store)), default=0) + 1
            made = Token(number, owner, title, digest(secret), *times)
            tokens.put(self.store, actor, made)
            tokens.begin(self.store, made)
            self._table[made.sha] = made
        return made, secret

    def revoke(self, actor: str, *, number: int | None = None, owner: str | None = None) -> None:
        """End one token (of this owner, when one is named), or all of an owner's."""
        with self._lock:
            found = [t for t in self._table.values() if number in (None, t.id) and owner in (None, t.owner)]
            if number is not None and not found:
                raise NotFound(f"no token {number}")
            for token in found:
                tokens.put(self.store, actor, replace(token, revoked=True))
                self._table.pop(token.sha)
                accounts.session_end(self.store, token.sha)

    def all(self, owner: str | None = None) -> list[dict[str, Any]]:
        """What may be known of the tokens of one person or of all."""
        mine = sorted((t for t in self._table.values() if owner in (None, t.owner)), key=lambda t: t.id)
        used = {token.id: tokens.last_used(self.store, token) for token in mine}
        return [
            {key: getattr(t, key) for key in ("id", "owner", "title", "created", "expires")}
            | {"used": used[t.id] and used[t.id].isoformat(timespec="seconds")}
            for t in mine
        ]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
