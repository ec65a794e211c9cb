"""The whole loop played by itself against a real server over HTTP: label, train, compare, export, read back.

Leaves out the texts and the judge (`corpus`, `judge`) and everything a page would show.
"""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from workbench.demo.judge import good
from workbench.errors import EngineError
from workbench.jobs.folder import END_STATES

STYLE = "friendly"
PASSWORD = "the demo plays itself"  # noqa: S105 (of a home that is deleted afterwards)
ANNOTATORS = ("ann", "bob")
EACH = 100  # labels of one annotator and task
START_SECONDS = 60
RUN_SECONDS = 240


class Player:
    """One signed-in browser without a browser."""

    def __init__(self, base: str, token: str, name: str) -> None:
        self.name = name
        self.http = httpx.Client(base_url=base, headers={"Origin": base}, timeout=RUN_SECONDS)
        self._post("/welcome", data={"token": token, "name": name, "password": PASSWORD})

    def do(self, act: str, **values: Any) -> dict[str, Any]:
        return self._post(f"/api/do/{act}", json=values)

    def label(self, project: int, task: str, limit: int | None = None) -> int:
        """Answer items until `limit`, or until the queue has none left for us. Returns how many."""
        done = 0
        while limit is None or done < limit:
            wanted = {"project": project, "task": task, "tab": self.name, "want": 10}
            items = self._post("/api/label/lease", json=wanted)["items"]
            if not items:
                break
            for item in items:
                self._post("/api/label/submit", json=self._answer(item, task))
            done += len(items)
        return done

    def _answer(self, item: dict[str, Any], task: str) -> dict[str, Any]:
        asked = item["prompt"][-1]["content"]
        fine = [good(asked, turns[-1]["content"], STYLE) for turns in item["answers"]]
        payload = {"label": fine[0]} if task == "thumb" else preferred(*fine)
        view = {"uid": str(uuid4()), "tab": self.name, "lease": item["lease"], "view": item["view"]}
        return view | {"kind": task, "payload": payload}

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(path, **body)
        if answer.status_code >= 400:
            raise EngineError(f"{self.name}: POST {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}


def preferred(left: bool, right: bool) -> dict[str, Any]:
    """The vote of somebody who wants one thing of an answer: both have it, neither, or one."""
    if left == right:
        return {"choice": "tie" if left else "both_bad", "strength": None}
    return {"choice": 0 if left else 1, "strength": 2}


def play(home: Path | None = None, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Play the loop in `home`, or in a temporary one. Returns the figures, seconds by stage among them."""
    with playing(home, say) as (_, *rest):
        return _loop(*rest)


@contextmanager
def playing(home: Path | None, say: Callable[[str], None]) -> Iterator[tuple[Path, str, str, "Stages"]]:
    """A server on `home`, or on a temporary one, until the block ends: home, address, the admin's token, stages."""
    with tempfile.TemporaryDirectory(prefix="workbench-demo-") as folder:
        home, stages = home or Path(folder) / "home", Stages(say)
        server, base, token = stages("start", lambda: start_server(home))
        try:
            yield home, base, token, stages
        finally:
            server.terminate()
            server.wait(timeout=30)


class Stages:
    """Runs one stage after another and remembers how long each took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.seconds = say, {}

    def __call__(self, name: str, stage: Callable[[], Any]) -> Any:
        self.say(f"{name} ...")
        start = time.monotonic()
        result = stage()
        self.seconds[name] = round(time.monotonic() - start, 1)
        self.say(f"{name}: {self.seconds[name]} s")
        return result


def _loop(base: str, token: str, stages: Stages) -> dict[str, Any]:
    admin = Player(base, token, "demo")
    project = admin.do("demo_create")["project"]
    team = [Player(base, admin.do("user_add", name=n)["link"].split("#")[1], n) for n in ANNOTATORS]
    pairs = stages("label pairs", lambda: sum(p.label(project, "pair", EACH) for p in team))
    thumbs = stages("label thumbs", lambda: sum(p.label(project, "thumb", EACH) for p in team))
    runs = {m: stages(f"train {m}", lambda m=m: trained(admin, project, m)) for m in ("dpo", "kto", "rm")}
    rates = {m: stages(f"compare {m}", lambda m=m: compared(admin, team, project, runs[m])) for m in ("dpo", "kto")}
    exported = stages("export", lambda: admin.do("export_dataset", project=project, license="apache-2.0"))
    rows = stages("read back", lambda: read_back(Path(exported["folder"])))
    return {
        "labels": pairs,
        "thumbs": thumbs,
        "reward_model_accuracy": reward_accuracy(admin, runs["rm"]),
        "win_rate": rates,
        "rows_exported": rows,
        "seconds": stages.seconds,
    }


def start_server(home: Path) -> tuple[subprocess.Popen, str, str]:
    """A real server of its own on a free port; its address and the token of the one-time link it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home.mkdir(parents=True, exist_ok=True)
    said = home / "server.txt"
    with said.open("wb") as out:
        command = [sys.executable, "-m", "workbench.cli", "serve", "--home", str(home), "--port", str(port)]
        server = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        link = next((w for w in said.read_text().split() if "/welcome#" in w), None)
        if link and ready(f"http://127.0.0.1:{port}"):
            return server, f"http://127.0.0.1:{port}", link.split("#")[1]
        time.sleep(0.1)
    server.kill()
    raise EngineError(f"the server did not start: {said.read_text()[-500:]}")


def ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz").json().get("ready", False)
    except (httpx.HTTPError, ValueError):
        return False


def trained(admin: Player, project: int, method: str) -> int:
    """Train the demo model with the method's preset and wait. Returns the run's number."""
    number = admin.do("train", project=project, method=method, model="demo-tiny")["run"]
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        status = admin.do("run", number=number)["status"]
        if status["state"] in END_STATES:
            break
        time.sleep(0.3)
    if status["state"] != "done":
        raise EngineError(f"{method} ended as {status['state']}: {status['message']}")
    return number


def compared(admin: Player, team: list[Player], project: int, run: int, base: str = "demo-tiny") -> float:
    """Blind votes on held-out prompts: the run's share of wins over the base among decided votes."""
    admin.do("compare_set", project=project, models=[base, f"run-{run}"])
    for player in team:
        player.label(project, "pair")
    results = admin.do("compare_results", project=project)["results"]
    return round(1 - next(r["win_rate"] for r in results if r["b"] == f"run-{run}"), 3)


def reward_accuracy(admin: Player, run: int) -> float:
    lines = admin.do("run", number=run)["metrics"]
    return round(next(line["eval_accuracy"] for line in reversed(lines) if line.get("eval_accuracy") is not None), 3)


def read_back(folder: Path) -> int:
    """Rows of every config of the exported folder, as `datasets` reads them offline."""
    from datasets import load_dataset

    configs = [path.name for path in folder.iterdir() if any(path.glob("*.parquet"))]
    with tempfile.TemporaryDirectory() as cache:
        loaded = [load_dataset(str(folder), name, cache_dir=cache) for name in configs]
        return sum(len(split) for parts in loaded for split in parts.values())
