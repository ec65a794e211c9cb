"""Upload to a Hub on loopback in a real child: bytes, stale files, retries, refusals, and where the token never is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fake_hub import TOKEN, FakeHub, Repo, running
from frozen import snapshot

from workbench.cli import main
from workbench.formats.hub import export_dataset


@pytest.fixture(scope="module")
def hub():
    with running() as found:
        yield found


def job(module: str, folder: Path, hub: FakeHub, config: dict[str, Any], token: str | None = TOKEN) -> dict[str, Any]:
    """Run a child of the Hub as the server does; its result."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_ENDPOINT": hub.url}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"} | ({"HF_TOKEN": token} if token else {})
    command = [sys.executable, "-m", f"workbench.formats.{module}", "--job", str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr + (folder / "result.json").read_text()
    assert TOKEN not in told
    return json.loads((folder / "result.json").read_text())


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export_dataset(snapshot(tmp_path / "snap"), tmp_path / "out", title="Tea or coffee", license="cc-by-4.0")
    return tmp_path / "out"


def there(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.rule("S37")
def test_the_command_pushes_what_it_exports(hub, tmp_path, monkeypatch, capsys):
    for name, value in {"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    lines = [{"prompt": f"Tea {n}?", "chosen": f"Yes {n}", "rejected": f"No {n}"} for n in range(9)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    home = ["--home", str(tmp_path / "home")]
    assert main(["import", str(tmp_path / "a.jsonl"), "--project", "tea", *home]) == 0
    assert main(["export", "--push", "someone/command", "--public", "--out", str(tmp_path / "out"), *home]) == 0
    told = capsys.readouterr()
    assert f"pushed to {hub.url}/datasets/someone/command" in told.out
    assert TOKEN not in told.out + told.err
    repo = hub.repos["datasets", "someone/command"]
    files = hub.files("datasets", "someone/command")
    assert {k: v for k, v in files.items() if k != ".gitattributes"} == there(tmp_path / "out")
    assert (repo.private, [tag[:9] for tag in repo.tags]) == (False, ["snapshot-"])


@pytest.mark.rule("S37")
def test_what_is_pushed_is_the_folder_byte_for_byte(hub, exported, tmp_path):
    config = {"folder": str(exported), "repo": "someone/tea", "kind": "dataset", "private": True, "tag": "snapshot-1"}
    result = job("push", tmp_path / "job", hub, config)
    repo = hub.repos["datasets", "someone/tea"]
    files = hub.files("datasets", "someone/tea")
    assert {k: v for k, v in files.items() if k != ".gitattributes"} == there(exported)
    assert result == {"url": f"{hub.url}/datasets/someone/tea", "commit": repo.commits[-1][0]}
    assert repo.private
    assert repo.tags == {"snapshot-1": result["commit"]}


LOAD = """
from datasets import load_dataset
found = load_dataset("someone/loaded", "preference")
print({split: rows["chosen"][0] for split, rows in found.items()})
"""


def test_what_is_pushed_can_be_loaded(hub, exported, tmp_path):
    config = {"folder": str(exported), "repo": "someone/loaded", "kind": "dataset", "private": True, "tag": None}
    job("push", tmp_path / "job", hub, config)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", LOAD], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "'test': [{'role': 'assistant', 'content': ' Yes 3.'}]" in done.stdout


def test_a_second_push_leaves_no_old_shard_behind(hub, exported, tmp_path):
    config = {"folder": str(exported), "repo": "someone/twice", "kind": "dataset", "private": True, "tag": None}
    job("push", tmp_path / "one", hub, config)
    shard = next((exported / "preference").glob("train-*"))
    shard.rename(shard.with_name("train-00000-of-00002.parquet"))
    job("push", tmp_path / "two", hub, config)
    assert [p for p in hub.files("datasets", "someone/twice") if p.startswith("preference/train")] == [
        "preference/train-00000-of-00002.parquet"
    ]


def test_a_busy_hub_is_asked_again(hub, exported, tmp_path):
    hub.failures = [503, 429]
    config = {"folder": str(exported), "repo": "someone/busy", "kind": "dataset", "private": True, "tag": None}
    assert "error" not in job("push", tmp_path / "job", hub, config)


@pytest.mark.parametrize(
    ("repo", "token", "says"),
    [
        ("someone/x", None, "no Hub token"),
        ("someone/x", "hf_wrongwrongwrong", "does not know the token"),
        ("../x", TOKEN, "write owner/name"),
        ("file:///etc", TOKEN, "write owner/name"),
        ("http://169.254.169.254/x", TOKEN, "write owner/name"),
    ],
)
@pytest.mark.rule("S16")
def test_a_refusal_names_the_way_out(hub, exported, tmp_path, repo, token, says):
    before = len(hub.requests)
    config = {"folder": str(exported), "repo": repo, "kind": "dataset", "private": True, "tag": None}
    result = job("push", tmp_path / "job", hub, config, token)
    assert says in result["error"]
    assert "token" in says or len(hub.requests) == before


def test_a_model_goes_up_and_comes_back(hub, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md"):
        (model / name).write_bytes(name.encode() * 10)
    config = {"folder": str(model), "repo": "someone/bot", "kind": "model", "private": True, "tag": None}
    commit = job("push", tmp_path / "up", hub, config)["commit"]
    hub.repos["models", "someone/bot"].commits[-1][1].update(
        {"evil.py": b"print()", "pytorch_model.bin": b"x", "onnx/model.safetensors": b"x", "workbench.json": b"[]"}
    )
    result = job("fetch", tmp_path / "down", hub, {"model": "someone/bot", "to": str(tmp_path / "got")}, None)
    assert result["commit"] == commit
    got = there(tmp_path / "got")
    assert json.loads(got.pop("workbench.json")) == {"hub": {"id": "someone/bot", "commit": commit}}
    assert got == there(model)


@pytest.mark.rule("S31")
def test_of_a_data_set_only_rows_are_fetched_at_one_commit(hub, exported, tmp_path):
    config = {"folder": str(exported), "repo": "someone/rows", "kind": "dataset", "private": True, "tag": None}
    commit = job("push", tmp_path / "up", hub, config)["commit"]
    hub.repos["datasets", "someone/rows"].commits[-1][1]["rows.py"] = b"raise SystemExit"
    result = job("fetch", tmp_path / "down", hub, {"dataset": "someone/rows", "to": str(tmp_path / "got")})
    assert result["commit"] == commit
    rows = {path for path in there(exported) if path.endswith((".parquet", ".jsonl"))}
    assert set(there(tmp_path / "got")) == rows == set(result["files"])
    table = pq.read_table(next((tmp_path / "got" / "preference").glob("train-*")))
    assert table.num_rows == 3


def test_a_model_without_safetensors_is_not_fetched(hub, tmp_path):
    repo = hub.repos["models", "someone/pickled"] = Repo(private=False)
    repo.add({"config.json": b"{}", "pytorch_model.bin": b"x"})
    result = job("fetch", tmp_path / "job", hub, {"model": "someone/pickled", "to": str(tmp_path / "got")}, None)
    assert "safetensors" in result["error"]
    assert not (tmp_path / "got").exists()


def test_what_is_not_there_is_said(hub, tmp_path):
    result = job("fetch", tmp_path / "job", hub, {"model": "someone/none", "to": str(tmp_path / "got")})
    assert "no such repository" in result["error"]
    assert not (tmp_path / "got").exists()
