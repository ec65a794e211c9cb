"""D30: two answers and the votes of three annotators: 0 is a tie, 1 and 2 name the better answer."""

from workbench.formats.dialects.llamafactory import alpaca
from workbench.formats.reading import Reading, Vote, compared
from workbench.formats.row import Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate

CHOICE = {0: "tie", 1: 0, 2: 1}


def detect(row: Row) -> bool:
    return row.has("instruction", "response1", "response2", "annotator1")


def read(row: Row) -> list[Reading]:
    first, second = row.answer("response1"), row.answer("response2")
    models = row.text("cmp_key", "").split("_")
    sources = models if len(models) == 2 else (None, None)
    people = [key for key in row.fields if key.startswith("annotator")]
    votes = tuple(
        Vote(kind="pair", payload={"choice": _choice(row, who), "strength": None}, annotator=who) for who in people
    )
    candidates = (Candidate(first, source=sources[0]), Candidate(second, source=sources[1]))
    return [compared(alpaca(row), candidates, votes, origin=row.some("motivation_app"))]


def _choice(row: Row, key: str) -> int | str:
    vote = row.number(key)
    if vote not in CHOICE:
        raise Reject("bad_choice", key, vote)
    return CHOICE[vote]
