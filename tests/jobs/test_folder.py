"""The file protocol between a child and the server."""

import hashlib
import json
import os
import signal

import pytest

from workbench.jobs.folder import Reporter, append_line, aside, read_json, read_lines, sha256, write_json


def test_json_is_replaced_whole_and_missing_gives_the_default(tmp_path):
    path = tmp_path / "status.json"
    assert read_json(path, {}) == {}
    write_json(path, {"text": "好"})
    write_json(path, {"text": "better"})
    assert read_json(path) == {"text": "better"}
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_a_failing_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "status.json"
    write_json(path, {"n": 1})
    try:
        write_json(path, {"n": object()})
    except TypeError:
        pass
    assert read_json(path) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_reader_takes_complete_lines_only_and_goes_on_where_it_was(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    with path.open("ab") as out:
        out.write(b'{"step": 2')
    lines, offset = read_lines(path)
    assert lines == [{"step": 1}]
    with path.open("ab") as out:
        out.write(b"}\n")
    assert read_lines(path, offset)[0] == [{"step": 2}]


def test_a_shorter_file_is_read_from_the_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    append_line(path, {"step": 2})
    offset = read_lines(path)[1]
    path.write_text('{"step":1}\n')
    assert read_lines(path, offset)[0] == [{"step": 1}]


def test_reporter_tells_state_and_hears_stop(tmp_path):
    reporter = Reporter(tmp_path)
    reporter.status("running", steps=10)
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["steps"], status["pid"]) == ("running", 10, os.getpid())
    assert reporter.stop_requested() is None
    write_json(tmp_path / "control.json", {"action": "stop"})
    assert reporter.stop_requested() == "stop"


def test_reporter_takes_sigterm_as_save_and_stop(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    try:
        reporter = Reporter(tmp_path)
        os.kill(os.getpid(), signal.SIGTERM)
        assert reporter.stop_requested() == "save_and_stop"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    for text in ("old", "new"):
        with aside(out) as part:
            (part / "deep").mkdir()
            (part / "deep" / "text").write_text(text)
    with pytest.raises(FileNotFoundError), aside(out) as part:
        (part / "gone").rename(part / "text")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["deep"]
    assert (out / "deep" / "text").read_text() == "new"
    assert sha256(out / "deep" / "text") == hashlib.sha256(b"new").hexdigest()
