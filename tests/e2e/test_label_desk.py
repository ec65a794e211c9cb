"""Writing an answer where all are bad: by keyboard alone, with drafts and undo, on a phone, in Chinese."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import LONG, READY, RICH, Desk, forgive, no_barriers, row

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
PLANTS = [row(f"How do I keep plant {i}?", f"Water {i} daily", f"Never water {i}") for i in range(3)]


def at_the_desk(desk: Desk, bad: int) -> Any:
    """The field, after some items were called both bad."""
    page = desk.page
    desk.press(*["9"] * bad)
    desk.saved()
    page.reload()
    page.locator(".label[data-item]:not([data-item='']), .instead").first.wait_for()
    page.locator("button[data-task='write']").click()
    field = page.locator(".desk textarea")
    expect(field).to_be_visible()
    return field


def test_an_answer_is_written_by_keyboard_alone(sit: Callable[..., Desk], few: Callable[..., int], shot: Any) -> None:
    desk = sit(few(PLANTS, tasks=["pair"], write=True))
    page, tab = desk.page, desk.page.locator("button[data-task='write']")
    expect(tab).to_have_accessible_name("Write")
    field = at_the_desk(desk, 2)
    expect(tab).to_have_accessible_name("Write: something waits")
    save = page.get_by_role("button", name="Save and go on")
    first, originals = desk.item, desk.stage.locator(".answer .text").all_inner_texts()
    desk.watch()
    page.wait_for_timeout(READY)
    expect(save).to_be_disabled()
    page.keyboard.press("2")
    expect(field).to_be_focused()
    expect(field).to_have_value(originals[1])
    expect(page.locator(".desk .hint")).to_contain_text("Nothing changed")
    page.keyboard.press("End")
    page.keyboard.type(" x9")  # keys of the task are text in here
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()
    page.keyboard.press("0")
    expect(field).to_have_value("")
    page.keyboard.type("Water it when it is dry.")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(field).to_have_value(f"{originals[1]} x9")  # each start has a text of its own
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    page.wait_for_timeout(400)
    page.reload()
    expect(field).to_have_value("Water it when it is dry.")
    desk.watch()
    no_barriers(page)
    shot(page, "label-desk")
    page.wait_for_timeout(READY)
    page.keyboard.press("e")
    expect(field).to_be_focused()
    field.evaluate(
        "e => e.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, isComposing: true }))"
    )
    assert desk.item == first
    page.keyboard.press("Control+Enter")
    expect(tab).to_have_accessible_name("Write: something waits")
    expect(page.locator(".last")).to_have_text("Answer written")
    assert desk.item != first
    desk.saved()
    page.wait_for_function("() => !Object.keys(localStorage).some(k => k.startsWith('label.draft'))")
    page.wait_for_timeout(READY)
    page.keyboard.press("z")
    expect(field).to_have_value("Water it when it is dry.")
    expect(desk.label).to_have_attribute("data-item", first)
    page.wait_for_timeout(READY)
    page.keyboard.press("e")
    page.keyboard.press("End")
    page.keyboard.type(" Rarely.")
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(READY)
    desk.press("x")
    expect(page.locator(".instead")).to_contain_text("Your part is done")
    desk.saved()
    acts = [(act["kind"], act["payload"]) for act in desk.sent()]
    written = [{"candidate": None, "text": f"Water it when it is dry.{more}"} for more in ("", " Rarely.")]
    assert [payload for kind, payload in acts if kind == "write"] == written
    assert [kind for kind, _ in acts] == ["write", "undo", "write", "skip"]
    done = desk.done("write")
    assert (done["mine"], done["skipped"], done["done"], done["needed"]) == (1, 1, 1, 2)


def test_writing_comes_after_the_last_pair(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few(PLANTS[:1], tasks=["pair"], write=True))
    desk.press("9")
    desk.page.get_by_role("link", name="Go on with writing").click()
    desk.page.wait_for_selector(".desk")
    desk.page.wait_for_timeout(READY)
    desk.page.keyboard.press("Shift+?")
    expect(desk.page.locator(".label-dialog.keys")).to_contain_text("save and go on")


def test_a_text_that_came_second_is_refused_and_stays(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few(PLANTS[:1], tasks=["pair"], write=True))
    page, field = desk.page, at_the_desk(desk, 1)
    body = json.dumps({"error": "taken", "code": "taken"})
    page.route("**/api/label/submit", lambda route: route.fulfill(status=409, body=body), times=1)
    field.fill("Let it dry out.")
    page.wait_for_timeout(READY)
    field.press("Control+Enter")
    expect(page.locator(".notice")).to_contain_text("somebody else wrote this answer first")
    desk.saved()
    drafts = page.evaluate(
        "Object.keys(localStorage).filter(k => k.startsWith('label.draft')).map(k => localStorage[k])"
    )
    assert [json.loads(draft)["edits"] for draft in drafts] == [{"new": "Let it dry out."}]
    forgive(desk, "Failed to load resource")


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize(
    ("task", "texts", "look"),
    [
        ("rank", (LONG, RICH, "Never water it", "Always"), {"color_scheme": "dark", "locale": "zh-CN"}),
        ("pair", (LONG, "Never water it"), PHONE),
    ],
    ids=["zh-dark", "phone"],
)
def test_it_fits_the_screen(
    sit: Callable[..., Desk],
    few: Callable[..., int],
    shot: Any,
    task: str,
    texts: tuple[str, ...],
    look: dict[str, Any],
) -> None:
    desk = sit(few([row("How do I keep basil? 罗勒怎么养？", *texts)], tasks=[task], write=True), **look)
    page, field, save = desk.page, at_the_desk(desk, 1), desk.page.locator(".desk .main")
    page.locator(".desk .chip").nth(1).click()
    expect(field).to_be_focused()
    page.keyboard.type(" 好")
    no_barriers(page)
    shot(page, f"label-desk-{task}")
    box = save.bounding_box()
    assert box["y"] + box["height"] <= page.viewport_size["height"]
    assert box["height"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    save.click()
    page.locator(".instead[data-kind='none_bad']").wait_for()
    shot(page, f"label-desk-end-{task}")
    desk.saved()
    assert desk.done("write")["done"] == 1
