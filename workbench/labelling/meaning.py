"""What labels say, so that two of them can be compared. Leaves out whose they are."""

from workbench.schema import Json


def word_of(payload: dict[str, Json]) -> str:
    """What a label says, without how strongly or in which order; the store tells it in the same words.

    A ranking in which no answer is acceptable says `both_bad`, as a pair does; all other rankings say the same.
    """
    if "tiers" in payload or "best" in payload:
        return "both_bad" if payload.get("tiers") == [] else "ranked"
    return str(payload.get("choice", payload.get("label"))).lower()


def contradict(words: set[str]) -> bool:
    """0 against 1, good against bad, or both bad against anything else."""
    return {"0", "1"} <= words or {"true", "false"} <= words or ("both_bad" in words and len(words) > 1)


def agrees(payload: dict[str, Json], answer: dict[str, Json]) -> bool:
    """Is it the direction of the right answer? Of rankings, also of a best and a worst, the best tier counts."""
    for key in ("choice", "label"):
        if key in answer:
            return payload.get(key) == answer[key]
    return best_of(payload) == best_of(answer)


def best_of(payload: dict[str, Json]) -> list[int] | None:
    """The best tier; none when no answer is acceptable."""
    tiers = [[payload["best"]]] if "best" in payload else payload.get("tiers")
    return sorted(tiers[0]) if tiers else None
