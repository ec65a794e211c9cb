"""The README's examples of the API run as they stand, with curl against a real server."""

import json
import os
import re
import shutil
import subprocess
from typing import Any
from uuid import uuid4

import pytest

from tests.test_docs import README

CURL = shutil.which("curl") or pytest.skip("no curl on this machine", allow_module_level=True)


def examples() -> list[str]:
    [block] = re.findall(r"^```shell\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    return [line for line in block.splitlines() if line.startswith("curl")]


def test_the_examples_run(server: Any) -> None:
    project = server.do("project_create", name="By curl", tasks=["pair"])["id"]
    client = server.user("lead-by-curl", "lead")
    token = client.post("/api/do/token_add", json={"title": "docs"}).json()["token"]
    label_one(client, f"/api/v1/projects/{project}")
    env = {"PATH": os.environ["PATH"], "TOKEN": token, "URL": server.base, "PROJECT": str(project)}
    answers = []
    for line in examples():
        ran = subprocess.run(["/bin/sh", "-c", line], env=env, capture_output=True, text=True, check=True)
        answers.append(json.loads(ran.stdout))
        assert "error" not in answers[-1], (line, answers[-1])
    _, stored, items, judged, leased, released, exported = answers
    assert (stored["new"], len(items["items"]), len(judged["judgements"]), len(leased["items"])) == (1, 2, 1, 1)
    assert [items["items"][-1]["id"]] == stored["ids"][0]
    assert (released["released"], sum(exported["rows"].values()) > 0) == (0, True)
    server.do("project_change", project=project, archived=True)


def label_one(client: Any, base: str) -> None:
    """Something to export."""
    client.post(f"{base}/items", json={"items": [{"prompt": "One?", "answers": ["a", "b"]}]})
    [item] = client.post(f"{base}/lease", json={"want": 1}).json()["items"]
    label = {"uid": str(uuid4()), "tab": "api", "kind": "pair", "payload": {"choice": 0, "strength": 2}}
    assert client.post(f"{base}/submit", json=label | {k: item[k] for k in ("lease", "view")}).status_code == 200
