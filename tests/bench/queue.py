"""`python -m tests.bench.queue`: how long a queue of a million items takes to build, to lease from, and what it holds.

Items and labels are made by the database itself and never leave this process; leaves out server and browser.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from workbench.labelling.queue import Queue
from workbench.schema import Event
from workbench.store import projects
from workbench.store.db import Store, uid

PEOPLE = 50
LEASES = 300
MINE, WANT = "eye", 10
ITEMS = """INSERT INTO items SELECT n, $project, 1, sha256(n::VARCHAR), sha256('g' || n), 'chat', 2,
    json_array({'role': 'user', 'content': 'Question ' || n || ': ' || repeat('why ', 40)})::VARCHAR,
    json_array({'messages': [{'role': 'assistant', 'content': repeat('because ', 60)}]},
        {'messages': [{'role': 'assistant', 'content': repeat('therefore ', 60)}]})::VARCHAR,
    NULL, 'en', '[]', '{}' FROM range(1, $n + 1) t(n)"""
# Nine of ten items have a label, the rest of the labels are seconds ones, all of them years old.
LABELS = """INSERT INTO judgements SELECT 100 + n, uuid(), TIMESTAMPTZ '2024-01-01' + n * INTERVAL 1 SECOND,
    1 + n % $have, 'ann' || ((n + n // $have) % $people), 'overall',
    CASE WHEN n < $have THEN 'label' ELSE 'overlap' END, 'control', 1, 'pair',
    '{"choice":' || n % 2 || ',"strength":2.0}', [0, 1], 4000, 3000, NULL, NULL, '' FROM range($n) t(n)"""


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="python -m tests.bench.queue", description=__doc__.splitlines()[0])
    out.add_argument("--items", type=int, default=1_000_000)
    out.add_argument("--labels", type=int, default=1_000_000)
    out.add_argument("--json", type=Path, help="file for the figures")
    return out


def main(arguments: list[str]) -> int:
    chosen = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder) / "home", chosen.items, chosen.labels)
    print(json.dumps(found, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measured(home: Path, n: int, labels: int) -> dict[str, Any]:
    """Seconds of a rebuild (the second one: the first also warms the database), milliseconds of a lease, megabytes."""
    with Store.open(home) as store:
        project = filled(store, n, labels)
        built(store, project)
        queue, seconds = built(store, project)
        told = {
            "items": n,
            "labels": labels,
            "rebuild_s": round(seconds, 2),
            **leased(queue, project, min(LEASES, n // 1000)),
        }
        return told | {"queue_mb": round(held(store, project) / 2**20, 1)}


def filled(store: Store, n: int, labels: int) -> int:
    """A project of so many pairs, most of them labelled, straight into the tables."""
    project = projects.create(store, "ada", "Bench", tasks=("pair",), gold=0.0, repeats=0.0).id
    counts = {"items": n, "judgements": 0, "lines": n, "accepted": n, "rejected": 0}
    store.append(
        Event(uid(), "ada", "import", {"id": 1, "project": project, "file": "made", "first_item": 1, **counts})
    )
    with store.transaction() as cur:
        cur.execute(ITEMS, {"project": project, "n": n})
        cur.execute(LABELS, {"have": n * 9 // 10, "people": PEOPLE, "n": labels})
    store.seq = 100 + labels
    return project


def built(store: Store, project: int) -> tuple[Queue, float]:
    begun = time.perf_counter()
    queue = Queue(store)
    queue.progress(MINE, project, "pair")
    return queue, time.perf_counter() - begun


def leased(queue: Queue, project: int, times: int) -> dict[str, float]:
    """Ten items for one tab after another, as the server gives them out: with their texts."""
    took = []
    for tab in range(times):
        begun = time.perf_counter()
        shown = queue.lease(f"{MINE}{tab % PEOPLE}", project, "pair", f"tab {tab}", WANT)["items"]
        took.append(1000 * (time.perf_counter() - begun))
        assert len(shown) == WANT
    names = ("lease_p50_ms", "lease_p95_ms", "lease_p99_ms")
    return {name: round(float(x), 2) for name, x in zip(names, np.quantile(took, [0.5, 0.95, 0.99]), strict=True)}


def held(store: Store, project: int) -> int:
    """Bytes of a queue: of Python and numpy, without what the database keeps in memory for itself."""
    tracemalloc.start()
    queue, _ = built(store, project)
    gc.collect()
    found, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert queue.lines
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
