"""The child for real: asked, streaming, stopped, killed, stuck, asleep."""

import os
import signal
import time

import pytest

from workbench.errors import UsageError
from workbench.generation import client
from workbench.generation.client import Generator
from workbench.jobs import process
from workbench.jobs.folder import read_lines
from workbench.jobs.models import Model

LONG = {"temperature": 1.0, "max_new_tokens": 400, "n": 64}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def generator(home):
    generator = Generator(home)
    yield generator
    generator.close()
    assert not generator.folder.exists()


@pytest.fixture
def demo(base):
    return Model("demo-tiny", str(base))


def prompts(n=1):
    return [{"id": str(i), "messages": [{"role": "user", "content": f"What is 1 plus {i}?"}]} for i in range(n)]


def collect(events):
    found = list(events)
    assert set(found[-1]) <= {"end", "error"}
    return found[:-1], found[-1]


def test_a_base_and_its_adapter_answer(generator, demo, adapters):
    tuned = Model("run-1", str(adapters["left"]), "adapter", base="demo-tiny", base_path=demo.path)
    name = generator.ask([demo, tuned], prompts(2), {"temperature": 0, "max_new_tokens": 16})
    events, last = collect(generator.events(name))
    assert last == {"end": True}
    done = {(e["model"], e["prompt"]) for e in events if e["done"]}
    assert done == {(m, p) for m in ("demo-tiny", "run-1") for p in ("0", "1")}
    assert list((generator.folder / "outbox").iterdir()) == []


def test_a_stopped_request_ends_at_once(generator, demo):
    name = generator.ask([demo], prompts(9), LONG)
    generator.stop(name)
    start = time.monotonic()
    assert collect(generator.events(name))[1] == {"end": True}
    assert time.monotonic() - start < 5


def test_leaving_the_loop_stops_the_work(generator, demo):
    events = generator.events(generator.ask([demo], prompts(9), LONG))
    next(events)
    events.close()
    start = time.monotonic()
    collect(generator.events(generator.ask([demo], prompts(), {"max_new_tokens": 4})))
    assert time.monotonic() - start < 5


def test_a_short_question_does_not_wait_for_a_long_one(generator, demo):
    long = generator.ask([demo], prompts(9), LONG)
    short = generator.ask([demo], prompts(), {"max_new_tokens": 4})
    assert collect(generator.events(short))[1] == {"end": True}
    lines, _ = read_lines(generator.folder / "outbox" / f"{long}.jsonl")
    assert {"end": True} not in lines
    generator.stop(long)
    collect(generator.events(long))


def test_a_broken_model_is_an_error_and_the_child_lives(generator, demo, tmp_path):
    broken = Model("broken", str(tmp_path))
    _, last = collect(generator.events(generator.ask([broken], prompts(), {})))
    assert "config.json is missing" in last["error"]
    assert collect(generator.events(generator.ask([demo], prompts(), {"max_new_tokens": 4})))[1] == {"end": True}


def test_wrong_requests_are_refused_before_they_leave(generator, demo):
    with pytest.raises(UsageError, match=r"sampling.temperature: .* less than or equal to 2"):
        generator.ask([demo], prompts(), {"temperature": 3})
    with pytest.raises(UsageError, match="scores answers and cannot write"):
        generator.ask([Model("judge", demo.path, "reward")], prompts(), {})


@pytest.mark.rule("R25")
def test_a_dead_child_is_noticed(generator, demo):
    events, pid, known = working(generator, demo)
    os.kill(pid, signal.SIGKILL)
    assert noticed(events, "ended") < 10
    assert not process.alive(pid, known)


def test_a_question_that_a_dying_child_did_not_read_wakes_another(generator, demo):
    collect(generator.events(generator.ask([demo], prompts(), {"max_new_tokens": 4})))
    pid, known = generator._child
    os.kill(pid, signal.SIGSTOP)
    name = generator.ask([demo], prompts(), {"max_new_tokens": 4})
    os.kill(pid, signal.SIGKILL)
    assert collect(generator.events(name))[1] == {"end": True}
    assert generator._child != (pid, known)


@pytest.mark.rule("R25")
def test_a_stuck_child_is_noticed_and_ended(generator, demo, monkeypatch):
    events, pid, known = working(generator, demo)
    monkeypatch.setattr(client, "SILENT_SECONDS", 3.0)
    os.kill(pid, signal.SIGSTOP)
    assert noticed(events, "does not respond") < 10
    assert not process.alive(pid, known)


def test_a_child_left_by_an_earlier_server_is_ended(generator, demo, home):
    generator.ask([demo], prompts(), {})
    pid, known = generator._child
    later = Generator(home)
    later.ask([demo], prompts(), {})
    assert not process.alive(pid, known)
    child = later._child
    assert process.alive(*child)
    later.close()
    assert not process.alive(*child)


def test_a_child_that_cannot_start_says_why(tmp_path, demo, monkeypatch):
    monkeypatch.setattr(client, "WORKER", "workbench.generation.absent")
    generator = Generator(tmp_path)
    _, last = collect(generator.events(generator.ask([demo], prompts(), {})))
    assert "the model process ended" in last["error"]
    assert "No module named workbench.generation.absent" in last["error"]
    generator.close()


def working(generator, model):
    """A long request that has begun to answer, and the child that does."""
    events = generator.events(generator.ask([model], prompts(64), LONG))
    next(events)
    return events, *generator._child


def noticed(events, words):
    """Seconds until the events end with an error that says so."""
    start = time.monotonic()
    _, last = collect(events)
    assert words in last["error"]
    return time.monotonic() - start
