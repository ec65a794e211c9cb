"""D11: input, preferred_output and non_preferred_output, as tuning services take it."""

from workbench.formats.reading import Reading, pair
from workbench.formats.row import Row


def detect(row: Row) -> bool:
    return row.has("input", "preferred_output", "non_preferred_output")


def read(row: Row) -> list[Reading]:
    asked = Row(row.take("input", dict))
    prompt = row.asked(asked.conversation("messages"), "input.messages")
    row.notes += asked.notes
    answers = row.answer("preferred_output"), row.answer("non_preferred_output")
    return [pair(prompt, *answers, tools=asked.get("tools") or None)]
