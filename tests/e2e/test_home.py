"""The first page in a browser: the demo in one click, a project of one's own, what an annotator finds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)

LOOKS = [("en-US", "light", 1280), ("zh-CN", "dark", 390)]


def test_one_click_from_an_empty_home_to_labelling(
    home: Path, start_server: Callable[..., Any], new_context: Callable[..., Any], open_page: Any, shot: Any
) -> None:
    server = start_server(home)
    server.welcome("ada", server.link)
    page = open_page(new_context(server, "ada").new_page(), "/app", server.base)
    expect(page.get_by_role("button", name="New project")).to_be_visible()
    shot(page, "home-fresh")
    page.locator("#demo").click()
    page.wait_for_url("**/app/label", timeout=60_000)
    expect(page.locator("#bar-project")).to_contain_text("Demo")
    open_page(page, "/app", server.base)
    expect(page.locator("#next")).to_contain_text("Label")
    expect(page.locator("#demo")).to_be_hidden()
    shot(page, "home-demo")


def test_a_project_of_ones_own_begins_with_its_data(server: Any, page: Any, open_page: Any) -> None:
    open_page(page, "/app")
    page.get_by_role("button", name="New project").click()
    page.locator("#project-name textarea, #project-name input").fill("Tea <b>&</b> ${1 + 1}")
    page.locator("#project-create").click()
    page.wait_for_url("**/app/data")
    made = server.do("projects")["projects"][-1]
    assert made["name"] == "Tea <b>&</b> ${1 + 1}"
    open_page(page, "/app")
    expect(page.locator("#top tbody tr").first).to_contain_text("Tea <b>&</b> ${1 + 1}")
    expect(page.locator("#next")).to_have_text("Import data")
    server.do("project_change", project=made["id"], archived=True)


def test_a_lead_writes_a_guideline_and_puts_a_project_away(
    server: Any, page: Any, new_context: Any, open_page: Any, shot: Any
) -> None:
    made = server.do("project_create", name="Mate", tasks=["pair"])["id"]
    open_page(page, "/app")
    page.get_by_role("button", name="Settings and people").click()

    def choose(name: str) -> None:
        page.locator("#which input").click()
        page.locator("#which").get_by_role("option", name=name, exact=True).click()
        expect(page.locator("#new-name")).to_be_visible()
        expect(page.locator("#new-name :is(input, textarea)")).to_have_value("Mate")

    choose("Mate")
    page.locator("#guideline textarea").fill("Short beats long.")
    page.locator("#project-save").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Saved")
    expect(page.locator("#which input")).to_have_value("Mate")
    assert server.do("projects")["projects"][-1]["guideline"] == "Short beats long."
    choose("Mate")
    expect(page.locator("#guideline textarea")).to_have_value("Short beats long.")
    expect(page.locator("#guideline")).to_contain_text("version 1")
    shot(page, "home-change")
    page.get_by_role("button", name="Advanced").click()
    page.locator("#archived input").check()
    page.locator("#project-save").click()
    expect(page.locator("#which input")).to_have_value("Mate (archived)")
    expect(page.locator("#top")).not_to_contain_text("Mate")
    assert [p["name"] for p in server.do("projects", archived=True)["projects"]][-1] == "Mate"
    choose("Mate (archived)")
    page.locator("#archived input").uncheck()
    page.locator("#project-save").click()
    expect(page.locator("#top")).to_contain_text("Mate")
    server.do("project_change", project=made, archived=True)
    ann = open_page(new_context(server, "ann").new_page(), "/app")
    expect(ann.locator("#change-card")).to_be_hidden()


def test_a_lead_gives_a_project_rules_and_people(server: Any, new_context: Any, open_page: Any, shot: Any) -> None:
    made = server.do("project_create", name="Oolong", tasks=["pair"])["id"]
    server.user("lou", "lead")
    server.user("ann")
    page = open_page(new_context(server, "lou").new_page(), "/app")
    page.get_by_role("button", name="Settings and people").click()
    page.locator("#which input").click()
    page.locator("#which").get_by_role("option", name="Oolong", exact=True).click()
    expect(page.locator("#new-name :is(input, textarea)")).to_have_value("Oolong")
    page.locator("#new-tasks").get_by_text("Which of several").click()
    page.locator("#members input").click()
    page.locator("#members").get_by_role("option", name="ann", exact=True).click()
    page.locator("#paused input").check()
    page.get_by_role("button", name="Advanced").click()
    page.locator("#write input").check()
    page.locator("#overlap input[type=number]").fill("30")
    page.locator("#deadline :is(input, textarea)").fill("2030-01-01")
    page.locator("#axis-1 :is(input, textarea)").fill("harmless")
    page.locator("#axis-guideline-1 textarea").fill("The **safer** answer.")
    page.locator("#project-save").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Saved")
    expect(page.locator("#which input")).to_have_value("Oolong")
    rules = {p["id"]: p for p in server.do("projects")["projects"]}[made]
    assert rules["write"]
    told = {key: rules[key] for key in ("tasks", "members", "paused", "overlap", "deadline", "axes", "gold", "version")}
    assert told == {"tasks": ["pair", "rank"], "members": ["ann"], "paused": True, "overlap": 0.3, "gold": 0.05,
                    "deadline": "2030-01-01", "axes": {"harmless": "The **safer** answer."}, "version": 1}  # fmt: skip
    assert "<strong>" in rules["guideline_html"]["harmless"]

    page.locator("#guest :is(input, textarea)").fill("gil")
    page.locator("#guest-invite").click()
    row = page.locator("#project-people tbody tr", has_text="gil")
    expect(row).to_contain_text("invited, no password yet")
    page.locator("#guest-link").scroll_into_view_if_needed()
    shot(page, "home-people")
    client = server.welcome("gil", page.locator("#guest-link :is(input, textarea)").input_value())
    assert "Oolong" in client.get("/api/shell").text
    for toast in page.get_by_test_id("toast-close").all():
        toast.click()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    page.locator("#project-save").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Saved")
    assert {p["id"]: p["members"] for p in server.do("projects")["projects"]}[made] == ["ann", "gil"]
    assert "Oolong" not in server.user("zed").get("/api/shell").text
    server.do("project_change", project=made, archived=True)


def test_an_annotator_finds_the_way_to_label(server: Any, new_context: Any, open_page: Any, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "What is tea?", "candidates": [{"text": "A drink."}, {"text": "A rock."}]}\n')
    made = server.do("project_create", name="Tea", tasks=["pair"])["id"]
    number = server.do("import_file", project=made, path=str(pairs))["import"]
    server.do("import_confirm", project=made, number=number)
    page = open_page(new_context(server, "ann").new_page(), "/app")
    expect(page.locator("#next")).to_have_text("Label 1 items")
    expect(page.locator("#own")).to_be_hidden()
    page.locator("#next").click()
    page.wait_for_url("**/app/label")
    server.do("project_change", project=made, archived=True)


@pytest.mark.parametrize("path", ["", "data", "models", "admin"])
def test_pages_fit_and_are_accessible(server: Any, new_context: Any, open_page: Any, shot: Any, path: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for lang, colours, width in LOOKS:
        context = new_context(
            server, "ada", locale=lang, color_scheme=colours, viewport={"width": width, "height": 800}
        )
        page = open_page(context.new_page(), f"/app/{path}")
        page.locator("gradio-app :is(table, p[role=status])").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], [(v["id"], v["nodes"][0]["html"][:200]) for v in serious]
        shot(page, f"{path or 'home'}-{colours}-{lang[:2]}-{width}")
        context.close()
