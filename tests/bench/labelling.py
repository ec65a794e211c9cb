"""`python -m tests.bench.labelling`: many annotators and one real browser at one server: what they wait, what is lost.

Leaves out the annotators themselves (`annotators`), the home (`house`) and a queue of a million items (`queue`).
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import house
from tests.bench.rounds import ROOT
from tests.conftest import CHROMIUM, FLAGS, Server, launch
from workbench.store import judgements
from workbench.store.db import Store

SHOWN = ".label[data-item]:not([data-item=''])"
READ = 0.25  # seconds: keys count 150 ms after a paint
PAINTED = """() => {
  window.times = [];
  addEventListener('keydown', (event) => {
    const label = document.querySelector('.label'), before = label.dataset.item;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const next = label.dataset.item !== before && label.dataset.busy !== 'true';
        if (next) window.times.push(performance.now() - event.timeStamp);
      };
      channel.port2.postMessage(null);
    });
  }, true);
}"""
MOST = {"label": 1, "overlap": 2, "tiebreak": 1}  # votes of one item


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="python -m tests.bench.labelling", description=__doc__.splitlines()[0])
    out.add_argument("--annotators", type=int, default=50)
    out.add_argument("--think", type=float, default=2.0, help="seconds that a label takes, on average")
    out.add_argument("--minutes", type=float, default=2.0)
    out.add_argument("--rich", action="store_true", help="answers of up to 20 kB with code and formulas, else 4 kB")
    out.add_argument("--training", action="store_true", help="a real training run beside it, on the CPU")
    out.add_argument("--no-browser", action="store_true")
    out.add_argument("--json", type=Path, help="file for the figures")
    return out


def main(arguments: list[str]) -> int:
    chosen = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(chosen, Path(folder))
    print(json.dumps(found, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if not (found["lost"] or found["doubled"] or found["errors"]) else 1


def measured(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of one sitting, after the server has stopped and its store was opened again."""
    home, seconds = folder / "home", 60 * chosen.minutes
    people = [f"ann{n}" for n in range(chosen.annotators)]
    pairs = int(1.4 * seconds / chosen.think * (chosen.annotators + 2)) + 25 * (chosen.annotators + 1)
    made = house.make(home, ["ada", "eye", *people], pairs, 20_000 if chosen.rich else 4_000, rich=chosen.rich)
    server = launch(home)
    try:
        with training(server, on=chosen.training), at_page(server, made, on=not chosen.no_browser) as page:
            task = {"base": server.base, "project": made.project, "think": chosen.think, "seconds": seconds}
            clients = annotators(folder, task | {"tokens": [made.tokens[name] for name in people]})
            painted = labelling(page, chosen.think, seconds) if page else []
            told = clients()
    finally:
        assert server.stop() == 0
    return figures(chosen, told, painted) | counted(home, made.project, told["acked"])


def annotators(folder: Path, task: dict[str, Any]) -> Any:
    """Start the process of the annotators; a function that waits for what it tells."""
    path, out = folder / "task.json", folder / "told.json"
    path.write_text(json.dumps(task | {"out": str(out)}))
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.annotators", str(path)], cwd=ROOT)

    def wait() -> dict[str, Any]:
        assert process.wait(task["seconds"] + 120) == 0
        return json.loads(out.read_text())

    return wait


@contextmanager
def at_page(server: Server, made: house.Made, *, on: bool) -> Iterator[Any]:
    """The Label page in a real browser, its first item shown."""
    if not on:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM if Path(CHROMIUM).exists() else None, args=FLAGS)
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
        cookies = {"sid": made.tokens["eye"], "project": str(made.project)}
        context.add_cookies([{"name": name, "value": value, "url": server.base} for name, value in cookies.items()])
        page = context.new_page()
        page.goto(f"{server.base}/app/label")
        page.locator(SHOWN).wait_for(timeout=60_000)
        page.evaluate(PAINTED)
        yield page
        chromium.close()


def labelling(page: Any, think: float, seconds: float) -> list[float]:
    """Milliseconds from each key to the next item on screen."""
    drawn, until = random.Random(1), time.monotonic() + seconds
    while time.monotonic() < until:
        page.wait_for_timeout(1000 * max(READ, drawn.expovariate(1 / think)))
        page.keyboard.press("1")
    page.wait_for_timeout(1000)
    return page.evaluate("window.times")


@contextmanager
def training(server: Server, *, on: bool) -> Iterator[None]:
    """A run of the demo model, which the server starts as it starts any, while the block lasts."""
    if not on:
        yield
        return
    project = server.do("project_create", name="Beside")["id"]
    rows = [
        {"prompt": f"Herb {n}?", "chosen": f"Mint, {n} leaves. " * 20, "rejected": f"No {n}. " * 30} for n in range(200)
    ]
    path = server.home / "tmp" / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parsed = server.do("import_file", project=project, path=str(path))["import"]
    server.do("import_confirm", project=project, number=parsed)
    run = server.do("train", project=project, method="dpo", model="demo-tiny", hparams={"epochs": 100})["run"]
    while not (status := server.do("run", number=run)["status"])["step"]:
        assert status["state"] in ("queued", "starting", "running"), status
        time.sleep(0.5)
    yield
    status = server.do("run", number=run)["status"]
    assert status["state"] == "running", f"the training ended before the labelling: {status}"
    server.do("run_stop", number=run, save=False)


def figures(chosen: argparse.Namespace, told: dict[str, Any], painted: list[float]) -> dict[str, Any]:
    paint, server = (quantiles(times) for times in (painted, told["milliseconds"]))
    return {
        "annotators": chosen.annotators,
        "paint_p50_ms": paint[0],
        "paint_p95_ms": paint[1],
        "paint_p99_ms": paint[2],
        "painted": len(painted),
        "server_p50_ms": server[0],
        "server_p95_ms": server[1],
        "server_p99_ms": server[2],
        "errors": told["errors"],
        "refused": told["refused"],
        "waiting": told["waiting"],
    }


def quantiles(milliseconds: list[float]) -> list[float | None]:
    if not milliseconds:
        return [None] * 3
    return [round(float(x), 1) for x in np.quantile(milliseconds, [0.5, 0.95, 0.99])]


def counted(home: Path, project: int, acked: list[str]) -> dict[str, int]:
    """What the store holds in the end: labels, acknowledged ones that are missing, votes that nobody needed."""
    with Store.open(home) as store:
        votes = judgements.current(store, project)
        with store.cursor() as cur:
            every, distinct = cur.execute("SELECT count(uid), count(DISTINCT uid) FROM judgements").fetchone()
    stored = {str(vote["uid"]) for vote in votes}
    slots = Counter((vote["item"], vote["purpose"]) for vote in votes if vote["purpose"] in MOST)
    people = Counter((vote["item"], vote["annotator"]) for vote in votes if vote["purpose"] in MOST)
    doubled = sum(max(0, n - MOST[purpose]) for (_, purpose), n in slots.items())
    doubled += sum(n - 1 for n in people.values()) + every - distinct
    return {"labels": len(votes), "lost": len(set(acked) - stored), "doubled": doubled}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
