"""D19: HelpSteer 2 and 3: preferences from -3 (the first answer) to 3, one per person where the file has them."""

from typing import Any

from workbench.formats.reading import Reading, Vote, compared
from workbench.formats.row import Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate


def detect(row: Row) -> bool:
    third = isinstance(row.get("context"), list) and row.has("response1", "response2", "overall_preference")
    return third or row.has("prompt", "response_1", "response_2", "preference_strength")


def read(row: Row) -> list[Reading]:
    if "overall_preference" in row:
        asked, names = row.asked(row.conversation("context"), "context"), ("response1", "response2")
        people = row.array("individual_preference") if row.get("individual_preference") else []
        votes = tuple(_personal(i, said) for i, said in enumerate(people, 1))
        votes = votes or (_vote(row.number("overall_preference"), "overall_preference"),)
    else:
        asked, names = row.prompt("prompt"), ("response_1", "response_2")
        votes = (_vote(row.number("preference_strength"), "preference_strength"),)
        _agree(row.text("preference_statement", ""), votes[0].payload["choice"])
    candidates = tuple(Candidate(row.answer(name)) for name in names)
    return [compared(asked, candidates, votes, lang=row.lang(), origin=row.some("domain", "split"))]


def _vote(score: Any, key: str, **rest: Any) -> Vote:
    if isinstance(score, bool) or not isinstance(score, int | float) or not -3 <= score <= 3:
        raise Reject("bad_choice", key, score)
    choice = "tie" if score == 0 else 0 if score < 0 else 1
    return Vote(kind="pair", payload={"choice": choice, "strength": abs(float(score)) or None}, **rest)


def _personal(number: int, said: Any) -> Vote:
    if not isinstance(said, dict):
        raise Reject("wrong_type", "individual_preference", said)
    text = said.get("reasoning")
    reason = {"text": text[:2000]} if isinstance(text, str) and text else None
    return _vote(said.get("score"), "individual_preference", annotator=f"annotator{number}", reason=reason)


def _agree(statement: str, choice: Any) -> None:
    """The words and the number must name the same side."""
    said = {"Response 1 is": 0, "Response 2 is": 1}
    side = next((at for words, at in said.items() if statement.startswith(words)), None)
    if side is not None and choice in (0, 1) and side != choice:
        raise Reject("bad_choice", "preference_strength", statement)
