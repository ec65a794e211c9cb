"""Markdown, code and formulas to clean HTML, for texts that strangers and models wrote. Leaves out where it is shown.

Runs in the child that brought the text in, never in the server: rendering is given two seconds and then left. The last
step is nh3 with an allow-list, so nothing here has to be trusted. Images are never loaded; links show where they lead.
"""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import nh3
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from workbench.jobs.process import surroundings
from workbench.schema import Item, Message

SECONDS = 2.0
CHILD_SECONDS = 600
LONGEST, CODE, FORMULA = 200_000, 8_000, 4_000
PLAIN = frozenset({"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "hardbreak"})
MARKUP = re.compile(r"[*_`#\[<>|~$\\&]|^ {0,3}(?:[-+=]|\d{1,9}[.)])|^(?: {4}|\t)", re.MULTILINE)
WEB = re.compile(r"https?://", re.IGNORECASE)
FENCES = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
MATH = (
    "math semantics mrow mi mo mn ms mtext mspace msup msub msubsup mfrac msqrt mroot mover munder munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts mprescripts"
)
LOOK = "mathvariant stretchy fence separator form lspace rspace minsize maxsize accent linethickness width height"
TEXT = "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote em strong s code pre span a table thead tbody tr th td"
TAGS = {*TEXT.split(), *MATH.split()}
ATTRIBUTES = {
    "a": {"href"},
    "ol": {"start"},
    "math": {"display"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    **{tag: set(LOOK.split()) for tag in ("mi", "mo", "mn", "mtext", "mspace", "mstyle", "mfrac", "mpadded", "mover")},
}
CLASSES = {"span": {name for name in STANDARD_TYPES.values() if name} | {"address"}, "pre": {"code"}}


class _TooSlow(BaseException):
    """The time is up; not an Exception, so that no library takes it for its own."""


def render_markdown(text: str) -> str | None:
    """Clean HTML, or None when the text has no markup (or takes too long) and is shown as it is."""
    if len(text) > LONGEST or not MARKUP.search(text):
        return None
    try:
        with _time_limit():
            tokens = MARKDOWN.parse(text)
            if _is_plain(tokens):
                return None
            return _clean(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))
    except (_TooSlow, RecursionError):
        return None


def rendered(item: Item) -> Item:
    """The item with the HTML of its texts. Tool calls and plain texts have none."""
    candidates = tuple(replace(c, messages=with_html(c.messages)) for c in item.candidates)
    return replace(item, prompt=with_html(item.prompt), candidates=candidates)


def with_html(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(replace(m, html=html) if (html := _remembered(m.content)) else m for m in messages)


def rendered_by_child(items: list[Item]) -> list[Item]:
    """The same for a server, which renders nothing itself: one short child for all items."""
    texts = list(dict.fromkeys(m.content for item in items for m in _messages(item)))
    command = [sys.executable, "-m", "workbench.formats.render"]
    given = {"input": json.dumps(texts).encode(), "capture_output": True, "env": surroundings()}
    try:
        rendered = json.loads(subprocess.run(command, check=True, timeout=CHILD_SECONDS, **given).stdout)
    except subprocess.SubprocessError:
        rendered = [None] * len(texts)  # then they are shown plain
    html = dict(zip(texts, rendered, strict=True))

    def put(messages: tuple[Message, ...]) -> tuple[Message, ...]:
        return tuple(replace(m, html=html[m.content]) for m in messages)

    return [
        replace(i, prompt=put(i.prompt), candidates=tuple(replace(c, messages=put(c.messages)) for c in i.candidates))
        for i in items
    ]


def _messages(item: Item) -> Iterator[Message]:
    yield from item.prompt
    for candidate in item.candidates:
        yield from candidate.messages


_remembered = lru_cache(32)(render_markdown)


@contextmanager
def _time_limit() -> Iterator[None]:
    """Two seconds. Regular expressions look for signals too, so an alarm ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_plain(tokens: list[Token]) -> bool:
    inner = (child for token in tokens for child in token.children or ())
    return all(t.type in PLAIN for t in tokens) and all(t.type in PLAIN for t in inner)


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        allowed_classes=CLASSES,
        clean_content_tags={"script", "style"},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


class _Renderer(RendererHTML):
    """How our few special tokens look."""

    def fence(self, tokens: list[Token], at: int, *_: Any) -> str:
        return f'<pre class="code"><code>{_highlighted(tokens[at].content, tokens[at].info)}</code></pre>\n'

    def code_block(self, tokens: list[Token], at: int, *_: Any) -> str:
        return f'<pre class="code"><code>{escapeHtml(tokens[at].content)}</code></pre>\n'

    def image(self, tokens: list[Token], at: int, *_: Any) -> str:
        source = str(tokens[at].attrs["src"])
        return escapeHtml(f"[image: {', '.join(filter(None, (tokens[at].content, source)))}]")

    def link_close(self, tokens: list[Token], at: int, *_: Any) -> str:
        """The address, unless the text of the link is the address."""
        start = next(i for i in range(at, -1, -1) if tokens[i].type == "link_open")
        address = str(tokens[start].attrs["href"])
        if "".join(t.content for t in tokens[start + 1 : at]) == address:
            return "</a>"
        return f'</a> <span class="address">{escapeHtml(address)}</span>'

    def math(self, tokens: list[Token], at: int, *_: Any) -> str:
        """MathML, or the source where the formula is not understood."""
        source, display = tokens[at].content, "block" if tokens[at].meta["display"] else "inline"
        try:
            return convert(source, display=display)
        except Exception:
            return f"<code>{escapeHtml(tokens[at].markup)}</code>"


def _highlighted(code: str, info: str) -> str:
    language = info.strip().split(maxsplit=1)[0] if info.strip() else ""
    if not language or len(code) > CODE:
        return escapeHtml(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escapeHtml(code)
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


def _formula(text: str, at: int, end: int) -> tuple[int, str, bool] | None:
    """(end, source, display) of a formula that starts here. A lone `$5 and $10` is money."""
    for left, right, display in FENCES:
        if not text.startswith(left, at):
            continue
        start = at + len(left)
        stop = text.find(right, start, min(end, start + FORMULA))
        while left == "$" and stop > 0 and (text[stop - 1].isspace() or text[stop + 1 : stop + 2].isdigit()):
            stop = text.find(right, stop + 1, min(end, start + FORMULA))
        source = text[start:stop]
        if stop < 0 or not source.strip() or (left == "$" and (source[0].isspace() or "\n\n" in source)):
            return None
        return stop + len(right), source, display
    return None


def _math_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = _formula(state.src, state.pos, state.posMax)
    if found is None:
        return False
    end, source, display = found
    if not silent:
        _put(state, source, display, state.src[state.pos : end])
    state.pos = end
    return True


def _math_block(state: StateBlock, line: int, last: int, silent: bool) -> bool:
    """`$$` or `\\[` at the start of a line: a formula of its own, whose lines are not lists or headings."""
    start = state.bMarks[line] + state.tShift[line]
    if state.is_code_block(line) or not state.src.startswith(("$$", "\\["), start):
        return False
    found = _formula(state.src, start, state.eMarks[last - 1])
    if found is None:
        return False
    end, source, display = found
    stop = next(i for i in range(line, last) if state.eMarks[i] >= end)
    if state.src[end : state.eMarks[stop]].strip():
        return False
    if not silent:
        state.line = stop + 1
        _put(state, source, display, state.src[start:end])
    return True


def _put(state: Any, source: str, display: bool, markup: str) -> None:
    token = state.push("math", "math", 0)
    token.content, token.markup, token.meta = source, markup, {"display": display}


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer)
    made.enable(["table", "strikethrough"])
    made.inline.ruler.before("escape", "math", _math_inline)
    made.block.ruler.before("fence", "math", _math_block, {"alt": ["paragraph", "blockquote", "list"]})
    made.validateLink = lambda url: bool(WEB.match(url))
    return made


MARKDOWN = _markdown()

if __name__ == "__main__":
    json.dump([render_markdown(text) for text in json.load(sys.stdin)], sys.stdout)
