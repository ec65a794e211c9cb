"""The Admin page in a browser: an invitation that works once, a role that changes, a door that closes."""

from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)


def test_an_invitation_lets_somebody_in_and_a_lock_out(server: Any, page: Any, open_page: Any, shot: Any) -> None:
    open_page(page, "/app/admin")
    page.locator("#name textarea, #name input").fill("wen")
    page.locator("#invite").click()
    row = page.locator("#people tbody tr", has_text="wen")
    expect(row).to_contain_text("invited, no password yet")
    link = page.locator("#link textarea, #link input").input_value()
    assert link.startswith(f"{server.base}/welcome#")
    shot(page, "admin-invited")
    client = server.welcome("wen", link)
    assert client.get("/api/shell").json()["role"] == "annotator"

    page.get_by_role("button", name="Change somebody").click()
    page.locator("#who input").click()
    page.locator("#who").get_by_role("option", name="wen").click()
    expect(page.locator("#new-role input")).to_have_value("annotator")
    page.locator("#reset").click()
    again = page.locator("#new-link textarea, #new-link input")
    expect(again).to_be_visible()
    again.scroll_into_view_if_needed()
    shot(page, "admin-reset")
    assert client.get("/api/shell").status_code == 401
    client = server.welcome("wen", again.input_value())
    assert client.get("/api/shell").json()["role"] == "annotator"
    page.locator("#locked input").check()
    page.locator("#save").click()
    expect(row).to_contain_text("locked out")
    expect(page.locator("#reset")).to_be_disabled()
    assert client.get("/api/shell").status_code == 401


def test_what_is_wrong_with_a_name_is_said(page: Any, open_page: Any) -> None:
    open_page(page, "/app/admin")
    page.locator("#name textarea, #name input").fill("two words")
    page.locator("#invite").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("two words")


def test_tokens_end_and_the_log_says_who_did_what(server: Any, page: Any, open_page: Any, shot: Any) -> None:
    made = server.user("tom", "lead").post("/api/do/token_add", json={"title": "nightly <b>"}).json()
    bearer = {"authorization": f"Bearer {made['token']}"}
    assert httpx.get(f"{server.base}/api/v1/projects", headers=bearer).status_code == 200
    open_page(page, "/app/admin")
    page.get_by_role("tab", name="Tokens").click()
    expect(page.locator("#tokens tbody tr", has_text="nightly <b>")).to_contain_text("tom")
    page.locator("#token input").click()
    page.locator("#token").get_by_role("option", name="tom: nightly <b>").click()
    page.locator("#token-revoke").click()
    expect(page.locator("#tokens")).not_to_contain_text("nightly")
    assert httpx.get(f"{server.base}/api/v1/projects", headers=bearer).status_code == 401

    open_page(page, "/app/admin")
    page.get_by_role("tab", name="Log").click()
    first = page.locator("#log tbody tr").first
    expect(first).to_contain_text("ended a token")
    page.locator("#log-who input").click()
    page.locator("#log-who").get_by_role("option", name="tom").click()
    expect(first).to_contain_text("made a token")
    expect(first).to_contain_text("nightly <b>")
    with page.expect_download() as got:
        page.locator("#log a").click()
    assert "token_add" in Path(got.value.path()).read_text()
    shot(page, "admin-log")
