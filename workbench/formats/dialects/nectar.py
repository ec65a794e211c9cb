"""D20: a dialogue that ends in `Assistant:`, and several answers with ranks."""

from workbench.formats.dialects.hh_rlhf import START, turns
from workbench.formats.reading import Reading, ranked
from workbench.formats.row import CANDIDATES, Row, wrong_type
from workbench.formats.strict import Reject
from workbench.schema import Candidate


def detect(row: Row) -> bool:
    answers = row.get("answers")
    return "prompt" in row and isinstance(answers, list) and any(isinstance(a, dict) and "rank" in a for a in answers)


def read(row: Row) -> list[Reading]:
    answers = row.array("answers")
    if not all(isinstance(a, dict) for a in answers):
        raise wrong_type("answers", answers)
    if len(answers) > CANDIDATES:
        raise Reject("too_many_candidates", "answers", f"{len(answers)} candidates")
    ranks = [a.get("rank") for a in answers]
    if not all(isinstance(rank, int | float) for rank in ranks):
        raise Reject("bad_choice", "answers.rank", ranks)
    candidates = [Candidate(row.said(a.get("answer"), "answers"), source=_model(a)) for a in answers]
    return [ranked(_prompt(row), candidates, ranks)]


def _prompt(row: Row):
    text = row.get("prompt")
    if not isinstance(text, str) or not text.startswith(START):
        return row.prompt("prompt")
    spoken = turns(text)
    waits = spoken[-1].role == "assistant" and not spoken[-1].content.strip()
    return row.asked(spoken[:-1] if waits else spoken, "prompt")


def _model(answer: dict) -> str | None:
    return answer["model"] if isinstance(answer.get("model"), str) else None
