"""The Pipeline tab in a browser: it names the stage that is due, starts it, and goes on to the next; in every dress."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.settings import DEMO

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout"),
]
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LOOKS = [("en-US", "light"), ("zh-CN", "dark"), ("en-US", "dark"), ("zh-CN", "light")]


@pytest.fixture(scope="module")
def project(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Ten demonstrations and ten pairs: enough for the first step of either stage."""
    number = server.do("project_create", name="Herbs in three stages")["id"]
    shown = [{"prompt": f"Herb {n}?", "completion": f"Basil, {n} leaves."} for n in range(12)]
    pairs = [{"prompt": f"Tea {n}?", "chosen": f"Mint, {n} leaves.", "rejected": f"No {n}."} for n in range(12)]
    for name, rows in (("shown", shown), ("pairs", pairs)):
        path: Path = tmp_path_factory.mktemp(name) / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        parsed = server.do("import_file", project=number, path=str(path))["import"]
        server.do("import_confirm", project=number, number=parsed)
    yield number
    server.do("project_change", project=number, archived=True)


def pipeline(open_page: Any, page: Any) -> Any:
    opened = open_page(page, "/app/train")
    opened.get_by_role("tab").nth(1).click()
    return opened


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("locale", "scheme"), LOOKS)
def test_three_stages_in_every_dress(
    server: Any,
    project: int,
    new_context: Callable[..., Any],
    open_page: Any,
    shot: Any,
    size: str,
    locale: str,
    scheme: str,
) -> None:
    context = new_context(server, "ada", locale=locale, color_scheme=scheme, viewport=SIZES[size])
    page = pipeline(open_page, context.new_page())
    english = locale == "en-US"
    expect(page.locator("#stage-sft")).to_contain_text("demonstrations" if english else "条示范")
    expect(page.locator("#stage-ppo")).to_contain_text(
        "Waits for a reward model" if english else "等待奖励模型", timeout=20_000
    )
    expect(page.locator("#stage-sft-start")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    shot(page, f"pipeline-{size}-{locale}-{scheme}")


def test_a_finished_stage_makes_the_next_one_due(
    server: Any, project: int, new_context: Callable[..., Any], open_page: Any
) -> None:
    page = pipeline(open_page, new_context(server, "ada").new_page())
    start = page.locator("#stage-sft-start")
    expect(start).to_be_enabled(timeout=20_000)
    start.click()
    expect(page.locator("#stage-sft")).to_contain_text("held-out perplexity", timeout=120_000)
    expect(page.locator("#stage-rm")).to_contain_text("Ready.")
    assert "primary" in page.locator("#stage-rm-start").get_attribute("class")
    assert "primary" not in start.get_attribute("class")
    page.locator("#stage-rm-start").click()
    expect(page.locator("#stage-rm")).to_contain_text("held-out comparisons", timeout=120_000)
    expect(page.locator("#stage-ppo")).to_contain_text("Ready, scored by run-")
    expect(page.locator("#stage-rewards")).to_contain_text("run-")
    first, second = sorted(run["id"] for run in server.do("runs", project=project)["runs"])
    assert server.do("run", number=second)["config"]["model"] == f"run-{first}"
