"""Children are known by number and start time, outlive nothing they should not, and hear no secrets."""

import time

import psutil

from workbench.jobs.process import alive, identity, start, stop


def wait_until(check, seconds=10.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_output_goes_to_the_log_and_the_end_is_noticed(tmp_path):
    pid, known = start("timeit", ["-n1", "-r1", "pass"], tmp_path)
    wait_until(lambda: not alive(pid, known))
    assert "loop" in (tmp_path / "log.txt").read_text()


def test_another_process_with_the_same_number_is_not_ours(tmp_path):
    pid, known = start("http.server", ["--bind", "127.0.0.1", "0"], tmp_path)
    assert alive(pid, known)
    assert not alive(pid, "123@another-boot")
    stop(pid, known, grace=5)
    assert identity(pid) is None


def test_secrets_of_the_server_stay_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_canary_canary_canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    pid, known = start("http.server", ["--bind", "127.0.0.1", "0"], tmp_path)
    environ = " ".join(f"{k}={v}" for k, v in psutil.Process(pid).environ().items())
    stop(pid, known, grace=5)
    assert "canary" not in environ
    assert "PROXY" not in environ
