"""D02: prompt, chosen, rejected; all texts, or all messages. A leading blank of a text is content."""

from workbench.formats.reading import Reading, pair
from workbench.formats.row import Row


def detect(row: Row) -> bool:
    kinds = {type(row.get(key)) for key in ("prompt", "chosen", "rejected")}
    return kinds in ({str}, {list})


def read(row: Row) -> list[Reading]:
    prompt = row.prompt("prompt")
    form = "text" if isinstance(row.take("prompt", str, list), str) else "chat"
    rest = {"origin": row.some("margin"), "lang": row.lang(), "tools": row.get("tools")}
    return [pair(prompt, row.answer("chosen"), row.answer("rejected"), form=form, **rest)]
