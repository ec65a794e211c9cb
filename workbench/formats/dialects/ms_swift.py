"""D13: messages whose last turn is the answer, with a rejected answer beside them or a label."""

from workbench.formats.dialects.llamafactory import tools
from workbench.formats.reading import Messages, Reading, answered, pair, parted, thumb
from workbench.formats.row import Row
from workbench.formats.strict import Reject

MEDIA = ("images", "videos", "audios")


def detect(row: Row) -> bool:
    return "messages" in row and any(key in row for key in ("rejected_response", "rejected_messages", "label"))


def read(row: Row) -> list[Reading]:
    if media := next((key for key in MEDIA if row.get(key)), None):
        raise Reject("media_unsupported", media, row.get(media))
    turns = row.conversation("messages")
    rest = {"tools": tools(row), "origin": row.some("margin"), "lang": row.lang()}
    if "rejected_messages" in row:
        prompt, chosen, rejected = parted(turns, row.conversation("rejected_messages"))
        row.asked(prompt, "messages")
        return [pair(prompt, answered(chosen, "messages"), answered(rejected, "rejected_messages"), **rest)]
    prompt, answer = last_answer(row, turns)
    if "rejected_response" in row:
        return [pair(prompt, answer, row.answer("rejected_response"), **rest)]
    return [thumb(prompt, answer, row.flag("label"), **rest)]


def last_answer(row: Row, turns: Messages, key: str = "messages") -> tuple[Messages, Messages]:
    """A conversation as what was asked and the last answer."""
    answer = answered(turns[-1:], key)
    return row.asked(turns[:-1], key), answer
