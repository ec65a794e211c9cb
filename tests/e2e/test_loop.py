"""The whole loop by one person in one browser: sign in, demo, label, undo, train, look, compare, vote, export."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
LABELS = 10
BY_SCRIPT = 40  # more labels, given over HTTP: ten are not enough to train on


@pytest.fixture
def own(start_server: Callable[..., Any], tmp_path: Path) -> Any:
    """A fresh home of this test alone."""
    return start_server(tmp_path / "home")


def painted(page: Any) -> str:
    """The item on screen, once it may be answered: keys right after a paint are not meant for it."""
    page.wait_for_function("() => document.querySelector('.label')?.dataset.item")
    page.wait_for_timeout(200)
    return page.evaluate("() => document.querySelector('.label').dataset.item")


def press(page: Any, key: str) -> None:
    """One key, one label: the next item must be on screen afterwards."""
    before = painted(page)
    page.keyboard.press(key)
    page.wait_for_function("before => document.querySelector('.label').dataset.item !== before", arg=before)


def test_label_train_compare_export(own: Any, new_context: Callable[..., Any], shot: Any) -> None:
    page = new_context(own).new_page()
    sign_in(page, own.link)
    page.locator("#demo").click()
    label(page, own, shot)
    train(page, own, shot)
    compare(page, own, shot)
    export(page, own)


def sign_in(page: Any, link: str) -> None:
    page.goto(link)
    page.locator("[name=name]").fill("ada")
    page.locator("[name=password]").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.locator("#bar nav").wait_for(state="attached")


def label(page: Any, own: Any, shot: Any) -> None:
    page.wait_for_url("**/app/label", timeout=60_000)
    for key in "3425160925":
        press(page, key)
    undone = painted(page)
    page.keyboard.press("z")
    page.wait_for_function("before => document.querySelector('.label').dataset.item !== before", arg=undone)
    press(page, "1")
    shot(page, "loop-pairs")
    page.get_by_role("button", name="Thumbs").click()
    page.wait_for_function("() => document.querySelector('.label').dataset.task === 'thumb'")
    for key in "12ad12ad12":
        press(page, key)
    page.wait_for_function("() => !Object.keys(localStorage).some(k => k.startsWith('label.outbox'))")
    labels = own.do("data", project=1)["labels"]
    assert labels == {"pair": LABELS, "thumb": LABELS}


def train(page: Any, own: Any, shot: Any) -> None:
    more_labels(own)
    page.goto(f"{own.base}/app/train")
    expect(page.locator("#start")).to_be_enabled(timeout=20_000)
    page.locator("#hp-epochs input").fill("1")
    page.locator("#start").click()
    expect(page.locator("#run-state")).to_contain_text("Done", timeout=120_000)
    expect(page.locator("#chart-loss canvas, #chart-loss svg").first).to_be_visible()
    expect(page.locator("#chart-margins")).to_contain_text("Chosen minus rejected reward")
    shot(page, "loop-train")


def more_labels(own: Any) -> None:
    """A colleague labels too."""
    client, done = own.user("bob"), 0
    while done < BY_SCRIPT:
        wanted = {"project": 1, "task": "pair", "tab": "t", "want": 10}
        for item in client.post("/api/label/lease", json=wanted).json()["items"]:
            payload = {"choice": done % 2, "strength": 2}
            view = {"uid": f"00000000-0000-4000-8000-{done:012d}", "tab": "t", "lease": item["lease"]}
            body = view | {"view": item["view"], "kind": "pair", "payload": payload}
            assert client.post("/api/label/submit", json=body).status_code == 200
            done += 1


def compare(page: Any, own: Any, shot: Any) -> None:
    page.goto(f"{own.base}/app/compare")
    expect(page.locator("#model-b input")).to_have_value("run-1", timeout=20_000)
    page.locator("#prompt textarea").fill("How do I make an apple pie?")
    page.locator("#ask").click()
    expect(page.locator("#vote-left")).to_be_enabled(timeout=60_000)
    assert page.locator("#left textarea").input_value()
    page.locator("#vote-left").click()
    expect(page.locator("#said")).to_contain_text("Stored. Answer 1 was", timeout=30_000)
    expect(page.locator("#results")).to_contain_text("demo-tiny")
    shot(page, "loop-compare")
    [result] = own.do("compare_results", project=1)["results"]
    left = re.search(r"Answer 1 was (\S+),", page.locator("#said").inner_text())[1]
    assert (result["wins"], result["losses"]) == ((1, 0) if left == result["a"] else (0, 1))


def export(page: Any, own: Any) -> None:
    exported = own.do("export_dataset", project=1, license="cc-by-4.0")
    assert exported["rows"]["preference"] > BY_SCRIPT
    page.goto(f"{own.base}/app/data")
    expect(page.locator("#held")).to_contain_text(exported["snapshot"], timeout=20_000)
