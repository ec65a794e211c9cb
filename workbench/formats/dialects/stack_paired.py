"""D27: a question and two answers, of which `response_j` is the better one."""

from workbench.formats.reading import Reading, pair
from workbench.formats.row import Row


def detect(row: Row) -> bool:
    return row.has("question", "response_j", "response_k")


def read(row: Row) -> list[Reading]:
    return [pair(row.prompt("question"), row.answer("response_j"), row.answer("response_k"))]
