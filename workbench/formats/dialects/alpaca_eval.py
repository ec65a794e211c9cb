"""D31: two outputs and a preference from 1 (the first) to 2 (the second) by a model; 1.5 is a tie, in old files 0."""

from workbench.formats.reading import Reading, pair
from workbench.formats.row import Row
from workbench.formats.strict import Reject


def detect(row: Row) -> bool:
    return row.has("instruction", "output_1", "output_2") and ("preference" in row or "annotator" in row)


def read(row: Row) -> list[Reading]:
    if "preference" not in row:
        raise Reject("bad_choice", "preference", None)
    value = row.number("preference")
    if value != 0 and not 1 <= value <= 2:
        raise Reject("bad_choice", "preference", value)
    choice = "tie" if value in (0, 1.5) else 0 if value < 1.5 else 1
    sources = tuple(row.text(f"generator_{at}", "") or None for at in (1, 2))
    who = f"machine:{row.text('annotator')}" if "annotator" in row else None
    rest = {"sources": sources, "annotator": who, "origin": row.some("preference", "dataset")}
    return [pair(row.prompt("instruction"), row.answer("output_1"), row.answer("output_2"), choice, **rest)]
