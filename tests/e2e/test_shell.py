"""In a browser: coming in by the link, the top bar, languages, colours, and both sizes of every page."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from workbench.app.routes.shell import PAGES

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"
PLAIN = ("/login", "/welcome#x", "/password", "/tokens", "/api/docs")
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


def fits(page: Any) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def choose(context: Any, base: str, **cookies: str) -> None:
    context.add_cookies([{"name": name, "value": value, "url": base} for name, value in cookies.items()])


def test_the_first_admin_comes_in_by_the_link(
    start_server: Callable[..., Any], home: Any, new_context: Callable[..., Any], shot: Callable[..., None]
) -> None:
    server = start_server(home)
    page = new_context(server).new_page()
    page.goto(f"{server.base}/app/label")
    expect(page).to_have_url(f"{server.base}/login")
    shot(page, "login")
    page.goto(server.link)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Show password").check()
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    shot(page, "welcome")
    page.get_by_role("button", name="Set password and start").click()
    expect(page.locator("#bar nav a")).to_have_count(len(PAGES) - 1)
    expect(page.locator("#demo")).to_be_visible()  # all of the page is there: nothing is fetched after signing out
    page.locator("#bar-user summary").click()
    expect(page.locator("#bar-user")).to_contain_text("ada · admin")
    page.locator("#bar-out").click()
    expect(page).to_have_url(f"{server.base}/login")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#demo")).to_be_visible()
    page.goto(server.link)
    expect(page.locator("#failed")).to_contain_text("used already")
    page.context.faults.seen = [f for f in page.context.faults.seen if "403" not in f]  # the dead link says so


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_plain_pages_in_both_languages(
    new_context: Callable[..., Any], server: Any, shot: Callable[..., None], system: str
) -> None:
    page = new_context(server, color_scheme=system, viewport=SIZES["phone"]).new_page()
    page.goto(f"{server.base}/login")
    expect(page.locator("h1")).to_have_text("Sign in")
    page.locator("#language").click()
    expect(page.locator("h1")).to_have_text("登录")
    fits(page)
    shot(page, f"login-zh-{system}")
    page.get_by_label("用户名").fill("nobody")
    page.get_by_label("密码").fill("wrong password")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("不正确")
    page.context.faults.seen = [f for f in page.context.faults.seen if "403" not in f]


def test_the_language_switch(page: Any, open_page: Callable[..., Any]) -> None:
    open_page(page, "/app")
    expect(page.locator("#bar nav")).to_contain_text("Label")
    with page.expect_navigation():
        page.locator("#bar-lang").click()
    expect(page.locator("#bar nav")).to_contain_text("标注")
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
    assert page.evaluate("navigator.language") == "zh-CN"
    expect(page).to_have_title("首页 · First · 偏好工作台")


def test_the_colour_switch(page: Any, open_page: Callable[..., Any]) -> None:
    open_page(page, "/app")
    for theme, dark in (("light", False), ("dark", True), ("auto", False)):
        with page.expect_navigation():
            page.locator("#bar-theme").click()
        expect(page.locator("gradio-app main")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark" if dark else "light")
        assert page.locator("body").evaluate("body => body.classList.contains('dark')") is dark, theme


def test_a_new_project_from_the_bar(page: Any, open_page: Callable[..., Any], server: Any) -> None:
    open_page(page, "/app")
    expect(page.locator("#bar-project option:checked")).to_have_text("First")
    page.locator("#bar-project").select_option("new")
    page.locator("#bar-new input").fill("First")
    page.locator("#bar-new .primary").click()
    expect(page.locator("#bar-new .said")).to_contain_text("First")
    page.context.faults.seen = [f for f in page.context.faults.seen if "409" not in f]
    page.locator("#bar-new input").fill("Second")
    page.locator("#bar-new .primary").click()
    expect(page.locator("#bar-project option:checked")).to_have_text("Second")
    server.do("project_change", project="Second", archived=True)


def test_an_annotator_sees_only_labelling(
    new_context: Callable[..., Any], server: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page(new_context(server, "ann").new_page(), "/app")
    expect(page.locator("#bar nav a")).to_have_text(["Label"])
    expect(page.locator("#bar-project option")).to_have_text(["First"])
    page.goto(f"{server.base}/app/admin")
    expect(page.get_by_role("alert")).to_contain_text("Your role")
    page.context.faults.seen = [f for f in page.context.faults.seen if "403" not in f]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("theme", "lang"), [("light", "en"), ("dark", "zh")])
def test_every_page_fits(
    new_context: Callable[..., Any],
    server: Any,
    open_page: Callable[..., Any],
    shot: Callable[..., None],
    size: str,
    theme: str,
    lang: str,
) -> None:
    context = new_context(server, "ada", viewport=SIZES[size])
    choose(context, server.base, theme=theme, lang=lang)
    page = context.new_page()
    for entry in PAGES:
        open_page(page, f"/app/{entry.route}")
        expect(page.locator("footer")).to_be_hidden()
        expect(page.locator(".nav-holder")).to_be_hidden()
        fits(page)
        shot(page, f"{entry.name}-{size}-{theme}-{lang}")


def test_the_phone_menu(
    new_context: Callable[..., Any], server: Any, open_page: Callable[..., Any], shot: Callable[..., None]
) -> None:
    page = open_page(new_context(server, "ada", viewport=SIZES["phone"]).new_page(), "/app")
    expect(page.locator("#bar nav")).to_be_hidden()
    page.locator("#bar-menu").click()
    expect(page.locator("#bar nav a")).to_have_count(len(PAGES) - 1)
    fits(page)
    shot(page, "phone-menu")
    page.locator("#bar nav a", has_text="Train").click()
    expect(page).to_have_url(f"{server.base}/app/train")


def test_no_serious_accessibility_finding(
    new_context: Callable[..., Any], server: Any, open_page: Callable[..., Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for theme in ("light", "dark"):
        context = new_context(server, "ada")
        choose(context, server.base, theme=theme)
        page = context.new_page()
        for path, part in (*((path, "body") for path in PLAIN), ("/app", "#bar")):
            if path == "/app":
                open_page(page, path)
                page.locator("#bar-user summary").click()
            else:
                page.goto(server.base + path)
                expect(page.locator("h1")).to_be_visible()
            found = axe.run(page, part).response["violations"]
            assert [(f["id"], f["nodes"][0]["html"]) for f in found if f["impact"] in ("serious", "critical")] == []
        context.faults.seen = [f for f in context.faults.seen if "403" not in f]


@pytest.mark.rule("S18")
def test_nothing_leaves_for_another_host(page: Any, open_page: Callable[..., Any], server: Any) -> None:
    """The policy stops what a script of ours would never do."""
    open_page(page, "/app")
    blocked = page.evaluate(
        """async () => {
          const seen = [];
          document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
          const image = new Image();
          image.src = "http://canary.invalid/a.png";
          document.body.append(image);
          await fetch("http://canary.invalid/").catch(() => {});
          const form = document.createElement("form");
          Object.assign(form, { action: "http://canary.invalid/", method: "post" });
          document.body.append(form);
          form.submit();
          await new Promise((done) => setTimeout(done, 300));
          return seen;
        }"""
    )
    assert {"img-src", "connect-src", "form-action"} <= set(blocked)
    page.context.faults.seen.clear()


@pytest.mark.rule("R17")
def test_a_page_comes_back_after_a_restart(
    start_server: Callable[..., Any], home: Any, new_context: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    server = start_server(home)
    server.welcome("ada", server.link)
    port = server.base.rpartition(":")[2]
    context = new_context(server, "ada")
    page = open_page(context.new_page(), "/app", server.base)
    assert server.stop() == 0
    page.evaluate("window.before = true")
    server = start_server(home, "--port", port)
    page.wait_for_function("!window.before", timeout=60_000)
    page.locator("#bar nav").wait_for()
    context.faults.seen.clear()  # while it was away, Gradio said so on the console
