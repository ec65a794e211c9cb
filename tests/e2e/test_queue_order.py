"""The Models page in a browser: a reward model orders the queue, in both languages and on a phone, and stops."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judge import reward_model
from workbench.jobs.folder import write_json

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


@pytest.fixture
def project(server: Any, tmp_path: Path) -> Iterator[int]:
    """Pairs to order and a reward model; both leave with the test."""
    number = server.do("project_create", name="Herbs in order")["id"]
    rows = [{"prompt": f"Herb {n}?", "chosen": f"Mint, {n} leaves.", "rejected": f"No {n}."} for n in range(20)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    parsed = server.do("import_file", project=number, path=str(tmp_path / "pairs.jsonl"))["import"]
    server.do("import_confirm", project=number, number=parsed)
    folder = reward_model(server.home / "models" / "judge")
    yield number
    folder.rename(tmp_path / "judge")
    server.do("project_change", project=number, archived=True)


@pytest.fixture
def models(
    server: Any, project: int, new_context: Callable[..., Any], open_page: Callable[..., Any]
) -> Callable[..., Any]:
    def look(**options: Any) -> Any:
        context = new_context(server, "ada", **options)
        context.add_cookies([{"name": "project", "value": str(project), "url": server.base}])
        return open_page(context.new_page(), "/app/models")

    return look


def test_a_reward_model_orders_the_queue_and_stops(server: Any, project: int, models: Any, shot: Any) -> None:
    page = models()
    state = page.locator("#order-state")
    expect(state).to_contain_text("The queue of Herbs in order goes in its usual order.")
    expect(page.locator("#order-stop")).to_be_hidden()
    page.locator("#order-model input").click()
    page.locator("#order-model").get_by_role("option", name="judge", exact=True).click()
    page.locator("#order-start").click()
    expect(page.locator("#order-start")).to_be_disabled()
    shot(page, "order-running")
    expect(state).to_contain_text(
        "judge orders the queue of Herbs in order", timeout=90_000
    )  # a child that imports torch
    assert server.do("queue_scores_state", project=project)["ordered"]
    shot(page, "order-on")
    page = models(locale="zh-CN", color_scheme="dark", viewport={"width": 390, "height": 844})
    expect(page.locator("#order-state")).to_contain_text("judge 正在给 Herbs in order 的队列排序")
    shot(page, "order-zh-phone")
    page.locator("#order-stop").click()
    expect(page.locator("#order-state")).to_contain_text("按原有顺序进行")
    expect(page.locator("#order-stop")).to_be_hidden()
    assert not server.do("queue_scores_state", project=project)["ordered"]


def test_lost_scores_and_a_dead_child_are_told(server: Any, project: int, models: Any, shot: Any) -> None:
    job = server.home / "scores" / "000900"
    job.mkdir(parents=True)
    write_json(job / "config.json", {"project": project, "actor": "ada", "model": {"name": "judge <b>"}})
    write_json(job / "child.json", (1, "long gone"))
    write_json(job / "status.json", {"state": "done", "scored": 3})
    job.with_suffix(".parquet").write_bytes(b"scores")
    assert server.do("queue_scores_state", project=project)["ordered"]
    job.with_suffix(".parquet").unlink()
    page = models()
    expect(page.locator("#order-state")).to_contain_text("The scores of judge <b> are gone")
    shot(page, "order-lost")
    job.mkdir()
    write_json(job / "config.json", {"project": project, "actor": "ada", "model": {"name": "judge"}})
    write_json(job / "child.json", (1, "long gone"))
    page.reload()
    expect(page.locator("#order-state")).to_contain_text("ended without a word")
    expect(page.locator("#order-start")).to_be_enabled()
    page.locator("#order-stop").click()
    expect(page.locator("#order-state")).to_contain_text("goes in its usual order")
