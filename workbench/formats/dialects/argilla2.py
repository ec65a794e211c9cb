"""D16: Argilla 2 exports: columns `<question>.responses`, `.users` and `.status`. Only what was submitted counts."""

from typing import Any

from workbench.formats.reading import Reading, Vote, compared, person
from workbench.formats.row import CANDIDATES, Row, wrong_type
from workbench.formats.strict import Reject
from workbench.schema import Candidate

ASKED = ("prompt", "instruction", "question", "context", "input")
ANSWERS = ("response", "answer", "completion", "generation", "output", "chat")
ENDING = ".responses"


def detect(row: Row) -> bool:
    return any(key.endswith(ENDING) and f"{key}.users" in row for key in row.fields)


def read(row: Row) -> list[Reading]:
    names = answers_of(row)
    votes: list[Vote] = []
    for key in [k for k in row.fields if k.endswith(ENDING)]:
        question = key.removesuffix(ENDING)
        values, users, states = (row.array(k) for k in (key, f"{key}.users", f"{key}.status"))
        if not len(values) == len(users) == len(states):
            raise wrong_type(key, values)
        for value, who, state in zip(values, users, states, strict=True):
            if state == "submitted":
                votes += vote_of(row, value, names, person(str(who)))
        if f"{question}.suggestion" in row:
            machine = f"machine:{row.get(f'{question}.suggestion.agent') or 'unknown'}"
            votes += vote_of(row, row.get(f"{question}.suggestion"), names, machine)
    return [reading(row, names, votes)]


def answers_of(row: Row) -> list[str]:
    """The columns that hold answers, by their usual names."""
    names = [k for k, v in row.fields.items() if k.startswith(ANSWERS) and "." not in k and isinstance(v, str)]
    if not names or len(names) > CANDIDATES:
        raise Reject("missing_field", "response1", list(row.fields))
    return names


def reading(row: Row, names: list[str], votes: list[Vote]) -> Reading:
    asked = next((key for key in ASKED if key in row), "prompt")
    candidates = tuple(Candidate(row.answer(name)) for name in names)
    return compared(row.prompt(asked, row.text("system", "")), candidates, tuple(votes))


def vote_of(row: Row, value: Any, names: list[str], who: str) -> list[Vote]:
    """A value names the best answer, lists names best first, or gives names ranks; anything else is left out."""
    if isinstance(value, str):
        tiers = [[value], [name for name in names if name != value]]
    elif isinstance(value, list) and all(isinstance(v, str) for v in value):
        tiers = [[v] for v in value]
    elif isinstance(value, list) and all(isinstance(v, dict) and isinstance(v.get("rank"), int) for v in value):
        ranks = sorted({v["rank"] for v in value})
        tiers = [[v.get("value") for v in value if v["rank"] == rank] for rank in ranks]
    else:
        tiers = []
    if len(names) < 2 or sorted(map(str, (name for tier in tiers for name in tier))) != sorted(names):
        row.notes.append("answer_left_out")
        return []
    places = [[names.index(name) for name in tier] for tier in tiers]
    if len(names) == 2:
        choice = "tie" if len(places) == 1 else places[0][0]
        return [Vote(kind="pair", payload={"choice": choice, "strength": None}, annotator=who)]
    return [Vote(kind="rank", payload={"tiers": places}, annotator=who)]
