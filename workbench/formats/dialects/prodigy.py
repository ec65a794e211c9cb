"""D25: a task with options, of which `accept` names the best. An ignored task is a skip."""

from typing import Any

from workbench.formats.reading import Reading, Vote, compared, person, user
from workbench.formats.row import CANDIDATES, Row, wrong_type
from workbench.formats.strict import Reject
from workbench.schema import Candidate


def detect(row: Row) -> bool:
    return row.has("options", "answer", "_input_hash")


def read(row: Row) -> list[Reading]:
    options = row.array("options")
    if not all(isinstance(o, dict) for o in options) or not 2 <= len(options) <= CANDIDATES:
        raise wrong_type("options", options)
    if any("html" in option and "text" not in option for option in options):
        raise Reject("media_unsupported", "options", "html")
    candidates = tuple(Candidate(row.said(option.get("text"), "options")) for option in options)
    who = person(str(row.get("_session_id"))) if "_session_id" in row else None
    vote = _vote(row, [option.get("id") for option in options], who)
    return [compared(row.asked(user(row.text("text")), "text"), candidates, (vote,))]


def _vote(row: Row, names: list[Any], who: str | None) -> Vote:
    if row.text("answer") == "ignore":
        return Vote(kind="skip", payload={"why": None}, annotator=who)
    accepted = row.array("accept")
    if len(accepted) != 1 or accepted[0] not in names:
        raise Reject("bad_choice", "accept", accepted)
    best = names.index(accepted[0])
    if len(names) == 2:
        return Vote(kind="pair", payload={"choice": best, "strength": None}, annotator=who)
    tiers = [[best], [i for i in range(len(names)) if i != best]]
    return Vote(kind="rank", payload={"tiers": tiers}, annotator=who)
