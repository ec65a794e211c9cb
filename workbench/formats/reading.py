"""What one row says: prompt, candidates and votes in the order of the file. Leaves out how rows spell it (`row`)."""

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from workbench.formats.strict import Reject
from workbench.schema import Candidate, Form, Json, Message, digest

Messages = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A label as the file has it; candidates are named by their place in `Reading.candidates`."""

    kind: str
    payload: dict[str, Json]
    annotator: str | None = None
    axis: str = "overall"
    reason: dict[str, Json] | None = None
    ms_active: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one row says. With votes it is one item; without, its candidates are cut into items for the tasks."""

    prompt: Messages
    candidates: tuple[Candidate, ...] = ()
    votes: tuple[Vote, ...] = ()
    form: Form = "chat"
    tools: Json = None
    lang: str | None = None
    tags: tuple[str, ...] = ()
    root: str | None = None
    origin: dict[str, Json] = field(default_factory=dict)


def user(text: str, system: str | None = None) -> Messages:
    asked = (Message("user", text),)
    return (Message("system", system), *asked) if system else asked


def answered(messages: Messages, key: str) -> Messages:
    """Checks an answer: the assistant has the last word, and there is one."""
    if not messages or messages[-1].role != "assistant":
        raise Reject("bad_turns", key, messages[-1].content if messages else "")
    if not messages[-1].content.strip() and not messages[-1].extra:
        raise Reject("empty_answer", key, messages[-1].content)
    return messages


def parted(a: Messages, b: Messages) -> tuple[Messages, Messages, Messages]:
    """Two conversations as (common prompt, rest, rest), cut after the last common user or tool turn."""
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    cut = next((i for i in range(same, 0, -1) if a[i - 1].role in ("user", "tool")), 0)
    return a[:cut], a[cut:], b[cut:]


def comparable(messages: Messages) -> tuple[Any, ...]:
    """A copy for telling answers apart: NFC and strip."""
    return tuple((m.role, unicodedata.normalize("NFC", m.content).strip(), str(m.extra)) for m in messages)


def pair(
    prompt: Messages,
    first: Messages,
    second: Messages,
    choice: int | str | None = 0,
    *,
    strength: float | None = None,
    sources: tuple[str | None, str | None] = (None, None),
    annotator: str | None = None,
    **rest: Any,
) -> Reading:
    """Two answers and which one is better (0, 1, tie, both_bad); with None nobody said so."""
    told = {"choice": choice, "strength": strength if choice in (0, 1) and strength else None}
    votes = () if choice is None else (Vote(kind="pair", payload=told, annotator=annotator),)
    return compared(prompt, (Candidate(first, source=sources[0]), Candidate(second, source=sources[1])), votes, **rest)


def compared(prompt: Messages, candidates: tuple[Candidate, ...], votes: tuple[Vote, ...], **rest: Any) -> Reading:
    """Answers under one or more votes: nobody can choose between equal ones."""
    if votes and len({comparable(c.messages) for c in candidates}) < len(candidates):
        raise Reject("identical_answers", found=candidates[-1].messages[-1].content)
    return Reading(prompt=prompt, candidates=candidates, votes=votes, **rest)


def ranked(prompt: Messages, candidates: list[Candidate], ranks: list[float], **rest: Any) -> Reading:
    """Answers with ranks, the lowest best: equal ranks are a tier, equal answers count once, two answers are a pair."""
    found: dict[Any, tuple[float, Candidate]] = {}
    for rank, candidate in sorted(zip(ranks, candidates, strict=True), key=lambda pair: pair[0]):
        found.setdefault(comparable(candidate.messages), (rank, candidate))
    kept, order = tuple(c for _, c in found.values()), [rank for rank, _ in found.values()]
    if len(kept) < 2:
        return Reading(prompt=prompt, candidates=kept, **rest)
    if len(kept) == 2:
        payload: dict[str, Json] = {"choice": "tie" if order[0] == order[1] else 0, "strength": None}
        return Reading(prompt=prompt, candidates=kept, votes=(Vote(kind="pair", payload=payload),), **rest)
    tiers = [[i for i, rank in enumerate(order) if rank == level] for level in sorted(set(order))]
    return Reading(prompt=prompt, candidates=kept, votes=(Vote(kind="rank", payload={"tiers": tiers}),), **rest)


def thumb(prompt: Messages, completion: Messages, label: bool, **rest: Any) -> Reading:
    """One answer that is good or not."""
    vote = Vote(kind="thumb", payload={"candidate": 0, "label": label})
    return Reading(prompt=prompt, candidates=(Candidate(completion),), votes=(vote,), **rest)


def person(name: str) -> str:
    """A name that says who is who, and not who it is."""
    return f"a-{digest(name)[:10]}"
