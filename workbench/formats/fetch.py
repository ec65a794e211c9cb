"""The child that downloads a Hub model or data set at one fixed commit: weights and rows, never code.

`python -m workbench.formats.fetch --job FOLDER`; config.json: {"model" or "dataset": id, "to": folder}.
"""

import shutil
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, hf_hub_download

from workbench.errors import InputError, UsageError
from workbench.formats.remote import api, patiently, repository, run_job
from workbench.jobs.folder import aside, write_json

WANTED = {
    "model": (
        "*.safetensors",
        "*.safetensors.index.json",
        *("config.json", "generation_config.json", "adapter_config.json", "chat_template.jinja"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
        *("vocab.json", "merges.txt", "README.md", "LICENSE*"),
    ),
    "dataset": ("*.parquet", "*.jsonl", "*.csv"),
}


NEEDED = {"model": ("*.safetensors",), "dataset": WANTED["dataset"]}


def fetch(config: dict[str, Any]) -> dict[str, Any]:
    """Download aside, then put the folder in place whole."""
    kind = "model" if "model" in config else "dataset"
    name, _, revision = config[kind].partition("@")
    repo, to = repository(name), Path(config["to"])
    if to.exists():
        raise UsageError(f"{to} exists already")
    hub = api()
    info = patiently(lambda: hub.repo_info(repo, repo_type=kind, revision=revision or None))
    names = [file.rfilename for file in info.siblings or [] if wanted(file.rfilename, kind)]
    if not any(fnmatch(name, pattern) for name in names for pattern in NEEDED[kind]):
        raise InputError(f"{repo}: nothing there that can be used; it takes {' or '.join(NEEDED[kind])}")
    with aside(to) as part:
        for file in names:
            _download(hub, part, repo, kind, file, info.sha)
        shutil.rmtree(part / ".cache", ignore_errors=True)
        if kind == "model":
            write_json(part / "workbench.json", {"hub": {"id": repo, "commit": info.sha}})
    return {"commit": info.sha, "files": names}


def _download(hub: HfApi, part: Path, repo: str, kind: str, file: str, commit: str) -> None:
    patiently(
        lambda: hf_hub_download(
            repo, file, repo_type=kind, revision=commit, local_dir=part, token=hub.token, endpoint=hub.endpoint
        )
    )


def wanted(name: str, kind: str) -> bool:
    """A file we read: by its own name, in the root for models, never outside the folder."""
    path = PurePosixPath(name)
    if not safe(name) or (kind == "model" and len(path.parts) > 1):
        return False
    return any(fnmatch(path.name, pattern) for pattern in WANTED[kind])


def safe(name: str) -> bool:
    """A relative path that stays below its folder on every system."""
    parts = name.split("/")
    odd = {"", ".", ".."} & set(parts) or any(c in name for c in "\\:\0") or any(ord(c) < 32 for c in name)
    return not odd and not any(part.startswith(".") for part in parts)


if __name__ == "__main__":
    run_job(fetch, __doc__)
