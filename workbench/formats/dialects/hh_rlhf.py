"""D05: dialogues in one string each, turns marked by a blank line and `Human:` or `Assistant:`."""

import re
from itertools import pairwise

from workbench.formats.reading import Messages, Reading, answered, pair, parted
from workbench.formats.row import Row
from workbench.formats.strict import Reject
from workbench.schema import Message

TURN = re.compile(r"\n\n(Human|Assistant): ?")
ROLE = {"Human": "user", "Assistant": "assistant"}
START = "\n\nHuman:"


def detect(row: Row) -> bool:
    if row.has("transcript", "rating"):
        return _starts(row, "transcript")
    return _starts(row, "chosen") and _starts(row, "rejected") and "prompt" not in row


def read(row: Row) -> list[Reading]:
    if "transcript" in row:
        return [Reading(prompt=row.asked(turns(row.text("transcript"))[:1], "transcript"), origin=row.some("rating"))]
    prompt, chosen, rejected = parted(turns(row.text("chosen")), turns(row.text("rejected")))
    if any(a.role == b.role for a, b in pairwise(prompt)):
        row.notes.append("same_role_twice")
    prompt = row.asked(prompt, "chosen")
    return [pair(prompt, answered(chosen, "chosen"), answered(rejected, "rejected"))]


def turns(text: str) -> Messages:
    """`Human:` inside a turn is text: only a blank line before it starts a turn."""
    before, *parts = TURN.split(text)
    if before:
        raise Reject("bad_turns", found=text)
    return tuple(Message(ROLE[who], said) for who, said in zip(parts[::2], parts[1::2], strict=True))


def _starts(row: Row, key: str) -> bool:
    value = row.get(key)
    return isinstance(value, str) and value.startswith(START)
