"""D18: battles of two models: whole conversations and a winner, or the flat file with JSON lists in text."""

from typing import Any

from workbench.formats.reading import Messages, Reading, answered, pair, parted, person
from workbench.formats.row import Row, wrong_type
from workbench.formats.strict import Reject, decode

WINNER = {"model_a": 0, "model_b": 1, "tie": "tie", "tie (bothbad)": "both_bad", "both_bad": "both_bad"}
FLAT = {"winner_model_a": 0, "winner_model_b": 1, "winner_tie": "tie"}


def detect(row: Row) -> bool:
    battle = row.has("conversation_a", "conversation_b", "winner")
    return row.has("model_a", "model_b") and (battle or row.has("prompt", "response_a", "response_b", *FLAT))


def read(row: Row) -> list[Reading]:
    if "winner" in row:
        prompt, first, second = parted(row.conversation("conversation_a"), row.conversation("conversation_b"))
        choice = WINNER.get(row.text("winner"))
    else:
        prompt, first, second = parted(_flat(row, "response_a"), _flat(row, "response_b"))
        won = [key for key in FLAT if row.number(key) == 1]
        choice = FLAT[won[0]] if len(won) == 1 else None
    if choice is None:
        raise Reject("bad_choice", "winner", row.fields.get("winner"))
    rest = {
        "sources": (row.text("model_a"), row.text("model_b")),
        "annotator": person(str(row.get("judge"))) if "judge" in row else None,
        "lang": row.lang(),
    }
    prompt = row.asked(prompt, "conversation_a")
    return [pair(prompt, answered(first, "conversation_a"), answered(second, "conversation_b"), choice, **rest)]


def _flat(row: Row, key: str) -> Messages:
    """Turns of the user and of one model, each a JSON list in a text."""
    asked, said = _texts(row, "prompt"), _texts(row, key)
    if len(asked) != len(said):
        raise Reject("bad_turns", key, f"{len(asked)} questions, {len(said)} answers")
    turns = (
        (role, text)
        for two in zip(asked, said, strict=True)
        for role, text in zip(("user", "assistant"), two, strict=True)
    )
    return row.messages([{"role": role, "content": text} for role, text in turns], key)


def _texts(row: Row, key: str) -> list[str]:
    found: Any = decode(row.text(key).encode())
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise wrong_type(key, found)
    return found
