"""The home folder: private, ours, with room, and locked for one process. Leaves out what lies in it."""

import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.errors import HomeInUse, HomeUnusable
from workbench.jobs.folder import read_json, write_json

FOLDERS = ("journal", "imports", "snapshots", "runs", "models", "exports", "backups", "cache", "tmp", "logs")
KEPT = ("quarantine", "trash")
LEAST_FREE = 200 * 2**20


def prepare(home: Path) -> Path:
    """The real path of the home with its folders; from here on all that this process writes is private."""
    os.umask(0o077)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = home.resolve()
        owner = home.stat().st_uid
        if owner != os.geteuid():
            raise HomeUnusable(f"home {home} belongs to user {owner}, we are user {os.geteuid()}: run as its owner")
        home.chmod(0o700)
        for name in (*FOLDERS, *KEPT):
            (home / name).mkdir(exist_ok=True)
    except OSError as error:
        raise HomeUnusable(f"home {home}: {error.strerror} ({error.filename}): choose another --home") from None
    if shortage := lacking(home):
        raise HomeUnusable(shortage)
    return home


def lacking(home: Path) -> str | None:
    """What to tell when the disk is too full to take labels safely, else nothing."""
    free = shutil.disk_usage(home).free
    if free >= LEAST_FREE:
        return None
    return f"only {free >> 20} MB free on the disk of {home}, labels need {LEAST_FREE >> 20} MB: free some space"


def take(home: Path, url: str) -> FileLock:
    """The lock of the home, held until released; `HomeInUse` names who holds it."""
    lock = FileLock(home / "server.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HomeInUse(in_use(home)) from None
    except OSError as error:
        raise HomeUnusable(f"home {home}: cannot lock {error.filename}: {error.strerror}") from None
    since = datetime.now(UTC).isoformat(timespec="seconds")
    mine = {"pid": os.getpid(), "since": since, "url": url, "token": secrets.token_urlsafe(32)}
    write_json(home / "server.json", mine)
    return lock


def in_use(home: Path) -> str:
    holder = read_json(home / "server.json") or {"pid": "?", "since": "?", "url": ""}
    where = f": {holder['url']}" if holder["url"] else ""
    return f"home {home} is open in process {holder['pid']} since {holder['since']}{where}"
