"""What a browser holds of a view: candidates in a drawn order, and tokens that tell it nothing.

Leaves out who may see which item (`queue`).
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from workbench.errors import UsageError
from workbench.labelling import names
from workbench.schema import Item, Json, Message, canonical

TAG = 16
WIDTH = 320  # bytes of every view before it is sealed: its length must not tell gold from any other


class View(NamedTuple):
    """One showing of one item to one annotator; `order` is candidate indexes, left to right."""

    project: int
    axis: str
    task: str
    item: int
    annotator: str
    purpose: str
    policy: str
    order: tuple[int, ...]


class Views:
    """Draws side orders and seals views. The secret makes both unguessable and lets both survive a restart."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(f"views of {secret}".encode()).digest()

    def order(self, project: int, axis: str, item: int, annotator: str, candidates: int) -> tuple[int, ...]:
        """Candidate indexes sorted by SHA-256 of `project seed : axis : item : annotator : index`."""
        seed = hmac.digest(self._key, b"seed %d" % project, "sha256").hex()
        drawn = (hashlib.sha256(f"{seed}:{axis}:{item}:{annotator}:{i}".encode()).digest() for i in range(candidates))
        return tuple(i for _, i in sorted((digest, i) for i, digest in enumerate(drawn)))

    def lease(self, view: View) -> str:
        """The view as a token. Hidden, because its purpose must be: gold and repeats look like any item."""
        plain = canonical(list(view)).ljust(WIDTH)
        tag = hmac.digest(self._key, plain, "sha256")[:TAG]
        return urlsafe_b64encode(tag + self._hidden(tag, plain)).decode()

    def token(self, lease: str, order: tuple[int, ...]) -> str:
        """Binds the order that was painted to its lease."""
        return hmac.digest(self._key, f"{lease} {order}".encode(), "sha256")[:TAG].hex()

    def open(self, annotator: str, lease: str) -> View:
        """The view of a token this annotator was given; `UsageError` for any other."""
        try:
            sealed = urlsafe_b64decode(lease.encode())
            tag, plain = sealed[:TAG], self._hidden(sealed[:TAG], sealed[TAG:])
        except ValueError:
            raise UsageError("lease: not one of ours") from None
        if not hmac.compare_digest(tag, hmac.digest(self._key, plain, "sha256")[:TAG]):
            raise UsageError("lease: not one of ours")
        *fields, order = json.loads(plain)
        view = View(*fields, tuple(order))
        if view.annotator != annotator:
            raise UsageError("lease: given to somebody else")
        return view

    def check(self, lease: str, token: str, order: tuple[int, ...]) -> None:
        if not hmac.compare_digest(token.encode(), self.token(lease, order).encode()):
            raise UsageError("view: does not belong to this lease")

    def _hidden(self, tag: bytes, text: bytes) -> bytes:
        """Text and key stream, one upon the other: hides plain text, and brings it back."""
        stream = hashlib.shake_256(self._key + tag).digest(len(text))
        return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))


def shown(item: Item, order: tuple[int, ...], *, mask: bool = False) -> dict[str, Json]:
    """All of an item that an annotator may see: texts by position. No index, source or model name.

    With `mask`, names by which a model calls itself are covered in the answers.
    """
    return {
        "form": item.form,
        "lang": item.lang,
        "prompt": [turn(m) for m in item.prompt],
        "answers": [[turn(m, mask=mask) for m in item.candidates[i].messages] for i in order],
    }


def turn(message: Message, *, mask: bool = False) -> dict[str, Json]:
    """One message; `html` was cleaned when it came in, `calls` are the tools an assistant asked for."""
    calls = (message.extra or {}).get("tool_calls")
    text, html = message.content, message.html
    if mask:
        text, html = names.masked(text), html and names.masked_html(html)
    return {"role": message.role, "content": text, "html": html, "calls": calls}
