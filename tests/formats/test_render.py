"""What render_markdown lets through, what it shows, and how long it may take."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.formats import render
from workbench.formats.render import render_markdown, rendered, rendered_by_child
from workbench.schema import Candidate, Message, make_item

pytestmark = pytest.mark.rule("S17")
ALLOWED = re.compile(r"</?([a-z0-9]+)")


@pytest.mark.parametrize(
    "text",
    ["", "plain", "two\n\nparagraphs\nand lines", "$5 and $10", "a & b", "1 < 2 > 0", "snake_case_name", "<b>raw</b>"],
)
def test_text_without_markup_has_no_html(text):
    assert render_markdown(text) is None


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a **b** *c* `d`", "<p>a <strong>b</strong> <em>c</em> <code>d</code></p>"),
        ("one\ntwo *x*", "<p>one<br>\ntwo <em>x</em></p>"),
        ("# T\n\n- a\n- b", "<h1>T</h1>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("~~x~~", "<p><s>x</s></p>"),
        ("```\n<b>&\n```", '<pre class="code"><code>&lt;b&gt;&amp;\n</code></pre>'),
        ("```python\nx = 1\n```", '<span class="n">x</span>'),
        ("$a^2$", '<math display="inline"><mrow><msup><mi>a</mi><mn>2</mn></msup></mrow></math>'),
        ("\\(x\\) costs $5", "</math> costs $5"),
        ("\\[\nx\n- y\n\\]", '<math display="block">'),
        ("so $$x$$ it is", '<math display="block">'),
        ("it is $5 and *not* $10", "it is $5 and <em>not</em> $10"),
        ("| a |\n|---|\n| 1 |", "<td>1</td>"),
        ("[a](https://x.y)", 'rel="noopener noreferrer nofollow">a</a> <span class="address">https://x.y</span>'),
        (
            "<https://x.y>",
            '<p><a href="https://x.y" target="_blank" rel="noopener noreferrer nofollow">https://x.y</a></p>',
        ),
        ("![cat](https://x.y/c.png)", "[image: cat, https://x.y/c.png]"),
    ],
)
def test_markup_is_shown(text, html):
    assert html in render_markdown(text)


@pytest.mark.parametrize(
    "text",
    [
        "*x* <script>alert(1)</script>",
        "*x* <img src=x onerror=alert(1)>",
        "[x](javascript:alert(1)) *x*",
        "[x](JaVaScRiPt:alert(1)) *x*",
        "[x](data:text/html;base64,PHNjcmlwdD4=) *x*",
        '[x](https://a.b "t" onmouseover=alert(1)) *x*',
        "![x](javascript:alert(1))",
        "![x](https://a.b/t.png)",
        "$\\href{javascript:alert(1)}{x}$",
        "$\\text{</math><script>alert(1)</script>}$",
        "$$\\style{background:url(//a.b)}{x}$$",
        '```"><script>alert(1)</script>\nx\n```',
        "*x* <svg onload=alert(1)> <iframe src=//a.b> <form><input>",
        "&lt;script&gt; *x* &#x3c;script&#x3e;",
        "*x* <math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    ],
)
def test_nothing_can_run_load_or_ask(text):
    html = render_markdown(text) or ""
    assert set(ALLOWED.findall(html)) <= render.TAGS
    tags = "".join(re.findall(r"<[^>]*>", html)).lower()
    assert not re.search(r"\son\w+=|javascript:|data:|src=|style=|url\(", tags)


@given(st.text("<>/&\"'`*_[]()!$\\#|-:= \nabcjsx1", max_size=200))
def test_any_text_gives_only_allowed_tags(text):
    html = render_markdown(text) or ""
    assert set(ALLOWED.findall(html)) <= render.TAGS


def test_a_text_that_takes_too_long_is_shown_plain(monkeypatch):
    monkeypatch.setattr(render, "SECONDS", 0.2)
    monkeypatch.setattr(render, "_formula", lambda *_: re.match(r"(a+)+$", "a" * 40 + "!"))
    start = time.monotonic()
    assert render_markdown("$x$") is None
    assert time.monotonic() - start < 2


def test_deep_nesting_is_shown_plain_or_whole():
    for text in (">" * 5000, "[" * 5000, "*a " * 5000, "$" + "{" * 3000 + "}" * 3000 + "$", "- " * 2000):
        render_markdown(text)


def test_items_keep_their_texts_and_get_html():
    item = make_item(
        1,
        (Message("user", "*q*"),),
        (Candidate((Message("assistant", "a"),)), Candidate((Message("assistant", "**b**"),))),
    )
    shown = rendered(item)
    assert shown.key == item.key
    assert shown.prompt[0].html == "<p><em>q</em></p>\n"
    assert {c.messages[0].content: c.messages[0].html for c in shown.candidates} == {
        "a": None,
        "**b**": "<p><strong>b</strong></p>\n",
    }
    assert rendered_by_child([item]) == [shown]
