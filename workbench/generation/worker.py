"""The child that answers: python -m workbench.generation.worker --job FOLDER

Requests come as FOLDER/inbox/<id>.json, events go to FOLDER/outbox/<id>.jsonl, FOLDER/inbox/<id>.stop ends a request.
Several requests take turns, step by step. Leaves out how answers are made (`sampler`).
"""

import argparse
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from workbench.errors import WorkbenchError
from workbench.generation.loading import Shelf
from workbench.generation.request import checked
from workbench.generation.sampler import answer
from workbench.jobs.folder import append_line

IDLE_SECONDS = 300.0
BEAT_SECONDS = 1.0
POLL_SECONDS = 0.03
AT_ONCE = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS)
    chosen = parser.parse_args()
    disable_progress_bar()  # the log is for complaints
    serve(chosen.job, chosen.idle)


def serve(folder: Path, idle: float) -> None:
    """Answer until nothing was asked for `idle` seconds, or the folder is gone."""
    shelf, active, last = Shelf(), {}, time.monotonic()
    threading.Thread(target=beat, args=(folder / "alive",), daemon=True).start()
    while folder.exists() and time.monotonic() - last < idle:
        for path in waiting(folder / "inbox")[: AT_ONCE - len(active)]:
            active[path.stem] = work(shelf, path, folder)
        for name, going in list(active.items()):
            if next(going, None) is None:
                del active[name]
        if active:
            last = time.monotonic()
        else:
            time.sleep(POLL_SECONDS)


def beat(path: Path) -> None:
    """Tells the other side that we are not stuck."""
    while path.parent.exists():
        path.touch(mode=0o600)
        time.sleep(BEAT_SECONDS)


def waiting(inbox: Path) -> list[Path]:
    """Requests, oldest first."""
    return sorted(inbox.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)


def work(shelf: Shelf, path: Path, folder: Path) -> Iterator[bool]:
    """One request, a step at a time; its last line is the end or an error, whatever happens."""
    out, stop = folder / "outbox" / f"{path.stem}.jsonl", path.with_suffix(".stop")
    text = path.read_text(encoding="utf-8")
    path.unlink()
    try:
        yield from _answer(shelf, text, out, stop)
        last = {"end": True}
    except WorkbenchError as error:
        last = {"error": error.message}
    except Exception as error:  # a fault of ours ends one request, not the child
        traceback.print_exc(file=sys.stderr)
        last = {"error": f"{type(error).__name__}: {error}"}
    append_line(out, last)
    stop.unlink(missing_ok=True)


def _answer(shelf: Shelf, text: str, out: Path, stop: Path) -> Iterator[bool]:
    for events in answer(shelf, checked(text)):
        for event in events:
            append_line(out, event)
        if stop.exists():
            return
        yield True


if __name__ == "__main__":
    main()
