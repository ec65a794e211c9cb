"""What a browser sends of one act, and the judgement it becomes: positions on screen turn into candidate indexes.

Leaves out whether it may be stored (`queue`).
"""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import UsageError
from workbench.labelling import names
from workbench.labelling.person import check_of
from workbench.labelling.views import View
from workbench.schema import MOST_CANDIDATES, WRITE, Candidate, Json, Judgement, Reason, check_payload

SIZES = {"pair": (2, 2), "thumb": (1, 1), "rank": (3, MOST_CANDIDATES)}  # how many answers an item of a task has
LONG = 4000  # words; in longer texts their order is not looked at, which could take seconds
KINDS = {"pair": ("pair",), "thumb": ("thumb",), "rank": ("rank", "best_worst"), WRITE: ("write",)}
TEXTS = ("edit", "write")  # kinds that bring a text


class Submission(BaseModel):
    """One act at the screen. Positions, never indexes: 0 is the answer shown first.

    `write` answers an item where all is bad, and is stored as an edit; an `edit` beside another answer ends no item.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    uid: UUID
    tab: str = Field(max_length=64)
    lease: str = Field(max_length=1000)
    view: str = Field(max_length=64)
    kind: Literal["pair", "thumb", "rank", "best_worst", "edit", "write", "skip", "flag", "undo"]
    payload: dict[str, Json]
    ms_shown: int = Field(0, ge=0, le=10**9)
    ms_active: int = Field(0, ge=0, le=10**9)
    reason: Reason | None = None
    guideline: int | None = None
    supersedes: UUID | None = None


def judgement_of(body: Submission, view: View, payload: dict[str, Json]) -> Judgement:
    return Judgement(
        uid=body.uid,
        item=view.item,
        annotator=view.annotator,
        kind="edit" if body.kind == "write" else body.kind,
        payload=payload,
        axis=view.axis,
        purpose=view.purpose,
        policy=view.policy,
        guideline=body.guideline,
        shown_order=view.order,
        ms_shown=body.ms_shown,
        ms_active=body.ms_active,
        reason=body.reason and body.reason.model_dump(),
        supersedes=body.supersedes,
    )


def kin(judgement: Judgement) -> tuple[str, int, str, str]:
    """What an act has in common with the one that it takes back."""
    check = WRITE if judgement.purpose == WRITE else check_of(judgement.purpose)
    return judgement.annotator, judgement.item, judgement.axis, check


def payload_of(body: Submission, view: View, candidates: tuple[Candidate, ...] = ()) -> dict[str, Json]:
    """What is said, by candidate index; `UsageError` when the item cannot be answered so.

    candidates    those of the item, for a kind that brings a text
    """
    if body.kind not in (*KINDS[view.task], "skip", "flag", "undo", *(() if view.task == WRITE else ("edit",))):
        raise UsageError(f"kind {body.kind!r}: this item asks for {view.task!r}")
    if body.kind in TEXTS:
        return text_of(body, view, candidates)
    return moved(checked(body.kind, body.payload, len(view.order)), view.order)


def checked(kind: str, payload: Json, answers: int) -> dict[str, Json]:
    """The payload, when so many answers can be judged like that; `UsageError` says why not."""
    payload = check_payload(kind, payload)
    if kind == "pair":
        decided = payload["choice"] in (0, 1)
        if payload["strength"] not in ((1, 2, 3) if decided else (None,)):
            raise UsageError(f"pair: strength {payload['strength']!r}: 1, 2 or 3 with a choice, else null")
    if kind == "thumb" and payload["candidate"] != 0:
        raise UsageError("thumb: candidate: there is only answer 0")
    placed = sorted(at for tier in payload.get("tiers", []) for at in tier)
    if kind == "rank" and (placed not in ([], list(range(answers))) or [] in payload["tiers"]):
        raise UsageError(f"rank: tiers {payload['tiers']}: each of {answers} answers once, or no tier at all")
    if kind == "best_worst" and (max(payload.values()) >= answers or payload["best"] == payload["worst"]):
        raise UsageError(f"best_worst: {payload}: two different answers of {answers}")
    return payload


def moved(payload: dict[str, Json], to: tuple[int, ...]) -> dict[str, Json]:
    """Every place in a label renamed: `to[old]` is the new one."""
    new = dict(payload)
    for key in ("choice", "best", "worst", "candidate"):
        if type(new.get(key)) is int:
            new[key] = to[new[key]]
    if "tiers" in new:
        new["tiers"] = [sorted(to[at] for at in tier) for tier in new["tiers"]]
    return new


def positions(payload: dict[str, Json], order: tuple[int, ...]) -> dict[str, Json]:
    """A stored label as it looks in this order on screen."""
    return moved(payload, tuple(order.index(i) for i in range(len(order))))


def text_of(body: Submission, view: View, candidates: tuple[Candidate, ...]) -> dict[str, Json]:
    """A text as it is stored: the turns of the candidate it comes from with a new last one, and how far it went.

    What is written may come from nothing, and from all that is on screen; it must be none of the answers there were.
    """
    position, text = body.payload.get("candidate"), body.payload.get("text")
    if not isinstance(text, str) or not text.strip() or set(body.payload) != {"candidate", "text"}:
        raise UsageError(f"{body.kind}: text: a text that is not empty, and nothing else")
    if position is None and body.kind == "write":
        index, before, role, original = None, (), "assistant", ""
    elif type(position) is int and 0 <= position < len(view.order):
        index = view.order[position]
        *before, last = candidates[index].messages
        role, original = last.role, last.content
    else:
        raise UsageError(f"{body.kind}: candidate {position!r}: from 0 to {len(view.order) - 1}")
    others = candidates if body.kind == "write" else ()
    text = uncovered(text, original, [m.content for c in others for m in c.messages])
    if text == original or text.strip() in [c.messages[-1].content.strip() for c in others]:
        raise UsageError(f"{body.kind}: text: it is unchanged")
    turns = [{"role": m.role, "content": m.content} for m in before] + [{"role": role, "content": text}]
    distance = None if index is None else distance_of(original, text)
    return check_payload("edit", {"candidate": index, "messages": turns, "distance": distance})


def distance_of(old: str, new: str) -> float:
    """1 - share of equal words in matching blocks (`difflib`), of long texts in any order; 0 for the same text."""
    if old == new:
        return 0.0
    matcher = SequenceMatcher(None, old.split(), new.split())
    long = len(matcher.a) + len(matcher.b) > LONG
    return max(0.0001, round(1 - (matcher.quick_ratio() if long else matcher.ratio()), 4))


def uncovered(text: str, original: str, others: Iterable[str] = ()) -> str:
    """An edited text with the names that were covered on screen back in their places.

    others    texts that a cover may have been copied from, where all covers stand for the same name
    """
    for begin, end in names.hits(original):
        text = text.replace(names.COVER, original[begin:end], 1)
    if names.COVER not in text:
        return text
    seen = {other[begin:end] for other in others for begin, end in names.hits(other)}
    if len(seen) != 1:
        raise UsageError(f"text: it has more {names.COVER} than there are covered names")
    return text.replace(names.COVER, seen.pop())
