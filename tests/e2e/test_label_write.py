"""What annotators write on the Label page: better texts, reasons, drafts of both; and differences between texts."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import READY, Desk, no_barriers, row

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
DRAFTS = "() => Object.keys(localStorage).filter(k => k.startsWith('label.draft')).length"


def kept(desk: Desk, drafts: int) -> None:
    desk.page.wait_for_function(f"({DRAFTS})() === {drafts}")


def test_an_answer_is_made_better_and_the_choice_follows(
    sit: Callable[..., Desk], few: Callable[..., int], shot: Any
) -> None:
    desk = sit(few([row("How?", "Water it", "Water it"), row("When?", "In May", "In June")]))
    page, card = desk.page, desk.stage.locator(".answer[data-position='1']")
    text, save = page.get_by_role("textbox", name="Edit: Answer 2"), page.get_by_role("button", name="Save the better")
    before, original = desk.item, card.locator(".text").inner_text()
    page.wait_for_timeout(READY)
    page.keyboard.press("e")
    page.keyboard.press("2")
    expect(text).to_be_focused()
    expect(save).to_be_disabled()
    page.keyboard.press("End")
    page.keyboard.type(" 123")
    page.get_by_role("button", name="Reason").click()
    no_barriers(page)
    shot(page, "label-edit")
    page.get_by_role("button", name="tie").click()
    expect(page.locator(".notice")).to_contain_text("An edit is open")
    text.focus()
    page.keyboard.press("Escape")
    kept(desk, 1)
    desk.go()
    desk.watch()
    page.wait_for_timeout(READY)
    page.keyboard.press("e")
    page.keyboard.press("2")
    expect(text).to_have_value(f"{original} 123")
    text.evaluate(
        "e => e.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, isComposing: true }))"
    )
    expect(text).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(card).to_contain_text(f"{original} 123")
    expect(card.get_by_role("button", name="edited")).to_be_visible()
    kept(desk, 0)
    page.keyboard.press("d")
    expect(card.locator("ins")).to_have_text("123")
    page.keyboard.press("d")
    assert desk.item == before
    desk.press("6")
    desk.saved()
    edit, choice = desk.sent()
    assert (edit["kind"], edit["payload"]) == ("edit", {"candidate": 1, "text": f"{original} 123"})
    assert (choice["kind"], choice["payload"]) == ("pair", {"choice": 1, "strength": 3})
    assert desk.done()["mine"] == 1
    desk.press("z")
    expect(card).to_contain_text("123")
    page.keyboard.press("z")
    expect(card).not_to_contain_text("123")
    assert desk.item == before
    desk.press("x")
    desk.saved()
    assert (desk.done()["mine"], desk.done()["skipped"]) == (0, 1)
    assert [act["kind"] for act in desk.sent()][2:] == ["undo", "undo", "skip"]


def test_a_reason_goes_with_the_next_answer(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few([row(f"question {i}", "a", "b") for i in range(4)]))
    page, before = desk.page, desk.item
    desk.watch()
    page.wait_for_timeout(READY)
    for key in ("r", "2", "3", "7", "3"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="too long")).to_have_attribute("aria-pressed", "true")
    page.keyboard.type("says it twice")
    expect(page.get_by_role("textbox", name="More in your own words")).to_have_value("says it twice")
    page.keyboard.press("Escape")
    expect(page.locator(".reasons")).to_contain_text("complete · too long · “says it twice”")
    kept(desk, 1)
    desk.go()
    desk.watch()
    expect(page.locator(".reasons")).to_contain_text("says it twice")
    assert desk.item == before
    desk.press("1")
    expect(page.locator(".reasons")).to_be_hidden()
    desk.press("2", "z")
    desk.press("z")
    expect(page.locator(".reasons")).to_contain_text("says it twice")
    desk.saved()
    first, second, *_ = desk.sent()
    assert first["reason"] == {"chips": ["complete", "too long"], "text": "says it twice"}
    assert second["reason"] is None


def test_drafts_of_others_are_forgotten_and_own_ones_go_with_the_answer(
    sit: Callable[..., Desk], few: Callable[..., int]
) -> None:
    desk = sit(few([row(f"question {i}", "a", "b") for i in range(3)]))
    desk.page.evaluate("localStorage['label.draft/somebody/1'] = '{}'")
    desk.go()
    kept(desk, 0)
    for key in ("r", "1", "Escape"):
        desk.page.keyboard.press(key)
    kept(desk, 1)
    desk.press("1")
    desk.saved()
    kept(desk, 0)


SCRIPT = """([a, b]) => import('/assets/label-diff.js').then(({ differences }) =>
  differences(a, b)?.map(({ kind, a, b }) => `${kind}:${kind === 'new' ? b : a}`))"""


STEPS = (
    ("Water it daily.", "Water it weekly.", ["same:Water it ", "gone:daily", "new:weekly", "same:."]),
    ("每两天浇水", "每三天浇水", ["same:每", "gone:两", "new:三", "same:天浇水"]),
    ("a b c", "c", ["gone:a b ", "same:c"]),
    ("don't", "don’t\n", ["gone:don't", "new:don’t\n"]),
    ("", "new", ["new:new"]),
    ("same  words", "same words", ["same:same  words"]),
    ("word " * 4001, "word", None),
)


def test_words_that_differ(page: Any, open_page: Any) -> None:
    open_page(page, "/app")
    for a, b, steps in STEPS:
        assert page.evaluate(SCRIPT, [a, b]) == steps, (a[:20], b)


def test_differences_are_marked_on_both_sides(sit: Callable[..., Desk], few: Callable[..., int], shot: Any) -> None:
    rows = [row("How?", "Water it **daily** in May.", "Water it weekly in May."), row("Much?", "x", "word " * 4001)]
    desk = sit(few(rows))
    marks = desk.stage.locator(".answer mark")
    for _ in range(2):
        desk.page.keyboard.press("d")
        notice = desk.page.locator(".notice")
        if desk.prompt == "How?":
            assert sorted(marks.all_inner_texts()) == ["**daily** ", "weekly "]
            assert marks.first.evaluate("e => getComputedStyle(e).textDecorationLine") == "underline"
            expect(notice).to_contain_text("Underlined")
            shot(desk.page, "label-diff")
        else:
            expect(notice).to_have_text(re.compile("more than 4,000 words"))
        desk.page.keyboard.press("d")
        expect(marks).to_have_count(0)
        desk.press("0")


def test_signing_out_takes_drafts_along_and_nothing_else(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few([row("q", "a", "b")]))
    desk.page.keyboard.press("r")
    desk.page.get_by_role("textbox").fill("Half a thought")
    kept(desk, 1)
    desk.page.evaluate("key => { localStorage[key] = 'off'; }", f"label.keys.{desk.user}")
    desk.page.get_by_role("textbox").fill("More of it, not yet kept")
    desk.page.locator("#bar-user summary").click()
    desk.page.locator("#bar-out").click()
    expect(desk.page).to_have_url(f"{desk.server.base}/login")
    kept(desk, 0)
    assert desk.page.evaluate("key => localStorage[key]", f"label.keys.{desk.user}") == "off"
