"""A line of a file to one JSON object, or the reason why not. Leaves out what the object means (`row`, `dialects`)."""

import json
import math
from typing import Any

LINE_BYTES = 4 * 2**20
TEXT_CHARACTERS = 2**20
DEPTH = 32
EXCERPT = 80

# Faults of what a row says. Any other reason means that the row has not the shape of the dialect.
CONTENT = frozenset({"empty_prompt", "empty_answer", "identical_answers", "bad_turns", "bad_label", "bad_choice"})


class Reject(Exception):
    """One line that is not taken: the reason code, the column (or character), and a safe piece of what stood there."""

    def __init__(self, reason: str, column: str | int | None = None, found: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.column, self.found = reason, column, found


def excerpt(found: Any) -> str:
    """At most 80 characters that cannot move a cursor, turn text around or break a line."""
    if isinstance(found, bytes | bytearray):
        found = bytes(found[: EXCERPT * 4]).decode("utf-8", "replace")
    elif not isinstance(found, str):
        found = json.dumps(found, ensure_ascii=False, default=str)
    return "".join(c if c.isprintable() else "�" for c in found[:EXCERPT])


def parse(line: bytes) -> dict[str, Any]:
    """The object of a line, byte-exact in its texts. `Reject` for anything that another reader could read otherwise."""
    if len(line) > LINE_BYTES:
        raise Reject("line_too_long", found=line)
    if not line.strip(b" \t\r\n\v\f"):
        raise Reject("blank_line", found=line)
    value = decode(line)
    if not isinstance(value, dict):
        raise Reject("not_an_object", found=line)
    return value


def decode(line: bytes) -> Any:
    """Any JSON value, strictly: also used for cells of a table."""
    if b"\0" in line:
        raise Reject("nul_char", line.index(b"\0") + 1, line)
    try:
        text = line.decode("utf-8")
        value = DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise Reject("bad_utf8", error.start + 1, line[max(0, error.start - 20) :]) from None
    except json.JSONDecodeError as error:
        raise Reject("bad_json", error.pos + 1, text[max(0, error.pos - 20) :]) from None
    except RecursionError:
        raise Reject("too_deep", found=line) from None
    if b"\\u" in line or len(line) > TEXT_CHARACTERS or line.count(b"[") + line.count(b"{") > DEPTH:
        check(value)
    return value


def check(value: Any, depth: int = 0) -> None:
    """Walk a value that did not come from a short plain line: depth, length, lone surrogates, NUL."""
    if isinstance(value, str):
        if len(value) > TEXT_CHARACTERS:
            raise Reject("text_too_long", found=value)
        if "\0" in value:
            raise Reject("nul_char", found=value)
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise Reject("surrogate", found=value)
    elif isinstance(value, dict | list):
        if depth >= DEPTH:
            raise Reject("too_deep", found=str(type(value).__name__))
        for part in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
            check(part, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Reject("nan_or_inf", found=str(value))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        name = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Reject("duplicate_key", excerpt(name), name)
    return made


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Reject("nan_or_inf", found=digits)
    return value


def _int(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (value := int(digits)) < 2**63:
        raise Reject("int_too_big", found=digits)
    return value


def _constant(name: str) -> None:
    raise Reject("nan_or_inf", found=name)


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant, strict=True
)
