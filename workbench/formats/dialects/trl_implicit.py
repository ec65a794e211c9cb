"""D03: chosen and rejected without a prompt: whole conversations, or whole texts."""

from workbench.formats.reading import Reading, answered, pair, parted
from workbench.formats.row import Row

ASKS = ("prompt", "instruction", "question", "input", "messages", "conversations", "context", "history", "query")


def detect(row: Row) -> bool:
    return {type(row.get(key)) for key in ("chosen", "rejected")} in ({str}, {list}) and not any(k in row for k in ASKS)


def read(row: Row) -> list[Reading]:
    """Two texts keep an empty prompt: a common opening such as "I'm sorry, but" belongs to both answers."""
    origin = row.some("margin")
    if isinstance(row.take("chosen", str, list), str):
        row.notes.append("empty_prompt_kept")
        chosen, rejected = row.answer("chosen"), row.answer("rejected")
        root = "\n".join(sorted(m.content for m in chosen + rejected))  # no prompt to be grouped by
        return [pair((), chosen, rejected, form="text", root=root, origin=origin)]
    prompt, chosen, rejected = parted(row.conversation("chosen"), row.conversation("rejected"))
    row.asked(prompt, "chosen")
    return [pair(prompt, answered(chosen, "chosen"), answered(rejected, "rejected"), origin=origin)]
