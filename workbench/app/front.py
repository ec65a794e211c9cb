"""The front door: a port that answers at once, and the whole app behind it as soon as it is built.

Only uvicorn and the standard library are imported before the first page; Gradio comes in the background. Leaves out
the app itself (`main`).
"""

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from workbench.app import words
from workbench.errors import HomeInUse, HomeUnusable, PortInUse, UsageError, WorkbenchError
from workbench.settings import Settings

EARLY = {f"/assets/public/{path.name}": path for path in (words.HERE / "assets" / "public").iterdir()}
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
STRICT = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin", "cache-control": "no-store"}
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def serve(settings: Settings) -> int:
    """Serve the home until a signal ends it; returns the exit code, or raises what kept the app from standing."""
    sock = bind(settings)
    settings = settings.model_copy(update={"port": sock.getsockname()[1]})
    front = Front(settings)
    front.server = Server(
        uvicorn.Config(
            front,
            lifespan="on",
            ws="none",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: None)  # uvicorn raises what it caught again after a clean stop
    front.server.run(sockets=[sock])
    gc.unfreeze()
    if front.failure:
        raise front.failure
    return 0


def bind(settings: Settings) -> socket.socket:
    """The listening socket. A busy port is ours already (`HomeInUse`) or somebody else's (`PortInUse`)."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves 40 ms between two writes
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise refusal(settings, error) from None
    return sock


def refusal(settings: Settings, error: OSError) -> WorkbenchError:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EACCES:
        return HomeUnusable(f"{where}: this user may not listen there; choose a --port above 1023")
    if error.errno != errno.EADDRINUSE:
        return UsageError(f"cannot listen on {where}: {error.strerror}; choose another --host or --port")
    try:
        holder = json.loads((settings.home / "server.json").read_text())
        os.kill(holder["pid"], 0)
    except (OSError, ValueError, KeyError):
        holder = {}
    if holder.get("url") == settings.url:
        return HomeInUse(f"home {settings.home} is open in process {holder['pid']} already: {holder['url']}")
    return PortInUse(f"port {where} is in use by another program: choose another --port")


class Server(uvicorn.Server):
    """uvicorn, with streams told to end on the first signal, and no waiting at all on the second."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self.should_exit:
            os._exit(1)
        super().handle_exit(sig, frame)
        self.config.app.leave()


class Front:
    """The ASGI app: a waiting page while the real one is being built, then the real one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.failure: Exception | None = None
        self.server: uvicorn.Server | None = None
        self.app: Any = None
        self.context: Any = None
        self.built, self.over = threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        elif self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self.wait(scope, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def live(self, receive: Any, send: Any) -> None:
        """Build when the loop has started; when it ends, close what was built, and never while it is half open."""
        await receive()
        keeper = threading.Thread(target=self.keep, args=[asyncio.get_running_loop()], daemon=True)
        keeper.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.built.wait)
        if self.context:
            await self.context.__aexit__(None, None, None)
        self.over.set()
        await asyncio.to_thread(keeper.join)
        await send({"type": "lifespan.shutdown.complete"})

    def keep(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: everything slow, and the house from its opening to its closing, for its lock is the thread's.

        A failure ends the server, which raises it.
        """
        try:
            gc.disable()
            silence(self.settings.home)
            from workbench.app import main

            app = main.build(self.settings)
            try:
                asyncio.run_coroutine_threadsafe(self.swap(app), loop).result()
                print(main.greeting(app), flush=True)
                self.built.set()
                self.over.wait()
            finally:
                app.state.house.close()
        except Exception as error:
            self.failure, self.server.should_exit = error, True
        finally:
            self.built.set()

    async def swap(self, app: Any) -> None:
        self.context = app.router.lifespan_context(app)
        await self.context.__aenter__()
        self.app = app
        gc.enable()
        gc.collect()
        gc.freeze()

    def leave(self) -> None:
        """End the streams that browsers hold open: nobody waits for them."""
        if self.app is not None:
            self.app.state.closing.set()

    async def wait(self, scope: Any, send: Any) -> None:
        """A page for people, 503 for programs: nothing here may be taken for an answer of the app."""
        head = {k.decode(): v.decode("latin1") for k, v in scope["headers"]}
        early = EARLY.get(scope["path"])
        if early and scope["method"] == "GET":
            await answer(send, 200, TYPES[early.suffix], early.read_bytes())
        elif scope["method"] == "GET" and "text/html" in head.get("accept", ""):
            chosen = cookies(head)
            lang = words.choose(chosen.get("lang"), head.get("accept-language"))
            page = words.page("wait", lang, chosen.get("theme", "auto"))
            await answer(send, 200, "text/html", page.encode())
        else:
            await answer(send, 503, "application/json", b'{"ready": false}')


def cookies(head: Mapping[str, str]) -> dict[str, str]:
    """The cookies of a request, by name."""
    pairs = (part.strip().partition("=") for part in head.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs}


async def answer(send: Any, status: int, kind: str, body: bytes) -> None:
    head = {**SAFE, "content-security-policy": STRICT, "content-type": f"{kind}; charset=utf-8"}
    head["content-length"] = str(len(body))
    pairs = [(k.encode(), v.encode()) for k, v in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def silence(home: Path) -> None:
    """Before Gradio is imported: no telemetry, no look-ups, temporary files at home, no word on what we never asked."""
    warnings.filterwarnings("ignore", "SSR mode is not supported")
    os.environ.update(QUIET, GRADIO_TEMP_DIR=str(home / "tmp" / "gradio"))
