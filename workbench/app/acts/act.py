"""What an act is: a checked function of the house, the actor and plain values. Leaves out the acts themselves."""

import functools
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from workbench.errors import UsageError
from workbench.schema import AccountRole


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
                raise UsageError(f"{function.__name__}: {where}: {first['msg']} (got {first['input']!r:.80})") from None

        inner.role = role
        return inner

    return wrap
