"""D15: conversations, instructions and questions with one answer and no label (ShareGPT, Alpaca, TRL)."""

from workbench.formats.dialects.llamafactory import alpaca, history, tools, with_system
from workbench.formats.dialects.ms_swift import last_answer
from workbench.formats.reading import Messages, Reading, user
from workbench.formats.row import Row, wrong_type
from workbench.schema import Candidate

LABELS = ("chosen", "rejected", "label", "kto_tag", "rejected_response", "rejected_messages", "score", "rating")
ROUND = {"human": "user", "assistant": "assistant", "user": "user"}


def detect(row: Row) -> bool:
    if any(key in row for key in LABELS) or "model_a" in row:
        return False
    turns = any(isinstance(row.get(key), list) for key in ("conversations", "conversation", "messages"))
    asked = row.has("query", "response") or row.has("prompt", "completion")
    return turns or asked or (row.has("instruction") and isinstance(row.get("output"), str))


def read(row: Row) -> list[Reading]:
    prompt, answer = _parts(row)
    text = "completion" in row and isinstance(row.get("prompt"), str)
    rest = {"lang": row.lang(), "tools": tools(row), "form": "text" if text else "chat"}
    return [Reading(prompt=prompt, candidates=(Candidate(answer),) if answer else (), **rest)]


def _parts(row: Row) -> tuple[Messages, Messages]:
    if "query" in row and "response" in row:
        asked = with_system(row, history(row) + user(row.text("query")))
        return row.asked(asked, "query"), row.answer("response")
    if "prompt" in row and "completion" in row:
        return row.prompt("prompt"), row.answer("completion")
    if "output" in row and "instruction" in row:
        return alpaca(row), row.answer("output")
    key = next((key for key in ("conversations", "conversation", "messages") if key in row), "messages")
    turns = with_system(row, row.messages(_turns(row.array(key), key), key))
    if turns and turns[-1].role == "user":
        return row.asked(turns, key), ()
    return last_answer(row, turns, key)


def _turns(values: list, key: str) -> list:
    """Rounds of {human, assistant} taken apart into messages."""
    if not any(isinstance(v, dict) and "human" in v for v in values):
        return values
    if not all(isinstance(v, dict) for v in values):
        raise wrong_type(key, values)
    return [
        {"role": ROUND[k], "content": v[k]}
        for v in values
        for k in ("system", "human", "assistant")
        if k in v and k in ROUND
    ]
