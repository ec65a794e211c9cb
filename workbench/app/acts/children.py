"""Short children: a task in a folder, a result or an error back. Only the ones that reach the Hub may see its token."""

import os
import shutil
import time
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from workbench.app.house import House
from workbench.errors import EngineError
from workbench.jobs import process
from workbench.jobs.folder import read_json, write_json

NETWORK = ("HF_TOKEN", "HF_ENDPOINT", "HF_HOME", "HF_HUB_DISABLE_XET", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")


def finish(house: House, module: str, config: dict[str, Any], *, network: bool = False) -> dict[str, Any]:
    """Run `python -m module --job folder` on config.json and wait, however long: result.json, or its error."""
    folder = house.home / "tmp" / f"{module.rpartition('.')[2]}-{uuid4().hex[:12]}"
    folder.mkdir(parents=True, mode=0o700)
    write_json(folder / "config.json", config)
    env = {k: os.environ[k] for k in NETWORK if k in os.environ} | {"HF_HUB_OFFLINE": "0"} if network else None
    pid, known = process.start(module, ["--job", str(folder)], folder, env=env)
    try:
        while process.alive(pid, known):
            time.sleep(0.02)
    finally:
        process.stop(pid, known, grace=0)
    result = read_json(folder / "result.json") or {
        "error": f"{module} ended without a result; see {folder / 'log.txt'}"
    }
    if result.get("error"):
        raise EngineError(result["error"])
    shutil.rmtree(folder)
    return result


def push_folder(
    house: House, folder: Path, repo: str, *, kind: Literal["dataset", "model"], public: bool, tag: str | None = None
) -> str:
    """Upload `folder` as one commit; the address of the repository."""
    config = {"folder": str(folder), "repo": repo, "kind": kind, "private": not public, "tag": tag}
    return finish(house, "workbench.formats.push", config, network=True)["url"]
