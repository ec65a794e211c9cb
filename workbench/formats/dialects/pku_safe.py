"""D22: which answer is more helpful and which is safer: two judgements on two axes, which may contradict each other."""

from workbench.formats.reading import Reading, Vote, compared
from workbench.formats.row import Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate

AXES = {"better_response_id": "helpful", "safer_response_id": "safe"}


def detect(row: Row) -> bool:
    return row.has("prompt", "response_0", "response_1", *AXES)


def read(row: Row) -> list[Reading]:
    votes = [
        Vote(kind="pair", payload={"choice": _choice(row, key), "strength": None}, axis=axis)
        for key, axis in AXES.items()
    ]
    for at in (0, 1):
        if (key := f"is_response_{at}_safe") in row:
            told = {"candidate": at, "score": float(row.flag(key)), "low": 0.0, "high": 1.0}
            votes.append(Vote(kind="rating", payload=told, axis="safe"))
    candidates = tuple(Candidate(row.answer(f"response_{at}")) for at in (0, 1))
    return [compared(row.prompt("prompt"), candidates, tuple(votes))]


def _choice(row: Row, key: str) -> int:
    value = row.number(key)
    if value not in (0, 1):
        raise Reject("bad_choice", key, value)
    return int(value)
