"""The server's side of generation: asks the child, reads its events, starts it when needed, notices when it is gone.

Leaves out torch and everything about models but their folders.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from workbench.errors import UsageError
from workbench.generation.request import checked
from workbench.jobs import process
from workbench.jobs.folder import read_json, read_lines, write_json
from workbench.jobs.models import Model

WORKER = "workbench.generation.worker"
START_SECONDS = 120.0  # libraries from a slow disk
SILENT_SECONDS = 8.0
POLL_SECONDS = 0.03


class Generator:
    """One child for one home. It starts with the first question and ends itself when nobody asks."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "tmp" / "generation"
        self._lock = threading.Lock()
        self._child: tuple[int, str] | None = None

    def ask(self, models: list[Model], prompts: list[dict[str, Any]], sampling: dict[str, Any]) -> str:
        """Hand a request to the child; its id, for `events` and `stop`.

        prompts     [{"id", "messages": [{"role", "content"}], "form": "chat" | "text"}]
        sampling    {"temperature", "top_p", "max_new_tokens", "seed", "n"}
        """
        if scorer := next((m.name for m in models if m.kind == "reward"), None):
            raise UsageError(f"{scorer} is a reward model: it scores answers and cannot write any")
        name = uuid4().hex
        sources = [{"name": m.name, "path": m.path, "base_path": _base(m)} for m in models]
        request = checked({"id": name, "models": sources, "prompts": prompts, "sampling": sampling})
        self._ensure(Path("inbox") / f"{name}.json", request.model_dump(mode="json"))
        return name

    def events(self, name: str, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Events as they come; the last one is {"end": true} or {"error": text}. Leaving the loop stops the work.

        timeout     seconds to wait for the next event; None waits as long as the child lives
        """
        out, offset, ended = self.folder / "outbox" / f"{name}.jsonl", 0, False
        pulse, heard = Pulse(self.folder), time.monotonic()
        try:
            while not ended:
                fault = self._fault(name, pulse)  # before reading: what a dead child wrote last still counts
                lines, offset = read_lines(out, offset)
                if lines:
                    heard = time.monotonic()
                elif fault or (timeout is not None and time.monotonic() - heard > timeout):
                    lines = [{"error": fault or f"no answer for {timeout:g} s"}]
                for line in lines:
                    ended = ended or "end" in line or "error" in line
                    yield line
                if not lines:
                    time.sleep(POLL_SECONDS)
        finally:
            if not ended:
                self.stop(name)
            out.unlink(missing_ok=True)

    def stop(self, name: str) -> None:
        """The child leaves off at its next step."""
        if self.folder.exists():
            (self.folder / "inbox" / f"{name}.stop").touch(mode=0o600)

    def close(self) -> None:
        """End the child and remove its folder."""
        with self._lock:
            self._end()

    def _ensure(self, file: Path, request: dict[str, Any]) -> None:
        """Put the request where a living child will find it."""
        with self._lock:
            if not self._alive():
                self._end()
                for part in ("inbox", "outbox"):
                    (self.folder / part).mkdir(parents=True, mode=0o700)
            write_json(self.folder / file, request)
            self._revive()

    def _revive(self) -> None:
        if not self._alive():
            (self.folder / "alive").unlink(missing_ok=True)
            self._child = process.start(WORKER, ["--job", str(self.folder)], self.folder)
            write_json(self.folder / "child.json", self._child)

    def _alive(self) -> bool:
        return self._child is not None and process.alive(*self._child)

    def _end(self) -> None:
        """Also a child that an earlier server left behind."""
        if known := read_json(self.folder / "child.json"):
            process.stop(*known, grace=1)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._child = None

    def _fault(self, name: str, pulse: "Pulse") -> str | None:
        """Why no answer will come. A child that ended without reading the question is replaced, once."""
        with self._lock:
            if self._alive() and pulse.beats():
                return None
            if not self._alive() and (self.folder / "inbox" / f"{name}.json").exists() and not pulse.replaced:
                self._revive()
                pulse.replaced = True
                return None
            why = "does not respond" if self._alive() else "ended"
            if self._child:
                process.stop(*self._child, grace=0)
            return f"the model process {why}{pulse.last_words()}; ask again"


class Pulse:
    """What one listener knows of the child: whether its heartbeat moves, by our own clock, and its last words."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log = folder / "alive", folder / "log.txt"
        self.seen, self.since = None, time.monotonic()
        self.said = self.log.stat().st_size if self.log.exists() else 0
        self.replaced = False

    def beats(self) -> bool:
        try:
            now = self.file.stat().st_mtime_ns
        except FileNotFoundError:
            now = None
        if now != self.seen:
            self.seen, self.since = now, time.monotonic()
        return time.monotonic() - self.since < (START_SECONDS if now is None else SILENT_SECONDS)

    def last_words(self) -> str:
        lines = self.log.read_bytes()[self.said :].decode(errors="replace").split("\n") if self.log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({last[:200]})" if last else ""


def _base(model: Model) -> str | None:
    return model.base_path if model.kind == "adapter" else None
