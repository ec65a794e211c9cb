"""The app as it is put together: light to import, silent, and with a way in for the first admin."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.app.accounts import Accounts
from workbench.app.routes.shell import PAGES
from workbench.errors import UsageError
from workbench.settings import Settings, own_address
from workbench.store.db import Store

HEAVY = "torch transformers peft datasets trl accelerate"


def test_the_server_imports_no_model_library(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from workbench.app import front
from workbench.settings import Settings, own_address
front.silence(Path(sys.argv[1]))
from workbench.app import main
app = main.build(Settings(home=Path(sys.argv[1])))
app.state.house.close()
print([n for n in sys.argv[2:] if n in sys.modules])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "home"), *HEAVY.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_opens(as_user: Any, page: Any) -> None:
    answer = as_user("ada", accept="text/html").get(f"/app/{page.route}")
    assert answer.status_code == 200
    assert "window.gradio_config" in answer.text


@pytest.mark.rule("S09")
def test_no_sharing_and_no_oauth(house_app: Any) -> None:
    demo = next(route.app.blocks for route in house_app.app.routes if getattr(route, "path", "") == "/app")
    assert not demo.expects_oauth
    assert not demo.share
    assert demo.allowed_paths == []
    assert demo.analytics_enabled is False


@pytest.mark.rule("S14")
def test_the_network_is_refused_while_nobody_rules(tmp_path: Path) -> None:
    from workbench.app import main

    home = tmp_path / "home"
    with pytest.raises(UsageError, match="nobody can sign in") as refused:
        main.build(Settings(home=home, host="0.0.0.0"))
    assert refused.value.exit_code == 2
    with Store.open(home) as store:
        accounts = Accounts(store)
        accounts.welcome(accounts.first_link(), "ada", "correct horse battery")
    app = main.build(Settings(home=home, host="0.0.0.0"))
    ready, others = main.greeting(app).split("\n")
    assert ready == "Preference Workbench is ready: http://127.0.0.1:7860"
    assert others == f"Others find it at: http://{own_address()}:7860"
    app.state.house.close()
