"""D09: a post, two summaries and the index of the better one. Confidence differs in meaning by file: it is kept."""

from typing import Any

from workbench.formats.reading import Reading, pair, person, user
from workbench.formats.row import Row, wrong_type
from workbench.formats.strict import Reject


def detect(row: Row) -> bool:
    return row.has("info", "summaries", "choice")


def read(row: Row) -> list[Reading]:
    info, summaries = Row(row.take("info", dict)), row.array("summaries")
    if len(summaries) != 2 or not all(isinstance(s, dict) for s in summaries):
        raise wrong_type("summaries", summaries)
    prompt = row.asked(user(info.text("post") if "post" in info else info.text("article")), "info")
    answers = [row.said(s.get("text"), "summaries") for s in summaries]
    if (choice := row.number("choice")) not in (0, 1):
        raise Reject("bad_choice", "choice", choice)
    rest: dict[str, Any] = {
        "sources": tuple(s["policy"] if isinstance(s.get("policy"), str) else None for s in summaries),
        "annotator": person(str(row.get("worker"))) if "worker" in row else None,
        "origin": row.some("extra", "batch") | info.some("title", "subreddit"),
    }
    return [pair(prompt, *answers, int(choice), **rest)]
