"""D14: the key sets that axolotl trains on, as far as no other dialect has them."""

from workbench.formats.reading import Reading, pair
from workbench.formats.row import Row

ASKS = ("question", "input", "messages")
OTHERS = ("prompt", "instruction", "conversations", "rejected_response", "rejected_messages")


def detect(row: Row) -> bool:
    if row.has("instruction", "chosen_response", "rejected_response"):
        return True
    return row.has("chosen", "rejected") and any(k in row for k in ASKS) and not any(k in row for k in OTHERS)


def read(row: Row) -> list[Reading]:
    system = row.text("system", "")
    if "chosen_response" in row:
        return [pair(row.prompt("instruction", system), row.answer("chosen_response"), row.answer("rejected_response"))]
    asked = next((key for key in ASKS if key in row), "question")
    return [pair(row.prompt(asked, system), row.answer("chosen"), row.answer("rejected"))]
