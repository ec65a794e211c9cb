"""The Models page in a browser: what there is and where it came from, adding, exporting."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.jobs.folder import write_json
from workbench.settings import DEMO

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)

RUN = 900
HPARAMS = {"tuning": "full", "beta": 0.1, "learning_rate": 0.001, "epochs": 2}


@pytest.fixture
def trained(server: Any) -> Iterator[int]:
    """A finished run: the demo model under another name, with the record that a run leaves."""
    folder = server.home / "runs" / f"{RUN:06d}"
    shutil.copytree(DEMO / "model", folder / "out")
    told = {"method": "dpo", "base": "demo-tiny", "tuning": "full", "snapshot": "0123456789ab", "run": RUN}
    write_json(folder / "out" / "workbench.json", {**told, "hparams": HPARAMS, "metrics": {"eval_accuracy": 0.75}})
    write_json(folder / "status.json", {"state": "done", "attempt": 1, "step": 10, "steps": 10, "message": None})
    asked = {"run": RUN, "project": 1, "method": "dpo", "hparams": HPARAMS, "model": "demo-tiny"}
    paths = {"model_path": str(DEMO / "model"), "snapshot": "0123456789ab", "snapshot_path": str(server.home)}
    write_json(folder / "config.json", {**asked, **paths})
    yield RUN
    shutil.rmtree(folder)


@pytest.fixture
def models(page: Any, open_page: Callable[..., Any]) -> Any:
    open_page(page, "/app/models")
    expect(page.locator("#list")).to_contain_text("demo-tiny")
    return page


def test_without_a_run_there_is_nothing_to_export(
    home: Path, start_server: Callable[..., Any], new_context: Callable[..., Any], open_page: Any, shot: Any
) -> None:
    server = start_server(home)
    server.welcome("ada", server.link)
    models = open_page(new_context(server, "ada").new_page(), "/app/models", server.base)
    expect(models.locator("#list")).to_contain_text("No trained model yet")
    expect(models.locator("#export")).to_be_hidden()
    shot(models, "models-empty")


def test_a_trained_model_says_what_it_came_from_and_can_leave(
    server: Any, trained: int, models: Any, shot: Any
) -> None:
    row = models.locator("#list tbody tr", has_text=f"run-{trained}")
    for text in ("DPO", "demo-tiny", "0123456789ab", "beta 0.1", "75%"):
        expect(row).to_contain_text(text)
    models.locator("#license input").click()
    models.locator("#license").get_by_role("option", name="apache-2.0").click()
    models.locator("#export").click()
    folder = server.home / "exports" / f"run-{trained}-merged"
    expect(models.locator("#exported")).to_contain_text(str(folder), timeout=120_000)  # a child that imports torch
    expect(models.locator("#exported")).to_contain_text("model.safetensors")
    assert "apache-2.0" in (folder / "README.md").read_text()
    shot(models, "models-exported")


def test_a_folder_of_the_server_is_not_for_a_page_to_name(models: Any, tmp_path: Path) -> None:
    shutil.copytree(DEMO / "model", tmp_path / "mine")
    models.get_by_role("button", name="Add a model").click()
    models.locator("#source textarea, #source input").fill(str(tmp_path / "mine"))
    models.locator("#add").click()
    expect(models.get_by_test_id("toast-body")).to_contain_text("only its own command line may name one")
