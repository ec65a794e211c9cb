"""The process from outside: how it starts, what it says while it starts, how it ends."""

import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from workbench.app.front import bind
from workbench.jobs.folder import read_json
from workbench.settings import Settings
from workbench.store.db import Store

COMMAND = [sys.executable, "-m", "workbench.cli", "serve"]
HTML = {"accept": "text/html"}


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


@pytest.fixture
def starting(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that was started just now: process and address."""
    port = free_port()
    process = subprocess.Popen([*COMMAND, "--home", str(home), "--port", str(port)], stdout=subprocess.PIPE, text=True)
    yield process, f"http://127.0.0.1:{port}"
    if process.poll() is None:
        process.kill()
        process.wait()


def first_answer(base: str, path: str, **headers: str) -> httpx.Response:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return httpx.get(base + path, headers=headers, timeout=60)
        except httpx.ConnectError:
            time.sleep(0.01)
    raise AssertionError("no answer")


def worked(process: subprocess.Popen[str]) -> float:
    """Seconds of work so far: unlike the clock, it does not depend on what else the machine does."""
    spent = psutil.Process(process.pid).cpu_times()
    return spent.user + spent.system


def test_the_waiting_page_comes_first_and_programs_are_told_to_wait(starting: Any) -> None:
    process, base = starting
    page = first_answer(base, "/app/label", **HTML)
    assert worked(process) < 2  # on an idle machine 0.3 s, and so long it takes
    assert page.status_code == 200
    assert "wait.js" in page.text
    assert "script-src" not in page.headers["content-security-policy"]  # nothing but 'self'
    assert httpx.get(f"{base}/assets/public/wait.js").status_code == 200
    for answer in (httpx.get(f"{base}/healthz"), httpx.post(f"{base}/api/label/submit", json={})):
        assert (answer.status_code, answer.json()) == (503, {"ready": False})
    assert "ready" in process.stdout.readline()
    assert worked(process) < 12  # on an idle machine 3 s
    assert httpx.get(f"{base}/healthz").json() == {"ready": True}


def test_only_uvicorn_and_our_own_words_are_imported_before_the_first_page() -> None:
    code = "import sys, workbench.app.front; print([n for n in sys.argv[1:] if n in sys.modules])"
    names = ["gradio", "fastapi", "starlette", "duckdb", "pandas", "numpy", "httpx"]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.rule("R14")
def test_a_signal_while_it_starts_stops_it_cleanly(starting: Any, home: Path) -> None:
    process, base = starting
    first_answer(base, "/healthz")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert (home / "clean.json").exists()
    assert not (home / "server.json").exists()


@pytest.mark.rule("R14")
def test_a_second_signal_ends_it_at_once(starting: Any) -> None:
    process, base = starting
    first_answer(base, "/healthz")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 1


@pytest.mark.rule("S14")
@pytest.mark.rule("S36")
def test_from_the_first_link_over_a_restart(start_server: Callable[..., Any], home: Path) -> None:
    server = start_server(home)
    assert re.fullmatch(rf"{server.base}/welcome#[\w-]{{43}}", server.link)
    kept = home / "server.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert read_json(kept)["url"] == server.base
    client = server.welcome("ada", server.link)
    with client.stream("GET", "/app/gradio_api/heartbeat/mine") as beat:
        assert beat.status_code == 200
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 9  # a stream that is not ended would hold it for 10 s
    assert (home / "clean.json").exists()
    assert not kept.exists()
    again = start_server(home)
    assert again.link is None
    assert again.client(cookie=f"sid={client.cookies['sid']}").get("/api/shell").json()["user"] == "ada"


def run(*args: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=60)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return done.returncode, lines[0]


@pytest.mark.rule("R6")
def test_a_second_server_of_the_home_exits_3(server: Any, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(server.home)
    for home in (server.home, link):
        code, said = run("--home", str(home), "--port", "0")
        assert code == 3
        assert f"process {server.process.pid}" in said
        assert server.base in said
    port = server.base.rpartition(":")[2]
    assert run("--home", str(server.home), "--port", port)[0] == 3
    assert httpx.get(f"{server.base}/healthz").status_code == 200


@pytest.mark.rule("R7")
def test_a_busy_port_exits_4_and_touches_nothing(home: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        code, said = run("--home", str(home), "--port", str(port))
    assert (code, str(port) in said) == (4, True)
    assert not home.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_not_held_back_by_the_network(host: str) -> None:
    """asyncio sends small packets at once only where a socket says that it is TCP: 44 ms an answer, or 2."""
    with closing(bind(Settings(host=host, port=0))) as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_a_host_that_is_not_ours_exits_2(home: Path) -> None:
    assert run("--home", str(home), "--host", "203.0.113.9", "--port", "0")[0] == 2
    assert run("--home", str(home), "--host", "no.such.host.invalid", "--port", "0")[0] == 2


@pytest.mark.rule("R8")
def test_a_damaged_store_exits_5(home: Path) -> None:
    Store.open(home).close()
    (home / "workbench.duckdb").write_bytes(b"junk" * 4096)
    assert run("--home", str(home), "--port", "0")[0] == 5


@pytest.mark.rule("R27")
def test_a_home_that_cannot_be_exits_7(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = run("--home", str(tmp_path / "file" / "home"), "--port", "0")
    assert (code, str(tmp_path / "file") in said) == (7, True)
