"""D28: any flat table, read as the user maps its columns. Never found by itself.

mapping = {"prompt": column, "system": column, "answers": [columns], "label": column, "annotator": column,
           "values": {cell: answer column, "tie", "both_bad", true or false}}; only prompt is needed.
"""

from typing import Any

from workbench.errors import UsageError
from workbench.formats.reading import Reading, Vote, compared, person
from workbench.formats.row import CANDIDATES, Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate

KEYS = {"prompt", "system", "answers", "label", "annotator", "values"}
WORDS: dict[str, Any] = {"true": True, "false": False, "good": True, "bad": False, "up": True, "down": False}


def detect(row: Row) -> bool:
    return False


def check(mapping: Any) -> dict[str, Any]:
    """The mapping, when it can be used; `UsageError` says what it lacks."""
    if not isinstance(mapping, dict) or not isinstance(mapping.get("prompt"), str):
        raise UsageError(
            'column mapping: name at least the prompt, as in {"prompt": "question", "answers": ["a", "b"]}'
        )
    if unknown := set(mapping) - KEYS:
        raise UsageError(f"column mapping: unknown {sorted(unknown)[0]!r}; known are {', '.join(sorted(KEYS))}")
    answers = mapping.get("answers", [])
    if not isinstance(answers, list) or len(answers) > CANDIDATES or not all(isinstance(a, str) for a in answers):
        raise UsageError(f"column mapping: answers is a list of at most {CANDIDATES} column names, not {answers!r}")
    if mapping.get("label") and not answers:
        raise UsageError("column mapping: a label needs the answers it judges")
    return mapping


def read(row: Row, mapping: dict[str, Any]) -> list[Reading]:
    system = row.text(mapping["system"], "") if mapping.get("system") else ""
    prompt = row.prompt(mapping["prompt"], system)
    columns = mapping.get("answers", [])
    answers = [row.answer(key) for key in columns]
    labelled = row.get(mapping.get("label", "")) not in (None, "")
    votes = (_vote(row, columns, mapping),) if labelled else ()
    return [compared(prompt, tuple(map(Candidate, answers)), votes)]


def _vote(row: Row, columns: list[str], mapping: dict[str, Any]) -> Vote:
    cell = row.get(mapping["label"])
    said = mapping.get("values", {}).get(str(cell), cell)
    kind, payload = _label(said, columns, mapping["label"])
    who = row.get(mapping["annotator"]) if mapping.get("annotator") else None
    return Vote(kind=kind, payload=payload, annotator=None if who is None else person(str(who)))


def _label(said: Any, columns: list[str], key: str) -> tuple[str, dict[str, Any]]:
    """One answer is good or bad; of two or more the label names the best by its column."""
    if len(columns) == 1:
        label = WORDS.get(str(said).lower())
        if label is None:
            raise Reject("bad_label", key, said)
        return "thumb", {"candidate": 0, "label": label}
    if said not in columns and not (len(columns) == 2 and said in ("tie", "both_bad")):
        raise Reject("bad_choice", key, said)
    best = columns.index(said) if said in columns else said
    if len(columns) == 2:
        return "pair", {"choice": best, "strength": None}
    return "rank", {"tiers": [[best], [i for i in range(len(columns)) if i != best]]}
