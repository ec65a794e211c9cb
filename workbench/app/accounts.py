"""Who is who: passwords, sign-in, invitations, sessions and the table of roles in memory. Leaves out HTTP.

A session's token is 256 random bits; only its SHA-256 is kept. A link to set a password is a session of nobody: its
row carries the name `welcome:<name>`, and the very first one `welcome:` alone. Programs' tokens are in `tokens`.
"""

import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from workbench.app.throttle import Throttle
from workbench.app.tokens import Tokens, digest
from workbench.errors import Conflict, NotAllowed, NotFound, UsageError
from workbench.schema import ROLES
from workbench.store import accounts as rows
from workbench.store import audit
from workbench.store.accounts import Account
from workbench.store.db import Store

LOCAL = "local"
NAME = re.compile(r"[\w.@-]{1,64}")
RESERVED = {LOCAL, "system"}
SHORTEST, LONGEST = 10, 1024
IDLE, WHOLE = timedelta(hours=12), timedelta(days=7)
FIRST_LINK, LINK = timedelta(minutes=15), timedelta(days=7)
SAVE_EVERY = timedelta(minutes=5)
WELCOME = "welcome:"
STRANGER = "?"


@dataclass
class Session:
    name: str
    created: datetime
    seen: datetime
    saved: datetime


class Accounts:
    """The people of a house. Everything asked at every request is answered from memory."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.throttle = Throttle(store.home / "cache" / "throttle.json")
        self.tokens = Tokens(store)
        self._table = {account.name: account for account in rows.all(store)}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.RLock()
        self._hasher = PasswordHasher()
        self._hashing = threading.BoundedSemaphore(2)
        self._later = ThreadPoolExecutor(1)

    def role(self, name: str | None) -> str | None:
        """None for strangers and for the disabled. `local` is whoever may read the home's server.json."""
        if name == LOCAL:
            return "admin"
        account = self._table.get(name) if name else None
        return None if account is None or account.disabled else account.role

    def leads(self, name: str | None) -> bool:
        """May this person see all labels and projects?"""
        return self.role(name) in ROLES[1:]

    def all(self) -> list[dict[str, Any]]:
        return [
            {"name": a.name, "role": a.role, "disabled": a.disabled, "pending": a.password is None}
            for a in sorted(self._table.values(), key=lambda a: a.name)
        ]

    @property
    def has_admin(self) -> bool:
        return any(self._rules(a) for a in self._table.values())

    def sign_in(self, name: str, password: str, address: str) -> str:
        """The token of a new session. Unknown and known names fail alike and in the same time."""
        self._check(name, password, address)
        audit.note(self.store, name, "sign_in", address=address)
        return self._open(name)

    def sign_out(self, token: str) -> None:
        if name := self.user_of(token):
            audit.note(self.store, name, "sign_out")
        self._end(digest(token))

    def user_of(self, token: str) -> str | None:
        """Whose session this is: None when unknown, too old, left alone too long, or its owner is locked out."""
        sha, now = digest(token), datetime.now(UTC)
        session = self._sessions.get(sha) or self._recall(sha)
        if session is None or self.role(session.name) is None:
            return None
        if now - session.created > WHOLE or now - session.seen > IDLE:
            self._end(sha)
            return None
        session.seen = now
        if now - session.saved > SAVE_EVERY:
            session.saved = now
            self._later.submit(rows.session_touch, self.store, sha)
        return session.name

    def user_of_bearer(self, token: str) -> str | None:
        """Whose program this is: None when the token is not valid, or its owner locked out."""
        name = self.tokens.owner(token)
        return None if self.role(name) is None else name

    def first_link(self) -> str:
        """The token of the link by which the first admin comes in."""
        return self._link("")

    def invite(self, actor: str, name: str, role: str) -> str:
        """A new account without a password, and the token of the link by which its owner sets one."""
        with self._lock:
            known = self._table.get(name)
            if known and known.password:
                raise Conflict(f"there is a user {name!r} already", code="name_taken")
            self._check_name(name)
            self._put(actor, Account(name, role))
            return self._link(name)

    def reset(self, actor: str, name: str) -> str:
        """Sign somebody out, programs too; the token of a link by which the person sets a new password."""
        with self._lock:
            self._put(actor, self._known(name))
            self.tokens.revoke(actor, owner=name)
            return self._link(name)

    def change(self, actor: str, name: str, role: str | None = None, disabled: bool | None = None) -> None:
        """Another role, or locked out, or let in again. Ends the person's sessions; somebody must remain to rule.

        Whoever is locked out loses the tokens for good.
        """
        with self._lock:
            before = self._known(name)
            after = replace(
                before,
                role=before.role if role is None else role,
                disabled=before.disabled if disabled is None else disabled,
            )
            others = (a for a in self._table.values() if a.name != name)
            if self._rules(before) and not self._rules(after) and not any(map(self._rules, others)):
                raise Conflict(f"{name!r} is the only admin: make somebody else admin first", code="last_admin")
            self._put(actor, after)
            if after.disabled:
                self.tokens.revoke(actor, owner=name)

    def guest(self, token: str) -> str:
        """The name a link was made for, "" for the first admin's; `NotAllowed` when it was used or is too old."""
        found = rows.session_get(self.store, digest(token))
        name = found[0].removeprefix(WELCOME) if found and found[0].startswith(WELCOME) else None
        age = datetime.now(UTC) - found[1] if found else LINK
        late = age > (LINK if name else FIRST_LINK)
        if name is None or late or (self.has_admin if name == "" else self.role(name) is None):
            raise NotAllowed("this link was used already, or is too old: ask for a new one", code="dead_link")
        return name

    def welcome(self, token: str, name: str, password: str) -> str:
        """Set the password that a link allows to set, once; the token of a new session."""
        secret = self._hash(password)
        with self._lock:
            invited = self.guest(token)
            if not invited:
                self._check_name(name)
                if name in self._table:
                    raise Conflict(f"there is a user {name!r} already", code="name_taken")
            account = self._table[invited] if invited else Account(name, "admin")
            rows.sessions_end_all(self.store, WELCOME + invited)
            self._put(account.name, replace(account, password=secret))
        audit.note(self.store, account.name, "password_set", by="link")
        return self._open(account.name)

    def set_password(self, name: str, old: str, new: str, address: str) -> str:
        """Change one's own password; every session of the person ends, the token is of a new one."""
        self._check(name, old, address)
        secret = self._hash(new)
        with self._lock:
            self._put(name, replace(self._known(name), password=secret))
        audit.note(self.store, name, "password_set", by="password")
        return self._open(name)

    def _check(self, name: str, password: str, address: str) -> None:
        """`NotAllowed` for a wrong password. A name that is none may be a password typed there: it is not noted."""
        account = self._table.get(name)
        usable = account is not None and account.password is not None and not account.disabled
        with self._hashing:
            self.throttle.check(name, address)
            if not self._fits(account.password if usable else self._dummy, password):
                self.throttle.failed(name, address)
                audit.note(self.store, name if account else STRANGER, "sign_in_failed", address=address)
                raise NotAllowed("wrong name or password", code="wrong_password")
        self.throttle.forget(name)
        if self._hasher.check_needs_rehash(account.password):
            secret = self._hash(password)
            with self._lock:
                self._put(name, replace(self._known(name), password=secret))

    def _put(self, actor: str, account: Account) -> None:
        """Store the account and sign its owner out."""
        with self._lock:
            rows.put(self.store, actor, account)
            self._table[account.name] = account
            rows.sessions_end_all(self.store, account.name)
            self._sessions = {sha: s for sha, s in self._sessions.items() if s.name != account.name}

    def _open(self, name: str) -> str:
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        rows.session_add(self.store, digest(token), name)
        self._sessions[digest(token)] = Session(name, now, now, now)
        return token

    def _end(self, sha: str) -> None:
        self._sessions.pop(sha, None)
        rows.session_end(self.store, sha)

    def _recall(self, sha: str) -> Session | None:
        with self._lock:
            found = rows.session_get(self.store, sha)
            if found is None or found[0].startswith(WELCOME):
                return None
            return self._sessions.setdefault(sha, Session(*found, saved=found[2]))

    def _link(self, name: str) -> str:
        token = secrets.token_urlsafe(32)
        rows.sessions_end_all(self.store, WELCOME + name)
        rows.session_add(self.store, digest(token), WELCOME + name)
        return token

    def _known(self, name: str) -> Account:
        if name not in self._table:
            raise NotFound(f"no user {name!r}; there are: {', '.join(sorted(self._table)) or 'none yet'}")
        return self._table[name]

    def _check_name(self, name: str) -> None:
        if not NAME.fullmatch(name) or name in RESERVED:
            raise UsageError(f"user name {name!r}: 1 to 64 letters, digits or . _ - @", code="bad_name")
        if any(other != name and other.casefold() == name.casefold() for other in self._table):
            raise Conflict(f"user name {name!r} differs from another only in capitals", code="name_taken")

    def _rules(self, account: Account) -> bool:
        return account.role == "admin" and account.password is not None and not account.disabled

    def _hash(self, password: str) -> str:
        if len(password) < SHORTEST or len(password.encode()) > LONGEST:
            raise UsageError(
                f"a password has at least {SHORTEST} characters and at most {LONGEST} bytes", code="length"
            )
        with self._hashing:
            return self._hasher.hash(password)

    def _fits(self, secret: str, password: str) -> bool:
        try:
            return len(password.encode()) <= LONGEST and self._hasher.verify(secret, password)
        except Argon2Error:
            return False

    @cached_property
    def _dummy(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))
