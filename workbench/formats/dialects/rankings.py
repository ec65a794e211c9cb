"""The `rankings` config of our own exports: prompt, candidates, and tiers of candidate numbers, the best first."""

from typing import Any

from workbench.formats.reading import Reading, ranked
from workbench.formats.row import CANDIDATES, Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate


def detect(row: Row) -> bool:
    return row.has("prompt", "candidates", "tiers")


def read(row: Row) -> list[Reading]:
    values, form = row.array("candidates"), "text" if isinstance(row.get("prompt"), str) else "chat"
    if len(values) > CANDIDATES:
        raise Reject("too_many_candidates", "candidates", f"{len(values)} candidates")
    rank = _ranks(row.array("tiers"), len(values))
    candidates = [Candidate(row.said(value, "candidates")) for value in values]
    return [ranked(row.prompt("prompt"), candidates, rank, form=form)]


def _ranks(tiers: list[Any], count: int) -> list[float]:
    """The place of each candidate; every one stands in one tier."""
    found = {i: place for place, tier in enumerate(tiers) if isinstance(tier, list) for i in tier if type(i) is int}
    if sorted(found) != list(range(count)) or sum(len(t) for t in tiers if isinstance(t, list)) != count:
        raise Reject("bad_choice", "tiers", tiers)
    return [found[i] for i in range(count)]
