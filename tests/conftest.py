"""What every room's tests share: a home, the real server in a process of its own, a real browser."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("patient")
PASSWORD = "correct horse battery"
SERVE = [sys.executable, "-m", "workbench.cli", "serve"]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

STANDS = """() => document.querySelector("gradio-app main")?.innerText.trim()
  && !document.querySelector("gradio-app .wrap.full:not(.hide), gradio-app .wrap.translucent:not(.hide)")"""
LEAVING = ("AbortError: signal is aborted without reason", "Unexpected error Connection errored out")


@dataclass
class Server:
    """A running server. `link` is what it printed for the first admin, None when there is one already."""

    home: Path
    process: subprocess.Popen[str]
    base: str
    link: str | None
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def client(self, **headers: str) -> httpx.Client:
        """A stranger's client, as a browser would ask."""
        return httpx.Client(base_url=self.base, headers={"origin": self.base, **headers}, timeout=30)

    def welcome(self, name: str, link: str) -> httpx.Client:
        """A client signed in by a link that sets a password."""
        client = self.client()
        sent = {"token": link.partition("#")[2], "name": name, "password": PASSWORD}
        answer = client.post("/welcome", data=sent)
        assert answer.status_code == 200, answer.text
        self.clients[name] = client
        return client

    def user(self, name: str, role: str = "annotator") -> httpx.Client:
        """The signed-in client of a user, who is made when there is none of that name."""
        if name not in self.clients:
            self.welcome(name, self.do("user_add", name=name, role=role)["link"])
        return self.clients[name]

    def do(self, action: str, **values: Any) -> dict[str, Any]:
        """An act, as the command line does it: with the token of server.json."""
        token = json.loads((self.home / "server.json").read_text())["token"]
        head = {"authorization": f"Bearer {token}"}
        answer = httpx.post(f"{self.base}/api/do/{action}", json=values, headers=head, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def launch(home: Path, *args: str) -> Server:
    command = [*SERVE, "--home", str(home), "--port", "0", *args]
    env = {**os.environ, "WORKBENCH_TESTING": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    ready = process.stdout.readline()
    assert "ready" in ready, f"the server said {ready!r} and ended with {process.wait(60)}"
    server = Server(home, process, re.search(r"http\S+", ready)[0], None)
    if not any(user["role"] == "admin" and not user["pending"] for user in server.do("users")["users"]):
        server.link = re.search(r"http\S+", process.stdout.readline())[0]
    return server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """`start_server(home, *flags)`: a server of its own, stopped after the test."""
    started: list[Server] = []

    def start(home: Path, *args: str) -> Server:
        started.append(launch(home, *args))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as they found it: an admin `ada` and an empty project."""
    server = launch(tmp_path_factory.mktemp("server") / "home")
    server.welcome("ada", server.link)
    server.do("project_create", name="First")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM if Path(CHROMIUM).exists() else None, args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Faults:
    """What no page may do: ask another host, or write an error on the console."""

    base: str
    seen: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", lambda m: self.said(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.seen.append(f"page: {error}"))
        page.on("request", lambda request: self.asked(request.url))

    def said(self, text: str) -> None:
        """Gradio complains about its own streams when somebody leaves a page; that alone is no fault."""
        if not text.startswith(LEAVING):
            self.seen.append(f"console: {text}")

    def asked(self, url: str) -> None:
        if not url.startswith((f"{self.base}/", "data:", "blob:")):
            self.seen.append(f"foreign: {url}")


@pytest.fixture
def new_context(browser: Any) -> Iterator[Callable[..., Any]]:
    """`new_context(server, "ada", **options)`: a browser profile signed in as a user, or as nobody.

    Its pages are watched; `context.faults.seen` must be empty when the test ends.
    """
    opened: list[Any] = []

    def make(server: Server, user: str | None = None, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options})
        context.set_default_timeout(15_000)
        if user:
            sid = server.user(user).cookies["sid"]
            context.add_cookies([{"name": "sid", "value": sid, "url": server.base}])
        context.faults = Faults(server.base)
        context.on("page", context.faults.watch)
        opened.append(context)
        return context

    yield make
    seen = [fault for context in opened for fault in context.faults.seen]
    for context in opened:
        context.close()
    assert seen == []


@pytest.fixture
def context(new_context: Callable[..., Any], server: Server) -> Any:
    return new_context(server, "ada")


@pytest.fixture
def page(context: Any) -> Any:
    return context.new_page()


@pytest.fixture
def open_page(server: Server) -> Callable[..., Any]:
    """`open_page(page, "/app/data")`: go there and wait until the top bar stands and Gradio loads nothing more."""

    def go(page: Any, path: str, base: str = server.base) -> Any:
        page.goto(base + path)
        page.locator("#bar nav").wait_for(state="attached")
        page.wait_for_function(STANDS)
        return page

    return go


@pytest.fixture
def shot() -> Callable[[Any, str], None]:
    """`shot(page, "train-dark")`: a picture for people, when WORKBENCH_SHOTS names a folder."""
    folder = os.environ.get("WORKBENCH_SHOTS")

    def take(page: Any, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{folder}/{name}.png")

    return take


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Published preference data, where somebody put some: beside the checkout, or where WORKBENCH_REALDATA says."""
    folder = Path(os.environ.get("WORKBENCH_REALDATA", Path(__file__).resolve().parents[2] / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"no real files at {folder}; set WORKBENCH_REALDATA")
    return folder
