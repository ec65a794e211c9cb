"""The folder protocol from the child's side."""

import threading

from workbench.generation import worker
from workbench.jobs.folder import read_lines, write_json


def test_it_answers_what_waits_and_ends_when_nobody_asks(tmp_path, base):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "outbox").mkdir()
    prompt = {"id": "p", "messages": [{"role": "user", "content": "Hi"}]}
    fine = {"models": [{"name": "m", "path": str(base)}], "prompts": [prompt], "sampling": {"max_new_tokens": 3}}
    write_json(tmp_path / "inbox" / "a.json", {"id": "a", **fine})
    write_json(tmp_path / "inbox" / "b.json", {"id": "b", **fine, "prompts": []})
    (tmp_path / "inbox" / "c.json").write_text("{")
    worker.serve(tmp_path, idle=0.3)
    lines = {path.stem: read_lines(path)[0] for path in (tmp_path / "outbox").iterdir()}
    assert lines["a"][-1] == {"end": True}
    assert lines["a"][-2]["done"]
    assert "prompts" in lines["b"][-1]["error"]
    assert "JSON" in lines["c"][-1]["error"]
    assert (tmp_path / "alive").exists()
    assert list((tmp_path / "inbox").iterdir()) == []


def test_it_ends_with_its_folder(tmp_path):
    folder = tmp_path / "gone"
    serving = threading.Thread(target=worker.serve, args=(folder, 60))
    serving.start()
    serving.join(timeout=5)
    assert not serving.is_alive()
