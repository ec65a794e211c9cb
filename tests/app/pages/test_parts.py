"""What users wrote stays text, for HTML and for the template language of the component."""

import pytest

from workbench.app.pages import parts

HOSTILE = "<img src=x onerror=alert(1)> \"' {{value}} ${value}"
MADE = [parts.line, parts.heading, lambda text: parts.link(text, text), lambda text: parts.figures({text: text}),
        lambda text: parts.table([text], [[text]]), lambda text: parts.exhibit(text, [text])]  # fmt: skip


@pytest.mark.rule("S17")
@pytest.mark.parametrize("make", MADE)
def test_nothing_of_a_text_is_markup(make) -> None:
    made = make(HOSTILE)
    assert not any(piece in made for piece in ("<img", "{", "}", "$", "\"'"))
    assert "&lt;img src=x onerror=alert(1)&gt;" in made


def test_what_was_made_here_is_not_escaped_twice() -> None:
    assert parts.link("a & b", "/x") in parts.table(["next"], [[parts.link("a & b", "/x")]])
