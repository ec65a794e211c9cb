"""D23: exported tasks with pairwise annotations. Which answer stood left is not in the file: the first one is taken."""

from typing import Any

from workbench.formats.reading import Reading, Vote, compared, person, user
from workbench.formats.row import Row, wrong_type
from workbench.formats.strict import Reject
from workbench.schema import Candidate

ASKED = ("prompt", "question", "instruction", "text", "query")
SIDES = {"left": 0, "right": 1}


def detect(row: Row) -> bool:
    return isinstance(row.get("data"), dict) and isinstance(row.get("annotations"), list)


def read(row: Row) -> list[Reading]:
    data = Row(row.take("data", dict))
    asked = next((key for key in ASKED if key in data), None)
    if asked is None:
        raise Reject("missing_field", "data.prompt", data.fields)
    names = [key for key, value in data.fields.items() if key != asked and isinstance(value, str)][:2]
    if len(names) < 2:
        raise Reject("missing_field", "data.answer2", data.fields)
    candidates = tuple(Candidate(data.answer(name)) for name in names)
    votes = tuple(vote for annotation in row.array("annotations") for vote in _votes(row, annotation))
    return [compared(row.asked(user(data.text(asked)), asked), candidates, votes)]


def _votes(row: Row, annotation: Any) -> list[Vote]:
    """The pairwise results of one annotation, unless it was cancelled."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        raise wrong_type("annotations", annotation)
    if annotation.get("was_cancelled"):
        row.notes.append("void_left_out")
        return []
    who, seconds = annotation.get("completed_by"), annotation.get("lead_time")
    who = who.get("id") if isinstance(who, dict) else who
    rest = {
        "annotator": None if who is None else person(str(who)),
        "ms_active": round(1000 * seconds) if isinstance(seconds, int | float) else None,
    }
    results = [r for r in annotation["result"] if isinstance(r, dict) and r.get("type") == "pairwise"]
    return [Vote(kind="pair", payload={"choice": _side(r), "strength": None}, **rest) for r in results]


def _side(result: dict[str, Any]) -> int:
    selected = (result.get("value") or {}).get("selected")
    if selected not in SIDES:
        raise Reject("bad_choice", "annotations.selected", selected)
    return SIDES[selected]
