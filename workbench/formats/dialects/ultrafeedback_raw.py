"""D07: an instruction and several completions with a score each. A score is a rating, not a choice."""

from typing import Any

from workbench.formats.reading import Reading, Vote, compared
from workbench.formats.row import CANDIDATES, Row, wrong_type
from workbench.formats.strict import Reject
from workbench.schema import Candidate

LOW, HIGH = 1.0, 10.0


def detect(row: Row) -> bool:
    found = row.get("completions")
    return "instruction" in row and isinstance(found, list) and any(_written(c) for c in found)


def read(row: Row) -> list[Reading]:
    found = row.array("completions")
    if len(found) > CANDIDATES:
        raise Reject("too_many_candidates", "completions", f"{len(found)} candidates")
    if not all(isinstance(c, dict) for c in found):
        raise wrong_type("completions", found)
    candidates = tuple(Candidate(row.said(c.get("response"), "completions"), source=_model(c)) for c in found)
    votes = tuple(vote for i, c in enumerate(found) for vote in _votes(row, i, c))
    return [compared(row.prompt("instruction"), candidates, votes, origin=row.some("source"))]


def _written(value: Any) -> bool:
    return isinstance(value, dict) and "response" in value and "model" in value


def _model(value: dict[str, Any]) -> str | None:
    return value["model"] if isinstance(value.get("model"), str) else None


def _votes(row: Row, at: int, value: dict[str, Any]) -> list[Vote]:
    score = value.get("overall_score")
    if not isinstance(score, int | float) or isinstance(score, bool):
        row.notes.append("score_left_out")
        return []
    return [Vote(kind="rating", payload={"candidate": at, "score": score, "low": LOW, "high": HIGH})]
