"""The gate: plain ASGI in front of everything. Who is not let through here never reaches a route or Gradio.

Default deny: own origin, known host, a session, an address on the list, a body within limits, one's own stream, a page
of one's role; then the headers of every answer. Leaves out what a handler may do (`roles`).
"""

import asyncio
import ipaddress
import json
import re
import secrets
import socket
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from workbench.app import words
from workbench.app.accounts import LOCAL, Accounts
from workbench.app.dress import Headed, dressed
from workbench.app.front import cookies
from workbench.app.roles import may

PUBLIC = {(method, path) for method in ("GET", "POST") for path in ("/login", "/welcome")} | {("GET", "/healthz")}
PUBLIC |= {("GET", f"/assets/public/{name}") for name in ("sign.css", "sign.js", "wait.js", "icon.svg")}
PAGE = re.compile(r"/app(?:/(\w+))?/?")
OPEN = {
    "GET": re.compile(
        r"/|/password|/tokens|/app/((assets|static)/[\w./-]+|theme\.css)|/favicon\.ico|/(assets|api)/[\w./-]+"
        r"|/app/gradio_api/(queue/data|app_id|upload_progress|heartbeat/\w+)"
    ),
    "POST": re.compile(
        r"/app/gradio_api/(queue/join|upload|cancel|reset)|/api/[\w/-]+|/logout|/password|/tokens(/revoke)?"
    ),
}
UPLOAD = "/app/gradio_api/upload"
TRICK = re.compile(r"\.\.|//")
STREAM = re.compile(r"/app/gradio_api/(queue/data|heartbeat)\b")
JOIN = "/app/gradio_api/queue/join"
LAST_WORD = b'data: {"msg":"close_stream"'
ITEMS = re.compile(r"/api/v1/projects/\d+/items")
FORMS = {"/login", "/welcome", "/password", "/logout", "/tokens", "/tokens/revoke"}
IN_PERSON = FORMS | {f"/api/do/{act}" for act in ("token_add", "user_add", "user_reset")}  # no token makes a way in
LIMITS = {**dict.fromkeys(FORMS, 10_000), UPLOAD: 200 << 20}
JSON_BYTES, ITEMS_BYTES = 1_000_000, 8_000_000
OWNERS = 20_000
STREAMS = 8
STILL_WELCOME = 10.0
FAREWELL = 5.0


class Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why


class Visit:
    """What the gate looks at in a request."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.scope, self.method, self.path = scope, scope["method"], scope["path"]
        self.headers = {k.decode("latin1").lower(): v.decode("latin1") for k, v in scope["headers"]}
        self.cookies = cookies(self.headers)
        self.host = self.headers.get("host", "")

    @property
    def bearer(self) -> str | None:
        """A token, unless the request comes with cookies: then it comes from a browser."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind == "Bearer" and "cookie" not in self.headers else None

    @property
    def foreign(self) -> bool:
        """It would change something, and a page of somebody else's may have sent it."""
        if self.method in ("GET", "HEAD") or self.bearer is not None:
            return False
        return self.headers.get("origin") != f"{self.scope['scheme']}://{self.host}"

    @property
    def page(self) -> bool:
        return self.method == "GET" and (self.path in ("/", "/password", "/tokens") or bool(PAGE.fullmatch(self.path)))

    @property
    def hashes(self) -> set[str]:
        """The Gradio sessions that query and path name."""
        query = parse_qsl(self.scope["query_string"].decode("latin1"))
        named = {value for key, value in query if key == "session_hash"}
        return named | ({self.path.rsplit("/", 1)[1]} if "/heartbeat/" in self.path else set())


class Gate:
    """`key` is the token of server.json; `pages` the role of each page; `closing` is set when the server stops."""

    def __init__(
        self, app: Any, *, accounts: Accounts, key: str, pages: Mapping[str, str], host: str, closing: asyncio.Event
    ) -> None:
        self.app, self.accounts, self.key, self.pages, self.closing = app, accounts, key, pages, closing
        self.hosts = hosts_of(host)
        self.owners: OrderedDict[str, str] = OrderedDict()
        self.streams: Counter[tuple[str, str]] = Counter()
        self.ended: dict[str, asyncio.Event] = {}  # streams whose last word the browser may not have read, by session

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        visit = Visit(scope)
        out = dressed(visit.path, send)
        try:
            user = self.admit(visit)
            receive, sessions = await self.read(visit, receive)
            self.claim(sessions, user)
        except Refused as refused:
            return await refusal(visit, refused)(scope, receive, out)
        scope.setdefault("state", {})["user"] = user
        if STREAM.match(visit.path):
            return await self.stream(visit, user, receive, Lasting(out, self.ended, sessions))
        if visit.path == JOIN:
            out = self.after_farewells(out, sessions)
        if self.page_of(visit) is not None:
            out = Headed(out)
        return await self.app(scope, receive, out)

    def admit(self, visit: Visit) -> str | None:
        """The user who may go on; None where anybody may."""
        if not self.known(visit.host):
            raise Refused(400, "host")
        if visit.foreign:
            raise Refused(403, "origin")
        if (visit.method, visit.path) in PUBLIC:
            return None
        user = self.user_of(visit)
        if user is None:
            raise Refused(303 if visit.page else 401, "sign_in")
        page = self.page_of(visit)
        listed = visit.method in OPEN and OPEN[visit.method].fullmatch(visit.path)
        if (page is None and not listed) or TRICK.search(visit.path):
            raise Refused(404, "no_page")
        if visit.bearer is not None and user != LOCAL and visit.path in IN_PERSON:
            raise Refused(403, "in_person")
        needed = "lead" if visit.path == UPLOAD else self.pages.get(page)
        if needed and not may(self.accounts, user, needed):
            raise Refused(403, "not_for_you")
        return user

    def page_of(self, visit: Visit) -> str | None:
        """The name of the page that is asked for: only ours, for Gradio has others at such addresses."""
        page = PAGE.fullmatch(visit.path) if visit.method == "GET" else None
        return (page[1] or "") if page and (page[1] or "") in self.pages else None

    def user_of(self, visit: Visit) -> str | None:
        if visit.bearer is not None:
            local = secrets.compare_digest(visit.bearer.encode(), self.key.encode())
            return LOCAL if local else self.accounts.user_of_bearer(visit.bearer)
        return self.accounts.user_of(visit.cookies.get("sid", ""))

    def known(self, host: str) -> bool:
        """Only names that are ours: another name that leads here is a trick with DNS. An address is no name."""
        name = re.sub(r":\d+$", "", host).strip("[]").lower()
        return name in self.hosts or ("*" in self.hosts and is_address(name))

    async def read(self, visit: Visit, receive: Any) -> tuple[Any, set[str]]:
        """Bodies within their limits. Returns the way to read the body again, and the Gradio sessions it names."""
        if visit.method in ("GET", "HEAD"):
            return receive, visit.hashes
        limit = limit_of(visit.path)
        length = visit.headers.get("content-length", "0")
        if "transfer-encoding" in visit.headers or not length.isdigit():
            raise Refused(411, "length")
        if int(length) > limit:
            raise Refused(413, "too_large")
        if limit != JSON_BYTES:
            return receive, visit.hashes
        body = await whole(receive)
        try:
            sent = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            raise Refused(400, "not_json") from None
        named = sent.get("session_hash") if isinstance(sent, dict) else None
        return again(body, receive), visit.hashes | ({str(named)} if named else set())

    def claim(self, hashes: set[str], user: str | None) -> None:
        """A Gradio session belongs to the first user who names it. A page names one; nobody needs more."""
        if user is None:
            return
        if len(hashes) > 2:
            raise Refused(403, "not_your_session")
        for known in hashes:
            if self.owners.setdefault(known, user) != user:
                raise Refused(403, "not_your_session")
            self.owners.move_to_end(known)
        while len(self.owners) > OWNERS:
            self.owners.popitem(last=False)

    async def stream(self, visit: Visit, user: str, receive: Any, out: "Lasting") -> None:
        """A few per user; ends when the server stops, or soon after the user may no longer be here."""
        kind = (user, STREAM.match(visit.path)[1])
        if self.streams[kind] >= STREAMS:
            return await refusal(visit, Refused(429, "streams"))(visit.scope, receive, out.send)
        self.streams[kind] += 1
        flow = asyncio.ensure_future(self.app(visit.scope, receive, out))
        ending = asyncio.ensure_future(self.closing.wait())
        try:
            while not flow.done() and not ending.done() and self.user_of(visit) == user:
                await asyncio.wait({flow, ending}, timeout=STILL_WELCOME, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.streams[kind] -= 1
            flow.cancel()
            ending.cancel()
            await asyncio.gather(flow, ending, return_exceptions=True)
        return await out.farewell(receive)

    def after_farewells(self, send: Any, sessions: set[str]) -> Any:
        """`send` that waits until the browser has left the ended streams of these sessions (see `Lasting`)."""

        async def out(message: Any) -> None:
            for session in sessions & self.ended.keys():
                await self.ended[session].wait()
            await send(message)

        return out


class Lasting:
    """Sends a stream of Gradio's, and after its last word keeps the line until the browser has put down its end.

    Gradio's client takes a stream for open until it has read `close_stream`. Told before that its next event was
    accepted, it would wait for the answer on the closed stream, for ever; `ended` says whom not to tell yet.
    """

    def __init__(self, send: Any, ended: dict[str, asyncio.Event], sessions: set[str]) -> None:
        self.send, self.ended, self.sessions = send, ended, sessions
        self.started, self.left = False, None

    async def __call__(self, message: Any) -> None:
        self.started = True
        if message.get("body", b"").startswith(LAST_WORD):
            self.left = asyncio.Event()
            self.ended.update(dict.fromkeys(self.sessions, self.left))
        await self.send(message | {"more_body": True} if "body" in message else message)

    async def farewell(self, receive: Any) -> None:
        if self.left:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    while (await receive())["type"] != "http.disconnect":
                        pass
            self.left.set()
            for session in self.sessions:
                self.ended.pop(session, None)
        if self.started:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})


def limit_of(path: str) -> int:
    """The most bytes a body may have. Items are read as a whole: more at once would make labellers wait."""
    return LIMITS.get(path, ITEMS_BYTES if ITEMS.fullmatch(path) else JSON_BYTES)


def hosts_of(host: str) -> set[str]:
    """The names we answer to; `*` stands for any address, where we listen to more than ourselves."""
    own = {"localhost", "127.0.0.1", "::1"}
    if host in own:
        return own
    return own | {"*", host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}


def is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def refusal(visit: Visit, refused: Refused) -> Response:
    """People get a page, programs get JSON."""
    lang = words.lang_of(visit)
    if refused.status == 303:
        return RedirectResponse("/login", 303)
    text = words.say(lang, f"errors.{refused.why}")
    if visit.method == "GET" and "text/html" in visit.headers.get("accept", ""):
        return HTMLResponse(words.page("refused", lang, visit.cookies.get("theme", "auto"), text=text), refused.status)
    return JSONResponse({"error": text, "code": refused.why}, refused.status)


async def whole(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    return body


def again(body: bytes, receive: Any) -> Any:
    """A `receive` that gives `body` once more, then goes on as before."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return parts.pop() if parts else await receive()

    return replay
