"""D12: pairs and thumbs in the five shapes that LLaMA-Factory trains on. `Columns` reads its dataset_info.json."""

from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.formats.reading import Messages, Reading, answered, pair, parted, thumb, user
from workbench.formats.row import ROLES, Row, wrong_type
from workbench.formats.strict import Reject, decode
from workbench.schema import Json, Role

# Column names of dataset_info.json, and what they are called when it says nothing.
USUAL = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
TAGS: dict[str, Role] = {
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
    "observation_tag": "tool",
}


def detect(row: Row) -> bool:
    two = row.has("chosen", "rejected")
    if row.has("chosen_messages", "rejected_messages"):
        return True
    if "conversations" in row:
        return two or "kto_tag" in row
    output = row.get("output")
    return "instruction" in row and (two or (isinstance(output, list) and len(output) == 2) or "kto_tag" in row)


def read(row: Row) -> list[Reading]:
    rest: dict[str, Json] = {"tools": tools(row), "lang": row.lang()}
    if "chosen_messages" in row:
        prompt, chosen, rejected = parted(row.conversation("chosen_messages"), row.conversation("rejected_messages"))
        row.asked(prompt, "chosen_messages")
        return [pair(prompt, answered(chosen, "chosen_messages"), answered(rejected, "rejected_messages"), **rest)]
    if "kto_tag" in row:
        prompt, answer = _asked_and_answered(row)
        return [thumb(prompt, answer, row.flag("kto_tag"), **rest)]
    if isinstance(row.get("output"), list) and "chosen" not in row:
        answers = row.array("output")
        if len(answers) != 2:
            raise wrong_type("output", answers)
        return [pair(alpaca(row), *(row.said(answer, "output") for answer in answers), **rest)]
    prompt = (
        row.asked(with_system(row, row.conversation("conversations")), "conversations")
        if "conversations" in row
        else alpaca(row)
    )
    return [pair(prompt, row.answer("chosen"), row.answer("rejected"), **rest)]


def alpaca(row: Row) -> Messages:
    """Earlier rounds, then instruction and input as one user turn."""
    instruction, extra = row.text("instruction"), row.text("input", "")
    asked = user(f"{instruction}\n{extra}" if extra else instruction)
    return row.asked(with_system(row, history(row) + asked), "instruction")


def history(row: Row) -> Messages:
    """Rounds of [question, answer]."""
    rounds = row.array("history") if row.get("history") else []
    if not all(isinstance(r, list) and len(r) == 2 for r in rounds):
        raise Reject("wrong_type", "history", rounds)
    said = [
        {"role": role, "content": text} for r in rounds for role, text in zip(("user", "assistant"), r, strict=True)
    ]
    return row.messages(said, "history")


def with_system(row: Row, messages: Messages) -> Messages:
    """A system column goes first, unless the turns bring their own."""
    system = row.text("system", "")
    return user("", system)[:1] + messages if system and messages[:1] and messages[0].role != "system" else messages


def tools(row: Row) -> Json:
    """Tool descriptions: JSON, or JSON in a text; an empty one is none."""
    found = row.get("tools")
    if isinstance(found, str) and found.strip():
        found = decode(found.encode())
    return found or None


def _asked_and_answered(row: Row) -> tuple[Messages, Messages]:
    if "conversations" not in row:
        return alpaca(row), row.answer("output")
    turns = with_system(row, row.conversation("conversations"))
    answer = answered(turns[-1:], "conversations")
    return row.asked(turns[:-1], "conversations"), answer


class Columns:
    """What a dataset_info.json beside the file says about it: other column names and role names."""

    def __init__(self, path: Path, name: str) -> None:
        entry = _entry(path.parent / "dataset_info.json", name)
        columns, tags = entry.get("columns") or {}, entry.get("tags") or {}
        self.names = {actual: USUAL.get(usual, usual) for usual, actual in columns.items()}
        self.parts = {tags.get("role_tag", "from"): "role", tags.get("content_tag", "value"): "content"} if tags else {}
        self.roles: dict[str, Role] = ROLES | {tags[tag]: role for tag, role in TAGS.items() if tag in tags}

    def row(self, fields: dict[str, Any], cells: bool) -> Row:
        fields = {self.names.get(key, key): self._renamed(value) for key, value in fields.items()}
        return Row(fields, cells=cells, roles=self.roles)

    def _renamed(self, value: Any) -> Any:
        if not self.parts or not isinstance(value, list | dict):
            return value
        if isinstance(value, list):
            return [self._renamed(part) if isinstance(part, dict) else part for part in value]
        return {self.parts.get(key, key): part for key, part in value.items()}


def _entry(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > 2**20:
        return {}
    try:
        known = decode(path.read_bytes())
    except Reject as reject:
        raise InputError(f"{path.name}: not valid JSON ({reject.reason}); mend it or move it away") from None
    entries = known.values() if isinstance(known, dict) else ()
    return next((e for e in entries if isinstance(e, dict) and e.get("file_name") == name), {})
