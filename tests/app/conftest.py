"""The assembled app in this process, and clients of it."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from workbench.app import front
from workbench.jobs.folder import read_json
from workbench.settings import Settings

PASSWORD = "correct horse battery"
BASE = "http://127.0.0.1:7860"


@pytest.fixture(scope="session")
def house_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """app, house, sid of each role by the names ann, lea, ada, and the token of server.json."""
    home = tmp_path_factory.mktemp("app") / "home"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in front.QUIET.items():
            patch.setenv(name, value)
        front.silence(home)
        from workbench.app import main

        app = main.build(Settings(home=home))
        house = app.state.house
        sid = {}
        for name, role in (("ada", "admin"), ("lea", "lead"), ("ann", "annotator"), ("bob", "annotator")):
            sid[name] = house.accounts.welcome(house.accounts.invite("system", name, role), name, PASSWORD)
        with TestClient(app, BASE):
            yield SimpleNamespace(app=app, house=house, sid=sid, key=read_json(house.home / "server.json")["token"])
        house.close()


@pytest.fixture
def as_user(house_app: Any) -> Callable[..., TestClient]:
    """`as_user("ann")` asks as a browser of hers would; `as_user()` as a stranger."""

    def make(name: str | None = None, **headers: str) -> TestClient:
        cookies = {"sid": house_app.sid[name]} if name else {}
        own = {"origin": BASE, **headers}
        return TestClient(house_app.app, BASE, headers=own, cookies=cookies, follow_redirects=False)

    return make
