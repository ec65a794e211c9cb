"""What a tab of the Label page does when what it asks for is no longer there."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Desk, forgive, row

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def test_an_axis_that_ended_is_said_and_not_asked_for_again(
    sit: Callable[..., Desk], server: Any, few: Callable[..., int]
) -> None:
    project = few([row(f"question {i}", "a", "b") for i in range(3)], axes={"less_harm": ""}, tasks=["pair"])
    desk = sit(project)
    desk.page.get_by_role("button", name="Less harm").click()
    expect(desk.page.locator(".label")).to_have_attribute("data-item", re.compile("."))
    server.do("project_change", project=project, axes={})
    asked: list[int] = []
    desk.page.on("response", lambda answer: asked.append(answer.status) if answer.url.endswith("/lease") else None)
    desk.page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(desk.page.locator(".instead")).to_have_attribute("data-kind", "closed")
    desk.page.wait_for_timeout(2500)
    assert asked.count(422) == 1
    forgive(desk, "422")
