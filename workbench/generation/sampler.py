"""Answers of several models to many prompts, as a stream of events: models that share a base answer in one batch."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch

from workbench.errors import EngineError
from workbench.generation.decoding import Answer, Row, decode
from workbench.generation.loading import Base, Shelf
from workbench.generation.request import Request, Sampling, Source
from workbench.generation.templates import prompt_ids

STREAMED = 8  # a request of more rows than a person can watch reports whole answers only
SECONDS_BETWEEN = 0.1
Event = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A row and whose answer it is."""

    prompt: str
    model: str
    sample: int
    tokenizer: Any
    row: Row


def answer(shelf: Shelf, request: Request) -> Iterator[list[Event]]:
    """What is new after each step, often nothing. Not going on with the iterator stops the work.

    An event is {"prompt", "model", "sample", "text", "done"}; text is the whole text so far, without special tokens.
    """
    streams = [_stream(base, places, request.sampling) for base, places in _by_base(shelf, request)]
    while streams:
        for stream in list(streams):
            events = next(stream, None)
            if events is None:
                streams.remove(stream)
            else:
                yield events


def _by_base(shelf: Shelf, request: Request) -> list[tuple[Base, list[Place]]]:
    sources = defaultdict(list)
    for source in request.models:
        sources[source.base_path or source.path].append(source)
    found = []
    for path, group in sources.items():
        base = shelf.base(path)
        found.append((base, [place for source in group for place in _places(base, source, request)]))
    return found


def _places(base: Base, source: Source, request: Request) -> Iterator[Place]:
    voice = base.voice(source)
    for prompt in request.prompts:
        ids = prompt_ids(voice.tokenizer, source.name, prompt)
        if len(ids) >= base.longest:
            raise EngineError(
                f"prompt {prompt.id} has {len(ids)} tokens; {source.name} reads at most {base.longest}: shorten it"
            )
        asked = f"{request.sampling.seed}|{source.name}|{prompt.model_dump_json(exclude={'id'})}"
        for k in range(request.sampling.n):
            row = Row(ids, voice.stops, _seed(f"{asked}|{k}"), voice.adapter)
            yield Place(prompt.id, source.name, k, voice.tokenizer, row)


def _seed(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:7], "big")


def _stream(base: Base, places: list[Place], sampling: Sampling) -> Iterator[list[Event]]:
    watched = len(places) <= STREAMED
    for batch in batches(places, base.budget, sampling.max_new_tokens):
        yield from _batch(base, batch, sampling, watched)


def batches(places: list[Place], budget: int, new_tokens: int) -> Iterator[list[Place]]:
    """Rows of like length together, at most `budget` tokens with their answers; a row alone may be longer."""
    batch: list[Place] = []
    for place in sorted(places, key=lambda p: len(p.row.prompt)):
        if batch and (len(batch) + 1) * (len(place.row.prompt) + new_tokens) > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _batch(base: Base, batch: list[Place], sampling: Sampling, watched: bool) -> Iterator[list[Event]]:
    """One batch; when the GPU has no room for it, its halves."""
    longest = max(len(place.row.prompt) for place in batch)
    fitting = sampling.model_copy(update={"max_new_tokens": min(sampling.max_new_tokens, base.longest - longest)})
    spoken: set[int] = set()
    try:
        told = time.monotonic()
        for answers in decode(base.model, [place.row for place in batch], fitting):
            ended = [i for i, a in enumerate(answers) if a.done and i not in spoken]
            spoken.update(ended)
            events = [event(batch[i], answers[i]) for i in ended]
            if watched and time.monotonic() - told >= SECONDS_BETWEEN:
                told = time.monotonic()
                events += [event(p, a) for p, a in zip(batch, answers, strict=True) if not a.done]
            yield events
        return
    except torch.OutOfMemoryError:
        rest = [place for i, place in enumerate(batch) if i not in spoken]
    if len(batch) == 1:
        raise EngineError("the GPU has no memory for one answer: choose a smaller model or fewer new tokens")
    torch.cuda.empty_cache()
    for part in (rest[: len(rest) // 2], rest[len(rest) // 2 :]):
        if part:
            yield from _batch(base, part, sampling, watched)


def event(place: Place, answer: Answer) -> Event:
    text = place.tokenizer.decode(answer.ids, skip_special_tokens=True)
    if not answer.done:
        text = text.rstrip("\ufffd")  # the first bytes of a letter whose last are still to come
    who = {"prompt": place.prompt, "model": place.model, "sample": place.sample}
    return {**who, "text": text, "done": answer.done}
