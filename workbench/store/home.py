"""The home folder: private, ours, with room, and locked for one process. Leaves out what lies in it."""

import logging
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from workbench.errors import HomeInUse, HomeUnusable
from workbench.jobs.folder import read_json, write_json

FOLDERS = ("journal", "imports", "snapshots", "runs", "models", "exports", "backups", "cache", "tmp", "logs")
KEPT = ("quarantine", "trash")
LEAST_FREE = 200 * 2**20
NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "lustre", "webdav", "davfs")
log = logging.getLogger(__name__)


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
    if kind := network(home, [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]):
        log.warning("home %s is on a network file system (%s), where locks are unsafe: use a local disk", home, kind)
    return home


def network(home: Path, mounts: list[tuple[str, str]]) -> str | None:
    """The kind of file system that `home` is on when it is one of the network."""
    around = [(len(point), kind) for point, kind in mounts if home.is_relative_to(point)]
    kind = max(around, default=(0, ""))[1]
    return kind if kind.startswith(NETWORK) else None


def lacking(home: Path) -> str | None:
    """What to tell when the disk is too full to take labels safely, else nothing."""
    free = shutil.disk_usage(home).free
    if free >= LEAST_FREE:
        return None
    return f"only {free >> 20} MB free on the disk of {home}, labels need {LEAST_FREE >> 20} MB: free some space"


def take(home: Path, url: str) -> FileLock:
    """The lock of the home, held until released; `HomeInUse` names who holds it."""
    lock = FileLock(home / "server.lock", mode=0o600, thread_local=False)
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
