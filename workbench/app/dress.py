"""What every answer wears: security headers, how long a browser may keep it, and our lines in the head of a page.

Leaves out who gets an answer at all (`gate`).
"""

import hashlib
from typing import Any

from workbench.app import words
from workbench.app.front import SAFE, STRICT

VERSION = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(words.HERE.glob("assets/*.*")))).hexdigest()[:12]
APP = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEAD = (
    b'<head><script src="/assets/lang.js"></script><link rel="icon" href="/assets/public/icon.svg">'
    b'<link rel="stylesheet" href="/assets/style.css"><script type="module" src="/assets/shell.js"></script>'
)


class Headed:
    """Sends a page of Gradio's with our first lines in its head."""

    def __init__(self, send: Any) -> None:
        self.send, self.start, self.body = send, None, b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        self.body += message.get("body", b"")
        if message["type"] != "http.response.body" or message.get("more_body"):
            return
        body = self.body.replace(b"<head>", HEAD, 1)
        kept = [h for h in self.start["headers"] if h[0].lower() != b"content-length"]
        await self.send({**self.start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await self.send({"type": "http.response.body", "body": body})


def dressed(path: str, send: Any) -> Any:
    """`send` with the security headers on every answer, and never a CORS header."""
    headers = {**SAFE, "content-security-policy": APP if path.startswith("/app") else STRICT}

    async def out(message: Any) -> None:
        if message["type"] == "http.response.start":
            own = headers | {"cache-control": kept_for(path, message["status"])}
            theirs = (h for h in message["headers"] if h[0].decode("latin1").lower() not in own)
            kept = [h for h in theirs if not h[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept + [(k.encode(), v.encode()) for k, v in own.items()]}
        await send(message)

    return out


def kept_for(path: str, status: int) -> str:
    """How long a browser keeps it: for good what is named after its content: Gradio's files, `VERSION` of ours."""
    if path.startswith(("/app/assets/", f"/assets/{VERSION}/")) and status == 200:
        return "private, max-age=31536000, immutable"
    return "no-cache" if path.startswith(("/assets/", "/app/assets/", "/app/static/")) else "no-store"
