"""The Train page in a browser: what a run costs before its start, its figures after, in every dress."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.jobs.folder import append_line, read_json, write_json
from workbench.settings import DEMO

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (DEMO / "model").is_dir(), reason="the demo model is not in this checkout"),
]
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LOOKS = [("en-US", "light"), ("zh-CN", "dark"), ("en-US", "dark"), ("zh-CN", "light")]
ROWS = 120
LINE = {
    "loss": 0.61,
    "eval_loss": 0.64,
    "rewards/margins": 0.4,
    "tokens_per_second": 2434.22,
    "examples_per_second": 24.46,
    "peak_memory_mb": 591,
    "padding_share": 0.087,
    "mfu": 0.41,
    "eta_s": 100.0,
}


@pytest.fixture(scope="module")
def trained(server: Any, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A project with pairs and one run, which is made to say what a run in progress says."""
    project = server.do("project_create", name="Herbs")["id"]
    path: Path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = [{"prompt": f"Herb {n}?", "chosen": f"Basil, {n} leaves.", "rejected": f"No {n}."} for n in range(ROWS)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    parsed = server.do("import_file", project=project, path=str(path))["import"]
    server.do("import_confirm", project=project, number=parsed)
    run = server.do("train", project=project, method="dpo", model="demo-tiny", hparams={"max_steps": 1})["run"]
    wait_for_end(server, run)
    yield project
    server.do("project_change", project=project, archived=True)


def wait_for_end(server: Any, run: int) -> None:
    import time

    end = time.monotonic() + 120
    while server.do("run", number=run)["status"]["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.5)


def say(server: Any, project: int, engine: str, reason: str | None = None) -> None:
    """Let the run look as if it were at step 20 of 60."""
    first = server.do("runs", project=project)["runs"][-1]["id"]
    folder = server.home / "runs" / f"{first:06d}"
    status = read_json(folder / "status.json")
    append_line(folder / "metrics.jsonl", LINE | {"step": 20})
    told = {"step": 20, "steps": 60, "eta_s": 100.0, "engine": engine, "engine_reason": reason}
    write_json(folder / "status.json", status | told)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("locale", "scheme"), LOOKS)
def test_cost_and_figures_in_every_dress(
    server: Any,
    trained: int,
    new_context: Callable[..., Any],
    open_page: Any,
    shot: Any,
    size: str,
    locale: str,
    scheme: str,
) -> None:
    say(
        server,
        trained,
        *(("packed",) if scheme == "light" else ("padded", "a token saw the answer beside it (leak 1.2e-03)")),
    )
    context = new_context(server, "ada", locale=locale, color_scheme=scheme, viewport=SIZES[size])
    page = open_page(context.new_page(), "/app/train")
    english = locale == "en-US"
    expect(page.locator("#ready")).to_contain_text(" steps, about " if english else " 步，约 ")
    expect(page.locator("#run-figures")).to_contain_text("pairs/s" if english else "偏好对/秒")
    expect(page.locator("#run-figures dt")).to_have_count(5)
    said = {"light": ("prompts shared", "提示共享计算"), "dark": ("because a token saw", "因为 a token saw")}
    expect(page.locator("#run-figures")).to_contain_text(said[scheme][0 if english else 1])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.wait_for_timeout(700)  # charts are drawn for the picture
    shot(page, f"train-{size}-{locale[:2]}-{scheme}")
    page.locator("#run-figures").scroll_into_view_if_needed()
    shot(page, f"train-figures-{size}-{locale[:2]}-{scheme}")


def test_the_cost_follows_the_form(server: Any, trained: int, page: Any, open_page: Any) -> None:
    open_page(page, "/app/train")
    expect(page.locator("#ready")).to_contain_text(" steps, about ")
    units = server.do("plan", project=trained, method="dpo", model="demo-tiny", hparams={"epochs": 9})["cost"]
    expect(page.locator("#hp-epochs input")).to_have_value("6")
    page.locator("#hp-epochs input").fill("9")
    expect(page.locator("#ready")).to_contain_text(f"{units['steps']} steps, about ")
    page.locator("#hp-epochs input").fill("0")
    expect(page.locator("#ready")).to_contain_text("epochs = 0")
    page.locator("#hp-epochs input").fill("1")
    expect(page.locator("#ready")).to_contain_text(f"{units['steps'] // 9} steps")


def test_a_finished_reward_model_says_how_far_to_trust_it(
    server: Any, trained: int, new_context: Callable[..., Any], open_page: Any, shot: Any
) -> None:
    run = server.do("train", project=trained, method="rm", model="demo-tiny", hparams={"max_steps": 1})["run"]
    wait_for_end(server, run)
    held_out = server.do("run", number=run)["report"]["accuracy"]["n"]
    for locale, scheme, size in (("en-US", "light", "wide"), ("zh-CN", "dark", "phone")):
        context = new_context(server, "ada", locale=locale, color_scheme=scheme, viewport=SIZES[size])
        page = open_page(context.new_page(), "/app/train")
        said = {"en-US": f"Share of {held_out} comparisons", "zh-CN": f"{held_out} 次比较"}
        expect(page.locator("#reward-figures")).to_contain_text(said[locale])
        expect(page.locator("#reward-charts canvas, #reward-charts svg.marks")).to_have_count(2)
        expect(page.locator("#reward-strength tbody tr")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.locator("#reward").scroll_into_view_if_needed()
        shot(page, f"train-reward-{size}-{locale[:2]}-{scheme}")
