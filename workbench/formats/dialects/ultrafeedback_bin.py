"""D06: a prompt, and two whole conversations (or texts) that begin with it."""

from workbench.formats.reading import Messages, Reading, answered, pair, parted
from workbench.formats.row import Row
from workbench.schema import Message


def detect(row: Row) -> bool:
    if not row.has("prompt", "chosen", "rejected"):
        return False
    prompt, chosen, rejected = row.get("prompt"), row.get("chosen"), row.get("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        return isinstance(prompt, str) and prompt != "" and chosen.startswith(prompt) and rejected.startswith(prompt)
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        return False
    if isinstance(prompt, list):
        return chosen[: len(prompt)] == prompt and rejected[: len(prompt)] == prompt and prompt != []
    return _asks(chosen, prompt) and _asks(rejected, prompt)


def read(row: Row) -> list[Reading]:
    origin = row.some("prompt_id", "score_chosen", "score_rejected", "source")
    tie = "score_chosen" in row and row.get("score_chosen") == row.get("score_rejected")
    rest = {"choice": "tie" if tie else 0, "origin": origin}
    if isinstance(row.get("chosen"), str):
        asked = row.text("prompt")
        chosen, rejected = (_strip(row.text(key), asked) for key in ("chosen", "rejected"))
        prompt, form = row.prompt("prompt"), "text"
    else:
        prompt, chosen, rejected = parted(row.conversation("chosen"), row.conversation("rejected"))
        form = "chat"
    prompt = row.asked(prompt, "prompt")
    return [pair(prompt, answered(chosen, "chosen"), answered(rejected, "rejected"), form=form, **rest)]


def _asks(conversation: list[object], prompt: object) -> bool:
    return any(isinstance(turn, dict) and prompt in (turn.get("content"), turn.get("value")) for turn in conversation)


def _strip(text: str, prompt: str) -> Messages:
    return (Message("assistant", text.removeprefix(prompt)),)
