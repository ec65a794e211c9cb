"""Rankings on the Label page: by keys, by dragging, best and worst, nine answers, a narrow screen."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import LONG, READY, RICH, Desk, no_barriers, row

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def rows(answers: int, items: int = 6) -> list[dict[str, Any]]:
    return [row(f"question {i}", *[f"answer {chr(97 + at)} of {i}" for at in range(answers)]) for i in range(items)]


def rank(desk: Desk, *keys: str) -> dict[str, Any]:
    """Press keys on one item; what was sent of it."""
    before = desk.item
    desk.page.wait_for_timeout(READY)
    for key in keys:
        desk.page.keyboard.press(key)
    expect(desk.label).not_to_have_attribute("data-item", before)
    desk.saved()
    return desk.sent()[-1]["payload"]


def test_keys_place_answers_and_the_last_number_sends(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few(rows(4), tasks=["rank"]))
    desk.watch()
    assert rank(desk, "3", "1", "4", "2") == {"tiers": [[2], [0], [3], [1]]}
    expect(desk.page.locator(".last")).to_have_text("Ranking 3 > 1 > 4 > 2")
    assert rank(desk, "2", "=", "4", "1", "3") == {"tiers": [[1, 3], [0], [2]]}
    assert rank(desk, "2", "1", "=", "3", "=", "4") == {"tiers": [[1], [0, 2, 3]]}
    assert rank(desk, "1", "Backspace", "=", "0") == {"tiers": [[0, 1, 2, 3]]}
    assert rank(desk, "9") == {"tiers": []}
    desk.page.wait_for_timeout(READY)
    desk.page.keyboard.press("3")
    desk.page.keyboard.press("3")
    expect(desk.stage.locator(".answer[data-position='2'] .place")).to_have_text("1st")
    expect(desk.page.locator(".tiers")).to_have_text("1st3")
    desk.saved()
    assert desk.done("rank")["mine"] == 5


def test_cards_are_dragged_into_the_order(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few(rows(3, 2), tasks=["rank"]))
    desk.watch()
    page, before = desk.page, desk.item
    page.wait_for_timeout(READY)

    def drag(start: str, end: str, x: float) -> None:
        box = desk.label.locator(f"{end}:not(.ahead *)").bounding_box()
        desk.stage.locator(start).hover()
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()

    drag(".answer[data-position='1'] h3", ".tiers", 0.9)
    expect(desk.stage.locator(".answer[data-position='1'] .place")).to_have_text("1st")
    expect(page.get_by_role("button", name="Submit ranking")).to_be_disabled()
    drag(".answer[data-position='2'] .handle", ".tiers", 0.01)
    expect(desk.stage.locator(".answer[data-position='1'] .place")).to_have_text("2nd")
    drag(".answer[data-position='0'] h3", ".answer[data-position='1']", 0.5)
    expect(desk.stage.locator(".answer[data-position='1'] .place")).to_have_text("2nd =")
    assert desk.item == before
    expect(page.get_by_role("button", name="Submit ranking")).to_be_focused()
    page.keyboard.press("Enter")
    expect(desk.label).not_to_have_attribute("data-item", before)
    desk.saved()
    assert desk.sent()[-1]["payload"] == {"tiers": [[2], [0, 1]]}


def test_best_and_worst_are_two_keys(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few(rows(4, 2), tasks=["rank"], best_worst=True))
    desk.watch()
    expect(desk.page.locator(".tiers")).to_contain_text("number of the best")
    assert rank(desk, "4", "4", "2") == {"best": 3, "worst": 1}
    desk.saved()
    assert desk.done("rank")["mine"] == 1


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["wide", "phone"])
def test_nine_answers_are_read_and_placed(
    sit: Callable[..., Desk], few: Callable[..., int], shot: Any, size: tuple[int, int]
) -> None:
    width, height = size
    texts = [RICH, LONG, *[f"answer {i}" for i in range(7)]]
    lang = {"locale": "zh-CN"} if width < 800 else {}
    desk = sit(
        few([row("How?", *texts)], tasks=["rank"]), viewport={"width": width, "height": height}, has_touch=True, **lang
    )
    desk.watch()
    desk.page.wait_for_timeout(READY)
    for key in ("9", "=", "1", "5"):
        desk.page.keyboard.press(key)
    for theme in ("light", "dark"):
        desk.page.emulate_media(color_scheme=theme)
        for part in ("html", ".head", ".choices", ".tools", ".tiers", ".numbers"):
            assert not desk.page.locator(part).first.evaluate("e => e.scrollWidth > e.clientWidth + 1"), part
        shot(desk.page, f"label-rank-{theme}-{width}")
    for button in desk.page.locator(".number, .switch button").all():
        if box := button.bounding_box():
            assert box["width"] >= 44, button.inner_text()
            assert box["height"] >= 44, button.inner_text()
    if width < 800:
        no_barriers(desk.page)
        expect(desk.stage.locator(".answer:visible")).to_have_count(1)
        desk.page.locator(".switch button").nth(8).tap()
        expect(desk.stage.locator(".answer[data-position='8']")).to_be_visible()
    for key in ("2", "3", "4", "6", "7", "8"):
        desk.page.keyboard.press(key)
    expect(desk.page.locator(".instead")).to_be_visible()
    tiers = [[0, 8], [4], [1], [2], [3], [5], [6], [7]]
    assert desk.sent()[-1]["payload"] == {"tiers": tiers}
    desk.saved()
