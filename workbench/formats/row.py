"""The fields of one row, taken with care by a dialect: each of the right type, or a `Reject` that names it."""

from itertools import pairwise
from typing import Any

from workbench.formats.reading import Messages, answered, user
from workbench.formats.strict import Reject, decode
from workbench.schema import Json, Message, Role

MESSAGES = 512
CANDIDATES = 64
ROLES: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model", "function_call"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
}
EXTRA = ("name", "tool_calls", "tool_call_id")
KINDS = {str: "text", bool: "true/false", int: "number", float: "number", list: "list", dict: "object"}


class Row:
    """Fields of one row. Null counts as absent; a field of another type is a `Reject` that names column and type."""

    def __init__(self, fields: dict[str, Any], *, cells: bool = False, roles: dict[str, Role] = ROLES) -> None:
        self.fields = {k: v for k, v in fields.items() if v is not None}
        self.cells, self.roles = cells, roles
        self.notes: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.fields

    def has(self, *keys: str) -> bool:
        return all(key in self.fields for key in keys)

    def get(self, key: str) -> Any:
        return self.fields.get(key)

    def take(self, key: str, *kinds: type) -> Any:
        """The value, of one of these types. A table's cell may hold a list or object as JSON."""
        if key not in self.fields:
            raise Reject("missing_field", key, self.fields)
        value = self.fields[key]
        if self.cells and value.startswith(("[", "{")) and kinds != (str,):
            value = _from_cell(value, kinds)
        if type(value) not in kinds:
            raise wrong_type(key, value)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return default if default is not None and key not in self.fields else self.take(key, str)

    def array(self, key: str) -> list[Any]:
        return self.take(key, list)

    def flag(self, key: str) -> bool:
        """A label: JSON true or false, in a table the words."""
        value = self.fields.get(key)
        if self.cells and isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise Reject("bad_label" if key in self.fields else "missing_field", key, value)
        return value

    def number(self, key: str) -> float:
        value = self.fields.get(key)
        if self.cells and isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                pass
        return self.take(key, int, float)

    def some(self, *keys: str) -> dict[str, Json]:
        """Those of the fields that are there, to be kept in `origin`."""
        return {key: self.fields[key] for key in keys if key in self.fields}

    def lang(self) -> str | None:
        found = self.fields.get("lang", self.fields.get("language"))
        return found if isinstance(found, str) and len(found) <= 16 else None

    def conversation(self, key: str) -> Messages:
        return self.messages(self.array(key), key)

    def prompt(self, key: str, system: str | None = None) -> Messages:
        """A text (one user turn) or messages, ready to be answered."""
        value = self.take(key, str, list)
        return self.asked(self.messages(value, key) if isinstance(value, list) else user(value, system), key)

    def answer(self, key: str) -> Messages:
        return self.said(self.take(key, str, list, dict), key)

    def said(self, value: Any, key: str) -> Messages:
        """An answer from a text, a message or messages: ends with the assistant and is not empty."""
        if isinstance(value, str):
            messages: Messages = (Message("assistant", value),)
        elif isinstance(value, dict):
            messages = (self.message(value, key),)
        elif isinstance(value, list):
            messages = self.messages(value, key)
        else:
            raise wrong_type(key, value)
        return answered(messages, key)

    def asked(self, messages: Messages, key: str) -> Messages:
        """Checks a prompt: something to answer, from a user or a tool."""
        if not messages or not messages[-1].content.strip():
            raise Reject("empty_prompt", key, messages[-1].content if messages else "")
        if messages[-1].role not in ("user", "tool"):
            raise Reject("bad_turns", key, messages[-1].content)
        return messages

    def messages(self, values: list[Any], key: str) -> Messages:
        if len(values) > MESSAGES:
            raise Reject("too_many_turns", key, f"{len(values)} messages")
        found = tuple(self.message(value, key) for value in values)
        if any(a.role == b.role == "user" for a, b in pairwise(found)):
            self.notes.append("same_role_twice")
        return found

    def message(self, value: Any, key: str) -> Message:
        """{role, content} or {from, value}, with its tool calls."""
        if not isinstance(value, dict):
            raise wrong_type(key, value)
        spoken_by = value["role"] if value.get("role") is not None else value.get("from")
        if not isinstance(spoken_by, str):
            raise Reject("wrong_type" if spoken_by is not None else "missing_field", f"{key}.role", value)
        role = self.roles.get(spoken_by) or self.roles.get(spoken_by.lower())
        if role is None:
            raise Reject("unknown_role", key, spoken_by)
        extra = {k: value[k] for k in EXTRA if value.get(k) not in (None, [], "")}
        content = value["content"] if value.get("content") is not None else value.get("value")
        if spoken_by == "function_call":
            extra, content = {"tool_calls": content}, ""
        if content is None and "tool_calls" in extra:
            content = ""
        return Message(role, self.content(content, key), extra or None)

    def content(self, value: Any, key: str) -> str:
        """A text, or parts that are all text; several are joined by a newline."""
        if isinstance(value, str):
            return value
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
            raise wrong_type(f"{key}.content", value)
        if other := next((part for part in value if part.get("type", "text") != "text"), None):
            raise Reject("media_unsupported", key, str(other.get("type")))
        texts = [part.get("text") if part.get("text") is not None else part.get("value") for part in value]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise wrong_type(f"{key}.content", value)
        if len(texts) > 1:
            self.notes.append("parts_joined")
        return "\n".join(texts)


def _from_cell(text: str, kinds: tuple[type, ...]) -> Any:
    """The JSON in a cell; where a text would do as well, only what is clearly messages is not a text."""
    try:
        found = decode(text.encode())
    except Reject:
        if str in kinds:
            return text
        raise
    parts = found if isinstance(found, list) else [found]
    spoken = parts and all(isinstance(p, dict) and ("role" in p or "from" in p) for p in parts)
    return found if spoken or str not in kinds else text


def wrong_type(key: str, value: Any) -> Reject:
    return Reject("wrong_type", key, f"{KINDS.get(type(value), 'null')}: {value}")
