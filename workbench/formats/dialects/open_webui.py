"""D26: feedback of Open WebUI: thumbs on one message of a chat, or a choice between two models' answers."""

from typing import Any

from workbench.formats.reading import Messages, Reading, Vote, pair, thumb
from workbench.formats.row import MESSAGES, Row, wrong_type
from workbench.formats.strict import Reject

GOOD = {1: True, -1: False, "1": True, "-1": False}


def detect(row: Row) -> bool:
    return row.get("type") == "rating" and row.has("data", "snapshot", "meta")


def read(row: Row) -> list[Reading]:
    data, meta = row.take("data", dict), row.take("meta", dict)
    chat = _messages(row)
    rated, rating = meta.get("message_id"), data.get("rating")
    if not isinstance(rating, int | str) or isinstance(rating, bool) or rating not in GOOD:
        raise Reject("bad_label", "data.rating", rating)
    if not isinstance(rated, str) or rated not in chat:
        raise Reject("missing_field", "meta.message_id", rated)
    path = _path(row, chat, rated)
    prompt, answer, good = row.asked(path[:-1], "snapshot"), path[-1:], GOOD[rating]
    row.said([{"role": m.role, "content": m.content} for m in answer], "snapshot")
    if other := _sibling(chat, rated, data.get("sibling_model_ids")):
        sources = tuple(_model(chat[key]) for key in (rated, other))
        made = pair(prompt, answer, _path(row, chat, other)[-1:], 0 if good else 1, sources=sources)
    else:
        made = thumb(prompt, answer, good)
    return [_reasoned(made, data)]


def _messages(row: Row) -> dict[str, Any]:
    value: Any = row.take("snapshot", dict)
    for key in ("chat", "chat", "history", "messages"):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not all(isinstance(m, dict) for m in value.values()):
        raise wrong_type("snapshot", value)
    return value


def _path(row: Row, chat: dict[str, Any], key: Any) -> Messages:
    """The message and its parents, the oldest first."""
    found: list[Any] = []
    while isinstance(key, str) and key in chat and len(found) <= MESSAGES:
        found.append(chat[key])
        key = chat[key].get("parentId")
    return row.messages([{"role": m.get("role"), "content": m.get("content")} for m in reversed(found)], "snapshot")


def _sibling(chat: dict[str, Any], rated: str, models: Any) -> str | None:
    """The one other answer to the same question, when two models were asked."""
    parent = chat[rated].get("parentId")
    others = [key for key, m in chat.items() if key != rated and m.get("parentId") == parent and m.get("content")]
    return others[0] if models and parent and len(others) == 1 else None


def _model(message: dict[str, Any]) -> str | None:
    return message["model"] if isinstance(message.get("model"), str) else None


def _reasoned(made: Reading, data: dict[str, Any]) -> Reading:
    chips = [data["reason"]] if isinstance(data.get("reason"), str) and data["reason"] else []
    text = data["comment"] if isinstance(data.get("comment"), str) and data["comment"] else None
    if not chips and not text:
        return made
    [vote] = made.votes
    reasoned = Vote(kind=vote.kind, payload=vote.payload, reason={"chips": chips, "text": text})
    return Reading(prompt=made.prompt, candidates=made.candidates, votes=(reasoned,))
