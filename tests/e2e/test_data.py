"""The Data page in a browser: look at a file, decide, freeze, export."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)

HOSTILE = "Boil it. <img src=x onerror=alert(1)> {{value}} ${value}"
LINES = [
    json.dumps({"prompt": "How long does an egg boil?", "chosen": "Seven minutes.", "rejected": HOSTILE}),
    '{"prompt": "broken", "chosen": ',
    json.dumps({"prompt": "Name a fruit", "chosen": "An apple.", "rejected": "An apple."}),
    json.dumps({"prompt": "写一句诗", "chosen": "春眠不觉晓。", "rejected": "不会。"}, ensure_ascii=False),
]


@pytest.fixture
def project(server: Any, context: Any) -> Iterator[int]:
    """A project of this test, chosen in its browser, gone afterwards."""
    made = server.do("project_create", name="Eggs")["id"]
    context.add_cookies([{"name": "project", "value": str(made), "url": server.base}])
    yield made
    server.do("project_change", project=made, archived=True)


@pytest.fixture
def data(page: Any, open_page: Callable[..., Any], project: int) -> Any:
    open_page(page, "/app/data")
    expect(page.locator("#held")).to_contain_text("Nothing yet")
    return page


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "eggs.jsonl"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def upload(page: Any, path: Path) -> None:
    page.set_input_files("#file input[type=file]", path)


def test_an_import_shows_what_it_is_before_it_counts(server: Any, data: Any, file: Path, shot: Any) -> None:
    upload(data, file)
    expect(data.locator("#said")).to_contain_text("trl_preference (100% of the sample). 2 of 4 lines")
    rejects = data.locator("#details tbody tr")
    expect(rejects).to_have_count(2)
    expect(rejects.nth(0)).to_contain_text("2")
    expect(rejects.nth(0)).to_contain_text("not JSON")
    expect(rejects.nth(1)).to_contain_text("both answers are the same")
    expect(data.locator("#details .shown").first).to_contain_text(HOSTILE)
    assert data.locator("#details img").count() == 0
    shot(data, "data-preview")

    data.reload()
    expect(data.locator("#confirm")).to_have_text("Import 2 items, leave out 2 of the lines")
    with data.expect_download() as downloading:
        data.locator("#rejects").click()
    left_out = [json.loads(line) for line in Path(downloading.value.path()).read_text().splitlines()]
    assert [r["line"] for r in left_out] == [2, 3]

    data.locator("#confirm").click()
    expect(data.locator("#said")).to_contain_text("2 new items, 0 known before, 2 labels")
    expect(data.locator("#held dl").nth(0)).to_contain_text("items with two answers")
    expect(data.locator("#held dl").nth(1)).to_contain_text("training pairs")
    assert not list((server.home / "tmp" / "gradio").rglob("eggs.jsonl"))
    shot(data, "data-imported")


def test_what_is_discarded_leaves_nothing(server: Any, data: Any, file: Path) -> None:
    before = set((server.home / "imports").iterdir())
    upload(data, file)
    data.locator("#discard").click()
    expect(data.locator("#said")).to_contain_text("nothing was stored")
    expect(data.locator("#held")).to_contain_text("Nothing yet")
    assert set((server.home / "imports").iterdir()) == before
    upload(data, file)
    expect(data.locator("#confirm")).to_be_visible()


def test_an_unclear_table_is_read_as_its_columns_are_named(data: Any, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("question,one,two,best\nWhat is tea?,A drink,A rock,one\nWhat is red?,A colour,A fish,one\n")
    upload(data, table)
    expect(data.locator("#said")).to_contain_text("Columns found: question, one, two, best")
    for field, names in (("prompt", ["question"]), ("answers", ["one", "two"]), ("label", ["best"])):
        box = data.locator(f"#map-{field}")
        for name in names:
            box.locator("input").click()
            box.get_by_role("option", name=name, exact=True).click()
    data.locator("#read").click()
    expect(data.locator("#confirm")).to_have_text("Import 2 items")


def test_pasted_lines_are_a_file_too(data: Any) -> None:
    data.get_by_role("button", name="Or paste lines").click()
    data.locator("#pasted textarea").fill(LINES[0])
    data.locator("#read").click()
    expect(data.locator("#said")).to_contain_text("pasted: trl_preference")
    expect(data.locator("#confirm")).to_have_text("Import 1 items")


def test_an_export_says_where_it_lies_and_needs_a_license_for_the_hub(
    server: Any, data: Any, project: int, file: Path, shot: Any
) -> None:
    server.do("import_confirm", project=project, number=parsed(server, project, file), accept_rejects=True)
    data.reload()
    data.locator("#freeze").click()
    expect(data.locator("#frozen")).to_contain_text("holds what the labels say now")
    data.locator("#freeze").click()
    expect(data.locator("#frozen")).to_contain_text("Nothing has changed since snapshot")
    data.get_by_role("button", name="Export the data set").click()
    data.locator("#repo textarea, #repo input").fill("somebody/labels")
    data.locator("#export").click()
    expect(data.get_by_test_id("toast-body")).to_contain_text("Choose a license")
    data.locator("#repo textarea, #repo input").fill("")
    data.locator("#license input").click()
    data.locator("#license").get_by_role("option", name="cc-by-4.0").click()
    data.locator("#export").click()
    told = data.locator("#exported")
    expect(told).to_contain_text("README.md")
    folder = re.search(rf"{re.escape(str(server.home))}/exports/dataset-[\w-]+", told.inner_text())
    assert folder
    assert "cc-by-4.0" in (Path(folder[0]) / "README.md").read_text()
    shot(data, "data-exported")


def parsed(server: Any, project: int, file: Path) -> int:
    return server.do("import_file", project=project, path=str(file))["import"]
