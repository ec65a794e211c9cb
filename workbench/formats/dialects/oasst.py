"""D21: trees of human conversations. One item per turn with two or more answers; rank 0 is best."""

from collections.abc import Iterator
from typing import Any

from workbench.formats.reading import Messages, Reading, ranked
from workbench.formats.row import Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate


def detect(row: Row) -> bool:
    prompt = row.get("prompt")
    return "message_tree_id" in row and isinstance(prompt, dict) and "replies" in prompt


def read(row: Row) -> list[Reading]:
    tree = row.take("prompt", dict)
    lang = tree.get("lang") if isinstance(tree.get("lang"), str) else None
    rest = {"root": row.text("message_tree_id"), "lang": lang}
    found = list(_choices(row, (), tree, rest))
    if found:
        return found
    row.notes.append("no_choices")
    return [Reading(prompt=_turn(row, (), tree), **rest)]


def _choices(row: Row, before: Messages, node: dict[str, Any], rest: dict[str, Any]) -> Iterator[Reading]:
    """The item of this turn, then those further down. Sibling questions are other conversations, not answers."""
    path = _turn(row, before, node)
    replies = [reply for reply in _replies(node) if not _void(row, reply)]
    if path[-1].role == "user":
        answers = [r for r in replies if r.get("role") == "assistant"]
        ranks = [r.get("rank") for r in answers]
        if len(answers) > 1 and any(rank is None for rank in ranks) and any(rank is not None for rank in ranks):
            row.notes.append("unranked_left_out")
            answers = [r for r in answers if r.get("rank") is not None]
        if len(answers) > 1:
            yield _item(row, path, answers, rest)
    for reply in replies:
        yield from _choices(row, path, reply, rest)


def _item(row: Row, path: Messages, answers: list[dict[str, Any]], rest: dict[str, Any]) -> Reading:
    candidates = [Candidate(_turn(row, (), answer), source=_source(answer)) for answer in answers]
    ranks = [answer.get("rank") for answer in answers]
    if ranks[0] is None:
        return Reading(prompt=path, candidates=tuple(candidates), **rest)
    if not all(isinstance(rank, int) for rank in ranks):
        raise Reject("wrong_type", "rank", ranks)
    return ranked(path, candidates, ranks, **rest)


def _turn(row: Row, before: Messages, node: dict[str, Any]) -> Messages:
    return (*before, row.message({"role": node.get("role"), "content": node.get("text")}, "prompt"))


def _replies(node: dict[str, Any]) -> list[dict[str, Any]]:
    replies = node.get("replies") or []
    if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
        raise Reject("wrong_type", "replies", replies)
    return replies


def _void(row: Row, node: dict[str, Any]) -> bool:
    void = node.get("deleted") is True or node.get("review_result") is False
    if void:
        row.notes.append("void_left_out")
    return void


def _source(node: dict[str, Any]) -> str | None:
    if node.get("synthetic"):
        return node.get("model_name") if isinstance(node.get("model_name"), str) else None
    return "human"
