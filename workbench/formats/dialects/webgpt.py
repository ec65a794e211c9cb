"""D10: a question and two answers with scores from -1 to 1 that sum to 0; 0 is a tie."""

from workbench.formats.reading import Reading, pair, user
from workbench.formats.row import Row


def detect(row: Row) -> bool:
    return row.has("question", "answer_0", "answer_1", "score_0") and isinstance(row.get("question"), dict)


def read(row: Row) -> list[Reading]:
    asked = row.asked(user(Row(row.take("question", dict)).text("full_text")), "question")
    score = row.number("score_0")
    choice = "tie" if score == 0 else 0 if score > 0 else 1
    rest = {"strength": min(3.0, 3 * abs(score)), "origin": row.some("quotes_0", "quotes_1", "dataset")}
    return [pair(asked, row.answer("answer_0"), row.answer("answer_1"), choice, **rest)]
