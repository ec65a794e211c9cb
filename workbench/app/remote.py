"""The acts of a home from outside the server: through the server that holds it, else on the house itself.

Leaves out what the acts do (`acts/`) and how a command line asks for them (`cli`).
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from workbench import errors
from workbench.errors import HomeInUse, NotFound, UsageError, WorkbenchError
from workbench.jobs.folder import read_json
from workbench.settings import Settings

START_SECONDS = 60
ANSWER_SECONDS = 7200  # a large import or generation


class Acts(Protocol):
    """Where acts are done."""

    def do(self, act: str, **values: Any) -> dict[str, Any]: ...


@contextmanager
def open_acts(settings: Settings) -> Iterator[Acts]:
    """Open the home, or talk to the server that has it open; `HomeInUse` when another command has."""
    from workbench.app.house import House

    try:
        house = House.open(settings)
    except HomeInUse:
        holder = read_json(settings.home / "server.json", {})
        if not holder.get("url"):
            raise
        yield Server(holder["url"], holder["token"])
        return
    try:
        yield Local(house)
    finally:
        house.close()


class Local:
    """The acts on a house that this process opened."""

    def __init__(self, house: Any) -> None:
        self.house = house

    def do(self, act: str, **values: Any) -> dict[str, Any]:
        from workbench.app.accounts import LOCAL
        from workbench.app.actions import ACTIONS

        if act not in ACTIONS:
            raise NotFound(f"no act {act!r}")
        return ACTIONS[act](self.house, LOCAL, **values)


class Server:
    """The acts of a running server of this machine, with the token it left for us in its home."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def do(self, act: str, **values: Any) -> dict[str, Any]:
        """POST the act; an error comes back as the class it was, with its exit code. Waits for a starting server."""
        end = time.monotonic() + START_SECONDS
        while True:
            status, answer = self._post(f"/api/do/{act}", json.dumps(values, default=str))
            if status < 400:
                return answer
            if answer.get("ready", True) or time.monotonic() > end:
                raise error_of(status, answer)
            time.sleep(0.2)

    def _post(self, path: str, body: str) -> tuple[int, dict[str, Any]]:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=ANSWER_SECONDS)
        head = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, body.encode(), head)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException) as error:
            raise HomeInUse(f"the server at {self.url} holds the home but does not answer: {error}") from None
        except ValueError:
            raise UsageError(f"the server at {self.url} answered {path} with something that is not JSON") from None
        finally:
            connection.close()


def error_of(status: int, answer: dict[str, Any]) -> WorkbenchError:
    """The error class whose code the answer carries, else the one of its status."""
    known = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, WorkbenchError)]
    code = answer.get("code")
    by_code = next((e for e in known if e.code == code), None)
    by_status = next((e for e in known if e.status == status), WorkbenchError)
    return (by_code or by_status)(answer.get("error") or f"the server answered {status}", code=code)
