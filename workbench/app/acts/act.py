"""What an act is: a checked function of the house, the actor and plain values; and how one gets into the audit log.

Leaves out the acts themselves.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from workbench.errors import UsageError
from workbench.schema import AccountRole
from workbench.store import audit

MADE = ("id", "project", "run", "import", "hash", "items", "new", "pushed")
LONGEST, LISTED = 200, 20


def act(role: AccountRole) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., dict[str, Any]]]:
    """Declare the lowest role that may do this, and check every value against its annotation."""

    def wrap(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)

        @functools.wraps(function)
        def inner(house: Any, actor: str, **values: Any) -> dict[str, Any]:
            try:
                return checked(house, actor, **values)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                if first["type"].startswith("missing"):
                    raise UsageError(f"{function.__name__}: {where} is missing") from None
                raise UsageError(f"{function.__name__}: {where}: {first['msg']} (got {first['input']!r:.80})") from None

        inner.role = role
        return inner

    return wrap


def logged(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The act, and when it is done a line in the audit log: what was asked for, and what was made."""

    @functools.wraps(function)
    def inner(house: Any, actor: str, **values: Any) -> dict[str, Any]:
        result = function(house, actor, **values)
        made = {key: result[key] for key in MADE if result.get(key) is not None}
        thing = {key: brief(value) for key, value in (made | values).items()}
        audit.note(house.store, actor, function.__name__, **thing)
        return result

    return inner


def brief(value: Any) -> Any:
    """A value as the log keeps it: long texts are cut, long lists counted."""
    if isinstance(value, list) and len(value) > LISTED:
        return f"{len(value)} of them"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
