"""D17: Argilla 1 exports: a question column holds a list of {user_id, value, status}."""

from typing import Any

from workbench.formats.dialects.argilla2 import answers_of, reading, vote_of
from workbench.formats.reading import Reading, Vote, person
from workbench.formats.row import Row


def detect(row: Row) -> bool:
    return any(_answered(value) for value in row.fields.values())


def read(row: Row) -> list[Reading]:
    names = answers_of(row)
    votes: list[Vote] = []
    for value in row.fields.values():
        for answer in value if _answered(value) else []:
            if answer["status"] == "submitted":
                who = person(str(answer["user_id"])) if answer.get("user_id") is not None else "unknown"
                votes += vote_of(row, answer["value"], names, who)
    return [reading(row, names, votes)]


def _answered(value: Any) -> bool:
    keys = {"value", "status"}
    return isinstance(value, list) and value != [] and all(isinstance(v, dict) and keys <= set(v) for v in value)
