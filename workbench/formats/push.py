"""The child that uploads an exported folder to the Hub as one commit, and checks what arrived.

`python -m workbench.formats.push --job FOLDER`. It alone has the token, from its environment or the Hub's own file.
"""

import hashlib
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, RepoFile

from workbench.errors import EngineError, UsageError
from workbench.formats.hub import NAMES
from workbench.formats.remote import api, patiently, repository, run_job
from workbench.jobs.folder import sha256

# What an older version may have left: an old shard beside a new one would double the rows.
STALE = {
    "dataset": [*(f"{name}/*" for name in NAMES), "extra/*"],
    "model": ["*.safetensors", "*.safetensors.index.json", "config.json", "adapter_config.json"],
}


def push(config: dict[str, Any]) -> dict[str, Any]:
    folder, repo, kind = Path(config["folder"]), repository(config["repo"]), config["kind"]
    hub = api()
    if not hub.token:
        raise UsageError("no Hub token: sign in with `hf auth login` or set HF_TOKEN, then push again")
    patiently(lambda: hub.create_repo(repo, repo_type=kind, private=config["private"], exist_ok=True))
    commit = patiently(lambda: _upload(hub, folder, repo, kind))
    _compare(hub, folder, repo, kind, commit)
    if tag := config.get("tag"):
        patiently(lambda: hub.create_tag(repo, tag=tag, revision=commit, repo_type=kind, exist_ok=True))
    return {"url": f"{hub.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repo}", "commit": commit}


def _upload(hub: HfApi, folder: Path, repo: str, kind: str) -> str:
    """One commit on top of the newest one, whose id stops two uploads from mixing."""
    newest = hub.repo_info(repo, repo_type=kind).sha
    done = hub.upload_folder(
        repo_id=repo,
        repo_type=kind,
        folder_path=folder,
        parent_commit=newest,
        delete_patterns=STALE[kind],
        ignore_patterns=[".*"],
        commit_message="Upload from Preference Workbench",
    )
    return done.oid


def _compare(hub: HfApi, folder: Path, repo: str, kind: str, commit: str) -> None:
    """Every file of the folder is there with the same bytes."""
    tree = patiently(lambda: list(hub.list_repo_tree(repo, recursive=True, revision=commit, repo_type=kind)))
    there = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    for path in (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        name = path.relative_to(folder).as_posix()
        if name not in there or not _same(path, there[name]):
            raise EngineError(f"{repo}: {name} is not on the Hub as it is here; push again")


def _same(path: Path, entry: RepoFile) -> bool:
    if entry.lfs:
        return entry.lfs.sha256 == sha256(path)
    data = path.read_bytes()
    return entry.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    run_job(push, __doc__)
