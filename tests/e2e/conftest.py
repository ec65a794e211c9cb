"""What the tests of the Label page share: projects with something to label, and an annotator before the page."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

SHOWN = ".label[data-item]:not([data-item=''])"
READY = 200  # ms after a paint: keys count again
MODEL = "canary-model-7b"
RICH = (
    "Put it on a **bright sill** and:\n\n1. water from below\n2. turn it\n\n```python\ndef water(plant, days=2):\n"
    "    return plant.thirst > days  # days without water since the soil was dry to the touch\n"
    "```\n\nThe loss is $\\sum_i x_i^2$.\n\n| month | light |\n|---|---|\n| May | 14 h |\n"
)
LONG = "Basil (Ocimum basilicum) is a tender annual that dislikes temperatures below 10 °C. " * 30
SENT = """() => {
  window.sent = [];
  const post = window.fetch;
  window.fetch = (address, options) => {
    if (String(address).endsWith('/submit')) window.sent.push(JSON.parse(options.body));
    return post(address, options);
  };
}"""
Rows = list[dict[str, Any]]


def row(prompt: str, *texts: str, lang: str = "en") -> dict[str, Any]:
    answers = [{"model": f"{MODEL}-{i}", "text": text} for i, text in enumerate(texts)]
    return {"prompt": prompt, "candidates": answers, "lang": lang}


def fill(server: Any, folder: Path, name: str, rows: Rows, **rules: Any) -> int:
    project = server.do("project_create", name=name, tasks=rules.pop("tasks", ["pair", "thumb"]))["id"]
    server.do("project_change", project=project, overlap=0, **rules)
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    number = server.do("import_file", project=project, path=str(path), dialect="prompts")["import"]
    server.do("import_confirm", project=project, number=number)
    return project


@pytest.fixture(scope="module")
def many(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A project with more to label than these tests do."""
    rows = [row(f"question {i}", f"one of {i}", f"two of {i}: {'word ' * 400}") for i in range(300)]
    project = fill(server, tmp_path_factory.mktemp("many"), "Many", rows)
    yield project
    server.do("project_change", project=project, archived=True)


@pytest.fixture
def few(server: Any, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """`few(rows, **rules)`: a project of its own."""
    made: list[int] = []

    def make(rows: Rows, **rules: Any) -> int:
        made.append(fill(server, tmp_path, f"Few {tmp_path.name}", rows, **rules))
        return made[-1]

    yield make
    for project in made:
        server.do("project_change", project=project, archived=True)


class Desk:
    """A signed-in annotator before the Label page."""

    def __init__(self, server: Any, context: Any, user: str, project: int) -> None:
        self.server, self.user, self.project = server, user, project
        context.add_cookies([{"name": "project", "value": str(project), "url": server.base}])
        self.page = context.new_page()
        self.label = self.page.locator(".label")
        self.stage = self.page.locator(".stage:not(.ahead)")
        self.go()

    def go(self) -> None:
        self.page.goto(f"{self.server.base}/app/label")
        self.page.locator(f"{SHOWN}, .instead").first.wait_for()

    @property
    def item(self) -> str:
        return self.label.get_attribute("data-item")

    @property
    def prompt(self) -> str:
        return self.stage.locator(".prompt .turn").last.inner_text()

    def press(self, *keys: str) -> None:
        """Each key when the item has stood long enough, and on to the next."""
        for key in keys:
            before = self.item
            self.page.wait_for_timeout(READY)
            self.page.keyboard.press(key)
            self.page.wait_for_function(
                "before => { const d = document.querySelector('.label').dataset;"
                " return (d.item && d.item !== before) || document.querySelector('.instead') }",
                arg=before,
            )

    def saved(self) -> None:
        self.page.locator(".saved.all_saved").wait_for(timeout=30_000)
        self.page.wait_for_function("() => !Object.keys(localStorage).some(k => k.startsWith('label.outbox'))")

    def sent(self) -> list[dict[str, Any]]:
        """Every act that was posted since `watch`."""
        return self.page.evaluate("window.sent")

    def watch(self) -> None:
        self.page.evaluate(SENT)

    def done(self, task: str = "pair") -> dict[str, Any]:
        """What the server knows of this annotator."""
        sid = self.server.user(self.user).cookies["sid"]
        head = {"cookie": f"sid={sid}; project={self.project}"}
        return self.server.client().get("/api/label/progress", headers=head).json()["progress"]["overall"][task]


@pytest.fixture
def sit(server: Any, new_context: Callable[..., Any], request: pytest.FixtureRequest) -> Callable[..., Desk]:
    """`sit(project, **context options)`: a new annotator at the page, before `many` items when no project is named."""
    names = count(1)

    def make(project: int | None = None, **options: Any) -> Desk:
        project = project or request.getfixturevalue("many")
        user = f"ann{project}x{next(names)}x{time.monotonic_ns() % 10**6}"
        return Desk(server, new_context(server, user, **options), user, project)

    return make


def forgive(desk: Desk, *texts: str) -> None:
    """Take from the faults what a test caused on purpose."""
    seen = desk.page.context.faults.seen
    seen[:] = [fault for fault in seen if not any(text in fault for text in texts)]


def no_barriers(page: Any) -> None:
    """Nothing on this page keeps somebody out, as far as axe can tell."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = [v for v in axe.run(page, options=rules).response["violations"] if v["impact"] != "minor"]
    assert [(v["id"], n["target"], n["failureSummary"]) for v in found for n in v["nodes"]] == []
