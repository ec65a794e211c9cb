"""The rules of a project on the Label page: guidelines, axes, calibration, a note on speed, why there is no item."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import LONG, READY, SHOWN, Desk, no_barriers, row

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"  # the page asks the server then


def rows(items: int = 4) -> list[dict[str, Any]]:
    return [row(f"question {i}", f"a {i}", f"b {i}") for i in range(items)]


def test_a_new_guideline_is_read_once_by_everybody(
    sit: Callable[..., Desk], server: Any, few: Callable[..., int]
) -> None:
    project = few(rows(), guideline="Prefer the **shorter** one. <b>Always</b>.")
    desk = sit(project)
    dialog, read = desk.page.get_by_role("dialog", name="Guidelines"), desk.page.get_by_role("button", name="I have")
    before = desk.item
    expect(dialog.locator("strong")).to_have_text("shorter")
    expect(dialog).to_contain_text("<b>Always</b>")
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("1")
    expect(dialog).to_be_visible()
    read.click()
    expect(dialog).to_have_count(0)
    desk.watch()
    desk.press("1")
    assert desk.item != before
    desk.saved()
    assert desk.sent()[0]["guideline"] == 1
    desk.go()
    expect(dialog).to_have_count(0)
    server.do("project_change", project=project, guideline="Prefer the longer one.")
    desk.page.evaluate(LOOK)
    expect(dialog).to_contain_text("Version 2 is new")
    read.click()
    desk.watch()
    desk.press("2")
    desk.saved()
    assert desk.sent()[0]["guideline"] == 2


def test_axes_are_passes_of_their_own(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few(rows(3), axes={"less_harm": ""}, tasks=["pair"], quota=200))
    desk.press("1", "1")
    desk.saved()
    expect(desk.page.locator(".figures")).to_contain_text("2 of 200 today")
    desk.page.get_by_role("button", name="Less harm").click()
    expect(desk.page.locator(".figures")).to_contain_text("0 of 3")
    desk.page.locator(SHOWN).wait_for()
    desk.press("2", "2", "2")
    expect(desk.page.locator(".instead")).to_contain_text("3 today")
    desk.saved()
    assert desk.done()["mine"] == 2
    desk.page.get_by_role("link", name="Go on with Overall: Pairs").click()
    desk.page.locator(SHOWN).wait_for()
    desk.press("1")
    desk.saved()
    assert desk.done()["mine"] == 3


def test_calibration_shows_what_was_right(
    sit: Callable[..., Desk], server: Any, few: Callable[..., int], shot: Any
) -> None:
    project = few(rows(1), tasks=["pair"])
    known = [{"prompt": f"practice {i}", "answers": ["a", "b"]} for i in range(20)]
    for [item] in server.do("items_add", project=project, items=known)["ids"]:
        server.do("review_decide", item=item, payload={"choice": 0, "strength": 3})
        server.do("review_gold", item=item, explanation="It says a.")
    server.do("project_change", project=project, calibrate=True)
    desk = sit(project)
    expect(desk.page.locator(".figures")).to_contain_text("calibration 0 of 20")
    lesson, before = desk.page.locator("section.lesson"), desk.item
    desk.page.wait_for_timeout(READY)
    desk.page.keyboard.press("2")
    expect(lesson).to_contain_text("The lead decided: Answer")
    expect(lesson).to_contain_text("It says a.")
    assert desk.item == before
    shot(desk.page, "label-lesson")
    desk.page.set_viewport_size({"width": 390, "height": 844})
    assert not desk.page.locator(".bottom").evaluate("e => e.scrollWidth > e.clientWidth")
    shot(desk.page, "label-lesson-phone")
    desk.press("5")
    expect(lesson).to_have_count(0)
    desk.page.wait_for_timeout(READY)
    before = desk.item
    desk.page.keyboard.press("1")
    expect(lesson.get_by_role("button", name="Next")).to_be_focused()
    desk.page.wait_for_timeout(READY)
    desk.page.keyboard.press("Enter")
    expect(desk.label).not_to_have_attribute("data-item", re.compile(f"^$|^{before}$"))
    expect(desk.page.locator(".figures")).to_contain_text("calibration 2 of 20")
    desk.saved()


def test_a_message_stands_above_the_item_until_it_is_read(
    sit: Callable[..., Desk], server: Any, few: Callable[..., int], shot: Any
) -> None:
    project = few(rows(), tasks=["pair"])
    desk = sit(project)
    notes, before = desk.page.locator(".notes"), desk.page.evaluate("document.activeElement.outerHTML")
    text = "Ties are rare here: <b>look</b> at the dates.\nThank you."
    server.do("review_message", project=project, annotator=desk.user, text=text)
    desk.page.evaluate(LOOK)
    expect(notes.locator(".text")).to_have_text(text, use_inner_text=True)
    expect(notes.locator(".from")).to_contain_text("local wrote")
    assert desk.page.evaluate("document.activeElement.outerHTML") == before
    assert notes.get_attribute("aria-live") == "polite"
    no_barriers(desk.page)
    shot(desk.page, "label-message")
    desk.go()
    expect(notes.locator("article")).to_have_count(1)
    desk.press("1")
    shown = desk.item
    notes.get_by_role("button", name="Read").click()
    expect(notes.locator("article")).to_have_count(0)
    expect(desk.stage.locator(".prompt h2")).to_be_focused()
    assert desk.item == shown
    desk.go()
    expect(notes.locator("article")).to_have_count(0)
    [told] = server.do("review_person", project=project, annotator=desk.user)["messages"]
    assert told["read"] >= told["at"]


def test_three_answers_faster_than_reading_are_mentioned(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few([row(f"question {i}", LONG, f"{LONG} {i}") for i in range(5)]))
    desk.press("1", "1")
    expect(desk.page.locator(".notice")).to_be_empty()
    desk.press("1")
    expect(desk.page.locator(".notice")).to_contain_text("faster than the texts can be read")
    desk.saved()


def test_the_page_says_why_there_is_no_item(
    sit: Callable[..., Desk], server: Any, few: Callable[..., int], shot: Any
) -> None:
    project = few(rows(), quota=1)
    desk = sit(project)
    end = desk.page.locator(".instead")
    desk.press("1")
    expect(end).to_contain_text("That was today’s share")
    expect(end).to_contain_text("You labelled 1")
    expect(end.get_by_role("link")).to_have_text(["To the project"])
    shot(desk.page, "label-quota")
    desk.saved()
    server.do("project_change", project=project, quota=None, deadline="2020-01-02")
    desk.go()
    expect(end).to_contain_text("until 2020-01-02")
    server.do("project_change", project=project, deadline=None, paused=True)
    desk.go()
    expect(end).to_contain_text("Labelling is paused")
    server.do("project_change", project=project, paused=False)
    end.get_by_role("link", name="Look again").click()
    expect(end).to_have_count(0)
