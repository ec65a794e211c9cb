"""How a child and the server talk: small files in one folder. Leaves out what the files mean to each kind of job."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.jobs.process import identity

END_STATES = frozenset({"done", "stopped", "failed", "diverged", "out_of_memory", "disk_full", "interrupted"})


def write_json(path: Path, value: Any) -> None:
    """Replace `path` at once: a reader sees the old or the new text, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(value, out, ensure_ascii=False, indent=1)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path, default: Any = None) -> Any:
    """The value, or `default` when the file is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextmanager
def aside(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that takes its place, synced and whole, or goes when the block fails."""
    part, old = (out.with_name(f".{out.name}.{end}") for end in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for path in (*part.rglob("*"), part):
            sync(path)
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        part.rename(out)
        sync(out.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        raise


def append_line(path: Path, value: Any) -> None:
    """One JSON line in one write: a reader of complete lines never sees it torn."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def read_lines(path: Path, offset: int = 0) -> tuple[list[Any], int]:
    """Complete JSON lines from `offset` on, and the offset after them. A shorter file than before is read anew."""
    try:
        with path.open("rb") as source:
            if source.seek(0, os.SEEK_END) < offset:
                offset = 0
            source.seek(offset)
            data = source.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


class Reporter:
    """The child's side of a job folder: says where it is, appends metrics, hears the wish to stop."""

    def __init__(self, folder: Path, *, every: float = 2.0) -> None:
        self.folder, self.every = folder, every
        attempt = (read_json(folder / "status.json") or {}).get("attempt", 0) + 1
        self.fields: dict[str, Any] = {
            "attempt": attempt,
            "pid": os.getpid(),
            "identity": identity(os.getpid()),
            "state": "starting",
            "step": 0,
            "steps": None,
            "checkpoint": None,
            "message": None,
            "eta_s": None,
        }
        self._written = 0.0
        self._terminated: str | None = None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_terminate)

    def _on_terminate(self, *_: Any) -> None:
        self._terminated = "save_and_stop"

    def status(self, state: str | None = None, **fields: Any) -> None:
        """Write status.json now."""
        self.fields.update(fields, updated=time.time())
        if state is not None:
            self.fields["state"] = state
        write_json(self.folder / "status.json", self.fields)
        self._written = time.monotonic()

    def metric(self, line: dict[str, Any], **fields: Any) -> None:
        """Append one line to metrics.jsonl; status.json follows when it is older than `every` seconds."""
        append_line(self.folder / "metrics.jsonl", line)
        self.fields.update(fields)
        if time.monotonic() - self._written > self.every:
            self.status()

    def stop_requested(self) -> str | None:
        """`save_and_stop` or `stop` when asked for in control.json or by SIGTERM, else None."""
        return self._terminated or (read_json(self.folder / "control.json") or {}).get("action")


def child(work: Callable[[Path, Reporter], bool], about: str) -> None:
    """The main of a child that is started with --job FOLDER; its work is False when it was stopped."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--job", type=Path, required=True)
    folder = parser.parse_args().job
    report = Reporter(folder)
    report.status()
    try:
        ended = work(folder, report)
    except WorkbenchError as error:
        report.status("failed", message=error.message)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        report.status("failed", message=f"{type(error).__name__}: {error}")
    else:
        report.status("done" if ended else "stopped")
