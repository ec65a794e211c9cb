"""The words of the house: message, candidate, item, judgement, event, and the hashes that name them.

Leaves out where they are kept (`store`), how files spell them (`formats`) and who may write them (`labelling`, `app`).
"""

import hashlib
import json
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError, model_validator

from workbench.errors import UsageError

Role = Literal["system", "user", "assistant", "tool"]
AccountRole = Literal["annotator", "lead", "admin"]
Form = Literal["chat", "text"]
Task = Literal["pair", "thumb", "rank"]
Split = Literal["train", "test"]
Json = Any

ROLES: tuple[AccountRole, ...] = get_args(AccountRole)  # each may do what those before it may
MOST_CANDIDATES = 9  # of one ranking
LABEL_KINDS = ("pair", "rank", "best_worst", "thumb", "rating", "edit")
WRITE = "write"  # task and purpose of an answer that is written where all others are bad


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `extra` (tool calls, names) is hashed; `html` is the rendered form, in no hash, null for plain text.

    Python's own hash leaves out what is a dict: turns and candidates are keys of dicts.
    """

    role: Role
    content: str
    extra: dict[str, Json] | None = field(default=None, hash=False)
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer: usually one assistant message. `source` is a model name, `human`, or null."""

    messages: tuple[Message, ...]
    source: str | None = None
    gen: dict[str, Json] | None = field(default=None, hash=False)

    @property
    def hash(self) -> str:
        return digest([spoken(m) for m in self.messages])


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt and its candidates, sorted by hash so that an index says nothing about quality. Immutable.

    The number of candidates is the task: 0 waits for generation, 1 thumb, 2 pair, 3 to 9 rank.
    """

    project: int
    group_id: str
    form: Form
    prompt: tuple[Message, ...]
    candidates: tuple[Candidate, ...]
    tools: Json = None
    lang: str | None = None
    tags: tuple[str, ...] = ()
    origin: dict[str, Json] = field(default_factory=dict)
    id: int | None = None

    @property
    def key(self) -> str:
        """SHA-256 over what is asked and answered: two items with one key are one item of the project."""
        return digest(
            {
                "form": self.form,
                "prompt": [spoken(m) for m in self.prompt],
                "tools": self.tools,
                "candidates": [c.hash for c in self.candidates],
            }
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """One append-only act of one annotator on one item. Candidates are named by index, never by side."""

    uid: UUID
    item: int
    annotator: str
    kind: str
    payload: dict[str, Json]
    axis: str = "overall"
    purpose: str = "label"
    policy: str = "control"
    guideline: int | None = None
    shown_order: tuple[int, ...] | None = None
    ms_shown: int | None = None
    ms_active: int | None = None
    reason: dict[str, Json] | None = None
    supersedes: UUID | None = None
    ts: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Event:
    """Any other change of state: account, project, import, snapshot, run, export, setting."""

    uid: UUID
    actor: str
    kind: str
    payload: dict[str, Json]
    ts: datetime = field(default_factory=lambda: datetime.now(UTC))


class Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PairPayload(Payload):
    choice: Literal[0, 1, "tie", "both_bad"]
    strength: float | None = Field(None, gt=0, le=3)


class ThumbPayload(Payload):
    candidate: StrictInt = Field(0, ge=0)
    label: StrictBool


class RankPayload(Payload):
    """Tiers of candidates, best first; no tiers: none is acceptable."""

    tiers: list[list[StrictInt]] = Field(max_length=MOST_CANDIDATES)


class BestWorstPayload(Payload):
    best: StrictInt = Field(ge=0)
    worst: StrictInt = Field(ge=0)


class Turn(Payload):
    role: Role
    content: str = Field(max_length=1_000_000)


class EditPayload(Payload):
    """A better text in place of a candidate; `distance` in (0, 1] is how far it went from there.

    Both are null where an answer was written from nothing, which only purpose `write` does.
    """

    candidate: StrictInt | None = Field(ge=0)
    messages: list[Turn] = Field(min_length=1, max_length=512)
    distance: float | None = Field(gt=0, le=1)

    @model_validator(mode="after")
    def both_or_none(self) -> "EditPayload":
        if (self.candidate is None) != (self.distance is None):
            raise ValueError("candidate and distance: both, or both null")
        return self


class WhyPayload(Payload):
    why: str | None = Field(None, max_length=500)


class OfPayload(Payload):
    of: UUID


class GoldPayload(Payload):
    """A lead's word on what is right: `answer` is the payload of a label; `on` false takes it back."""

    answer: dict[str, Json] = {}
    explanation: str = Field("", max_length=2000)
    on: bool = True


class Reason(Payload):
    """Why somebody decided so."""

    chips: list[str] = Field([], max_length=20)
    text: str = Field("", max_length=2000)


PAYLOADS: dict[str, type[Payload]] = {
    "pair": PairPayload,
    "thumb": ThumbPayload,
    "rank": RankPayload,
    "best_worst": BestWorstPayload,
    "edit": EditPayload,
    "skip": WhyPayload,
    "flag": WhyPayload,
    "undo": OfPayload,
    "clear": OfPayload,
    "withdraw": WhyPayload,
    "gold": GoldPayload,
}


def check_payload(kind: str, payload: Json) -> dict[str, Json]:
    """The payload as it will be stored; `UsageError` names the field that is wrong."""
    if kind not in PAYLOADS:
        raise UsageError(f"unknown kind of judgement {kind!r}; one of {', '.join(PAYLOADS)}")
    try:
        return PAYLOADS[kind].model_validate(payload).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{kind}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Json) -> bytes:
    """Canonical JSON: UTF-8, keys sorted, no spaces, no NaN, non-ASCII kept."""
    return ENCODER.encode(value).encode()


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON, as hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def spoken(message: Message) -> list[Json]:
    """What of a message is hashed: role, content, extra. Never its rendering."""
    return [message.role, message.content, message.extra]


def folded(text: str) -> str:
    """A copy for comparing only: NFC, white space collapsed, case folded."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def group_of(prompt: tuple[Message, ...], root: str | None = None) -> str:
    """The group that never straddles train and test: the conversation root when known, else the first user turn."""
    first = next((m.content for m in prompt if m.role == "user"), prompt[0].content if prompt else "")
    return hashlib.sha256((root or folded(first)).encode()).hexdigest()


def split_hash(group_id: str, seed: int = 0) -> int:
    """0 to 9999, the place of a group on the line from test to train: adding data never moves it."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{group_id}".encode()).digest(), "big") % 10_000


CONTROL = 2000  # groups below are the control arm: asked in hash order, whatever a model says; test groups lie in it


def split_of(group_id: str, eval_share: float = 0.1, seed: int = 0) -> Split:
    return "test" if split_hash(group_id, seed) < 10_000 * eval_share else "train"


def make_item(
    project: int,
    prompt: tuple[Message, ...],
    candidates: tuple[Candidate, ...],
    *,
    form: Form = "chat",
    root: str | None = None,
    **rest: Json,
) -> Item:
    """An item in canonical form: equal candidates merged (the first one's source stays), then sorted by hash."""
    merged = {c.hash: c for c in reversed(candidates)}
    ordered = tuple(merged[h] for h in sorted(merged))
    return Item(project=project, group_id=group_of(prompt, root), form=form, prompt=prompt, candidates=ordered, **rest)


def messages_to_json(messages: tuple[Message, ...]) -> list[dict[str, Json]]:
    """As kept in the store: absent fields are left out."""
    every = ({"role": m.role, "content": m.content, "extra": m.extra, "html": m.html} for m in messages)
    return [{k: v for k, v in fields.items() if v is not None} for fields in every]


def messages_from_json(rows: list[dict[str, Json]]) -> tuple[Message, ...]:
    return tuple(Message(**row) for row in rows)
