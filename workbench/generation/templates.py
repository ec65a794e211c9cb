"""Chat templates are foreign code: here they run with a time limit, and their faults become clear errors."""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.errors import EngineError
from workbench.generation.request import Prompt
from workbench.training.data import Dropped, stops
from workbench.training.data import prompt_ids as trained_ids

SECONDS = 5.0


class Endless(BaseException):
    """Not an `Exception`, which code around the template might catch."""


def stop_ids(tokenizer: Any, model: str, eos: int | Iterable[int] | None) -> frozenset[int]:
    """The ids that end an answer, the same as in training."""
    with ending(model):
        return stops(tokenizer, eos).ids


def prompt_ids(tokenizer: Any, model: str, prompt: Prompt) -> list[int]:
    """The ids to go on from, the same as in training."""
    try:
        with ending(model):
            ids = trained_ids(tokenizer, prompt.form, [turn.model_dump() for turn in prompt.messages])
    except Dropped as reason:
        raise EngineError(f"the chat template of {model} refuses prompt {prompt.id}: {reason.args[-1]}") from None
    if not ids:
        raise EngineError(f"prompt {prompt.id} is empty: there is nothing for {model} to go on from")
    return ids


@contextmanager
def ending(model: str) -> Iterator[None]:
    """Interrupts what does not end. Only the main thread, where the child does all its work, can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: Any) -> None:
        raise Endless

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    except Endless:
        raise EngineError(f"the chat template of {model} ran for {SECONDS:g} s without an end") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
