"""D08: a post and two comments; `labels` is 1 when the first one was voted higher, and the ratio says how much."""

import math

from workbench.formats.reading import Reading, pair
from workbench.formats.row import Row
from workbench.formats.strict import Reject


def detect(row: Row) -> bool:
    return row.has("history", "human_ref_A", "human_ref_B", "labels")


def read(row: Row) -> list[Reading]:
    label = row.number("labels")
    if label not in (0, 1):
        raise Reject("bad_choice", "labels", label)
    ratio = row.number("score_ratio") if "score_ratio" in row else 1.0
    strength = min(3.0, math.log2(ratio)) if ratio > 1 else None
    answers = row.answer("human_ref_A"), row.answer("human_ref_B")
    rest = {"strength": strength, "sources": ("human", "human"), "origin": row.some("domain", "score_A", "score_B")}
    return [pair(row.prompt("history"), *answers, 0 if label == 1 else 1, **rest)]
