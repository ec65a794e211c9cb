"""Child processes: start one, know it again after a restart, end it. Leaves out what it does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

# What a child may know of our surroundings: no tokens, no proxies, no settings of the server.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
TESTING = ("WORKBENCH_TESTING", "WORKBENCH_FAILPOINT")
BOOT = Path("/proc/sys/kernel/random/boot_id")
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}  # threads that wait sleep, and leave the processor to the server


def start(
    module: str, arguments: list[str], folder: Path, *, env: dict[str, str] | None = None, nice: int = 10
) -> tuple[int, str]:
    """Run `python -m module arguments` in its own session; its words go to folder/log.txt. Returns (pid, identity).

    It outlives this process, has no stdin, sees only an allow-list of the environment, and yields to the server.
    """
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**PATIENT, **surroundings(), **(env or {})},
            start_new_session=True,
            umask=0o077,
        )
    try:
        psutil.Process(child.pid).nice(nice)
    except (psutil.Error, OSError):
        pass  # already gone, or not ours to slow down
    return child.pid, identity(child.pid) or ""


def surroundings() -> dict[str, str]:
    """The environment of every child: an allow-list of ours, no telemetry, one core left to the server."""
    threads = str(max(1, (os.cpu_count() or 2) - 1))
    kept = {k: os.environ[k] for k in (*PASSED_ON, *TESTING) if k in os.environ}
    return {**kept, **QUIET, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}


def identity(pid: int) -> str | None:
    """What tells this process from a later one with the same number: start ticks and boot; None when gone.

    A zombie counts as gone. Linux reads field 22 of /proc/<pid>/stat, elsewhere psutil's start time serves.
    """
    if BOOT.exists():
        try:
            state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if state == "Z" else f"{rest[18]}@{BOOT.read_text().strip()}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def alive(pid: int | None, known: str | None) -> bool:
    """The process we started still runs: same number and same identity."""
    return pid is not None and bool(known) and identity(pid) == known


def stop(pid: int, known: str, *, grace: float = 60.0) -> None:
    """Ask with SIGTERM, wait `grace` seconds, then end the whole group. Never by name, never a reused number."""
    for sign, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        if not alive(pid, known):
            return
        try:
            os.killpg(pid, sign) if sign == signal.SIGKILL else os.kill(pid, sign)
        except ProcessLookupError:
            return
        end = time.monotonic() + wait
        while alive(pid, known) and time.monotonic() < end:
            time.sleep(0.05)
