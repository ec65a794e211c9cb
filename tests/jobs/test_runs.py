"""Runs as the server sees them: one child at a time, found again after a restart, ended when it does not hear."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.errors import Conflict, NotFound
from workbench.jobs.folder import END_STATES, append_line, read_json, write_json
from workbench.jobs.process import identity, stop
from workbench.jobs.runs import GRACE, Runs
from workbench.training.hparams import RunConfig

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture
def queued(runs: Runs) -> Callable[[int], Path]:
    """`queued(1)`: a run whose model is not there, so that its real child cannot get far."""

    def make(number: int) -> Path:
        paths = {"model_path": str(runs.root / "gone"), "snapshot_path": str(runs.root / "gone")}
        named = {"method": "dpo", "model": "gone", "hparams": {}, "snapshot": "0" * 12}
        runs.create(RunConfig(run=number, project=1, **named, **paths))
        return runs.folder(number)

    return make


@pytest.fixture
def child() -> Iterator[Callable[[Path], subprocess.Popen]]:
    """`child(folder)`: a process of its own that never reads control.json, noted as the child of that run."""
    started: list[subprocess.Popen] = []

    def run(folder: Path) -> subprocess.Popen:
        started.append(process := subprocess.Popen(SLEEPS, start_new_session=True))
        write_json(folder / "child.json", {"pid": process.pid, "identity": identity(process.pid)})
        write_json(folder / "status.json", read_json(folder / "status.json") | {"state": "running", "attempt": 1})
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def ended(runs: Runs, number: int) -> str:
    end = time.monotonic() + 60
    while (state := runs.status(number)["state"]) not in END_STATES:
        assert time.monotonic() < end, state
        time.sleep(0.05)
    return state


def test_one_runs_and_the_other_waits(runs: Runs, queued: Callable) -> None:
    first, _ = queued(1), queued(2)
    runs.tick()
    runs.tick()
    assert [runs.status(n)["state"] == "queued" for n in (1, 2)] == [False, True]
    again = Runs(runs.root.parent)  # a restart of the server starts nobody twice
    known = read_json(first / "child.json")
    again.tick()
    assert read_json(first / "child.json") == known
    stop(known["pid"], known["identity"], grace=0)
    assert ended(again, 1) == "interrupted"
    again.tick()
    assert again.status(2)["state"] == "starting"
    second = read_json(again.folder(2) / "child.json")
    stop(second["pid"], second["identity"], grace=0)
    assert ended(again, 2) == "interrupted"


def test_who_is_taken_out_of_the_queue_can_come_back(runs: Runs, queued: Callable) -> None:
    queued(1)
    runs.stop(1)
    assert (runs.status(1)["state"], runs.status(1)["message"]) == ("stopped", "taken out of the queue")
    runs.resume(1)
    assert runs.status(1)["state"] == "queued"
    with pytest.raises(Conflict, match="run 1 is queued"):
        runs.resume(1)
    with pytest.raises(NotFound, match="no run 2"):
        runs.status(2)


@pytest.mark.rule("R15")
@pytest.mark.rule("R16")
def test_a_restarted_server_finds_a_living_child_and_misses_a_dead_one(
    runs: Runs, queued: Callable, child: Callable
) -> None:
    process = child(folder := queued(1))
    assert Runs(runs.root.parent).status(1)["state"] == "running"
    process.kill()
    process.wait()
    again = Runs(runs.root.parent)
    assert again.status(1)["state"] == "interrupted"
    assert "resume" in read_json(folder / "status.json")["message"]


@pytest.mark.rule("R15")
def test_a_number_that_another_process_has_now_is_not_our_child(runs: Runs, queued: Callable, child: Callable) -> None:
    process = child(folder := queued(1))
    write_json(folder / "child.json", {"pid": process.pid, "identity": "1@another boot"})
    assert runs.status(1)["state"] == "interrupted"
    assert process.poll() is None


def test_a_child_that_does_not_hear_is_ended_each_time(runs: Runs, queued: Callable, child: Callable) -> None:
    folder = queued(1)
    for _ in range(2):
        process = child(folder)
        runs.stop(1)
        asked = read_json(folder / "control.json")
        assert asked["action"] == "save_and_stop"
        runs.tick()
        assert process.poll() is None
        write_json(folder / "control.json", asked | {"since": asked["since"] - GRACE})
        runs.tick()
        process.wait(20)
        assert ended(runs, 1) == "interrupted"
        runs.resume(1)
        assert not (folder / "control.json").exists()


def test_long_metrics_keep_the_ends_and_the_evaluations(runs: Runs, queued: Callable) -> None:
    folder = queued(1)
    for step in range(1000):
        append_line(folder / "metrics.jsonl", {"step": step} | ({"eval_loss": 1.0} if step % 100 == 7 else {}))
    kept = [line["step"] for line in runs.metrics(1)]
    assert (kept[0], kept[-1]) == (0, 999)
    assert {n for n in range(1000) if n % 100 == 7} < set(kept)
    assert len(kept) < 400
