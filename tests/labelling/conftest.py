"""A real store with items to label, a clock that tests turn, and short ways to answer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from workbench.labelling.queue import Queue
from workbench.labelling.submission import Submission
from workbench.schema import Candidate, Item, Message, make_item
from workbench.store import items, projects
from workbench.store.db import Store


class Clock:
    """A monotonic clock that stands until a test turns it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home) as store:
        yield store


@pytest.fixture
def project(store: Store) -> int:
    return projects.create(store, "lead", "Tea", overlap=0.0, gold=0.0, repeats=0.0).id


def item(project: int, question: str, *answers: str, **rest: Any) -> Item:
    candidates = tuple(Candidate((Message("assistant", text),), source=f"model of {text}") for text in answers)
    return make_item(project, (Message("user", question),), candidates, **rest)


@pytest.fixture
def fill(store: Store, project: int) -> Callable[..., list[int]]:
    """`fill(n)`: n pairs, their numbers; `fill(n, answers=1)`: thumbs."""

    def make(n: int, *, answers: int = 2, **rest: Any) -> list[int]:
        texts = [[f"answer {i} {k}" for k in range(answers)] for i in range(n)]
        return items.add(store, "lead", [item(project, f"question {i}", *t, **rest) for i, t in enumerate(texts)])

    return make


@pytest.fixture
def queue(store: Store, clock: Clock) -> Queue:
    return Queue(store, clock=clock)


def answer(shown: dict[str, Any], kind: str = "pair", **rest: Any) -> Submission:
    """A submission for an item as the browser got it."""
    payloads = {
        "pair": {"choice": 0, "strength": 2},
        "thumb": {"label": True},
        "skip": {"why": None},
        "flag": {"why": "broken"},
    }
    fields = {"uid": uuid4(), "tab": "t", "kind": kind, "payload": payloads.get(kind), "ms_shown": 4000} | rest
    return Submission(lease=shown["lease"], view=shown["view"], **fields)


@pytest.fixture
def say() -> Callable[..., Submission]:
    return answer


@pytest.fixture
def make() -> Callable[..., Item]:
    return item
