"""D29: prompts, with or without answers, and no label. The plain way to bring in what is to be judged."""

from typing import Any

from workbench.formats.reading import Reading, user
from workbench.formats.row import CANDIDATES, Row, wrong_type
from workbench.formats.strict import Reject
from workbench.schema import Candidate

LABELS = frozenset(
    {
        *("chosen", "rejected", "label", "labels", "kto_tag"),
        *("winner", "winner_model_a", "choice", "preference", "preference_strength"),
        *("rank", "accept", "rating", "overall_preference", "better_response_id"),
        *("options", "annotations", "conversation_a", "message_tree_id", "completion", "tiers"),
    }
)
MANY = ("candidates", "responses", "answers")
ONE = ("response",)
TWO = ("answer1", "answer2")


def detect(row: Row) -> bool:
    asks = isinstance(row.get("prompt"), str | list) or isinstance(row.get("turns"), list)
    answers = row.get("answers")
    ranked = isinstance(answers, list) and any(isinstance(each, dict) and "rank" in each for each in answers)
    return asks and not ranked and not any(key in LABELS or key.endswith(".responses") for key in row.fields)


def read(row: Row) -> list[Reading]:
    rest = {"lang": row.lang(), "tags": _tags(row), "origin": _origin(row)}
    if "prompt" in row:
        return [Reading(prompt=row.prompt("prompt", row.text("system", "")), candidates=_answers(row), **rest)]
    turns = row.array("turns")
    if not turns or not isinstance(turns[0], str):
        raise wrong_type("turns", turns)
    return [Reading(prompt=row.asked(user(turns[0]), "turns"), **rest)]


def _answers(row: Row) -> tuple[Candidate, ...]:
    if key := next((key for key in MANY if key in row), None):
        values = row.array(key)
        if len(values) > CANDIDATES:
            raise Reject("too_many_candidates", key, f"{len(values)} candidates")
        return tuple(_candidate(row, value, key) for value in values)
    keys = [key for key in (*ONE, *TWO) if key in row]
    return tuple(Candidate(row.answer(key)) for key in keys)


def _candidate(row: Row, value: Any, key: str) -> Candidate:
    """A text, or an object with the text and the model that wrote it."""
    if not isinstance(value, dict) or "role" in value:
        return Candidate(row.said(value, key))
    said = next((value[k] for k in ("text", "response", "messages", "content") if value.get(k) is not None), None)
    model = value.get("model", value.get("source"))
    return Candidate(row.said(said, key), source=model if isinstance(model, str) else None)


def _tags(row: Row) -> tuple[str, ...]:
    tags = row.get("tags") if isinstance(row.get("tags"), list) else [row.get("topic"), row.get("category")]
    return tuple(tag for tag in tags if isinstance(tag, str))


def _origin(row: Row) -> dict[str, Any]:
    later = row.get("turns")[1:] if isinstance(row.get("turns"), list) else []
    return row.some("target", "reference") | ({"later_turns": later} if later else {})
