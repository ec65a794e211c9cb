"""From the votes on one item to what a snapshot says of it. Pure: leaves out where votes come from and where rows go.

A vote is a row of `judgements.current`. An adjudication outweighs all others, else the majority decides.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import fsum
from typing import Any

from workbench.schema import WRITE

Vote = dict[str, Any]
Choice = int | str
Tiers = list[list[int]]

ADJUDICATION = "adjudication"
OURS = ("label", "overlap", "tiebreak")


@dataclass(frozen=True)
class Verdict:
    """What is said of one pair (`choice`), answer (`label`) or ranking (`tiers`), by how many, and whose word it is."""

    n_votes: int
    source: str
    choice: Choice | None = None
    strength: float | None = None
    n_agree: int = 0
    label: bool | None = None
    p: float | None = None
    tiers: Tiers | None = None


def of_pair(votes: list[Vote]) -> Verdict | None:
    """The direction of a pair; when votes are even, the sign of the mean signed strength, and at 0 a tie.

    strength    |mean signed strength| of the votes that carry one, ties counting 0; 0 where it contradicts `choice`
    """
    if not votes:
        return None
    deciding = last_word(votes)
    count = Counter(v["payload"]["choice"] for v in deciding)
    best = [choice for choice, n in count.items() if n == max(count.values())]
    mean = mean_strength(deciding)
    choice = best[0] if len(best) == 1 else "tie" if not mean else 0 if mean > 0 else 1
    strength = mean
    if mean is not None and choice in (0, 1):
        strength = max(0.0, mean if choice == 0 else -mean)
    elif mean is not None:
        strength = 0.0
    agreeing = sum(v["payload"]["choice"] == choice for v in ordinary(votes))
    return Verdict(len(ordinary(votes)), source_of(deciding), choice, strength, agreeing)


def mean_strength(votes: list[Vote]) -> float | None:
    """Mean strength signed towards candidate 0; none when no vote carries a strength."""
    signed = [(1 if v["payload"]["choice"] == 0 else -1) * v["payload"]["strength"] for v in votes if carries(v)]
    ties = sum(v["payload"]["choice"] == "tie" for v in votes)
    return fsum(signed) / (len(signed) + ties) if signed else None


def carries(vote: Vote) -> bool:
    return vote["payload"]["choice"] in (0, 1) and vote["payload"].get("strength") is not None


def of_thumb(votes: list[Vote]) -> Verdict | None:
    """Good or bad; none when the votes are even. `p` is the share of true votes."""
    if not votes:
        return None
    deciding = last_word(votes)
    p = sum(v["payload"]["label"] for v in deciding) / len(deciding)
    agreeing = sum(v["payload"]["label"] == (p > 0.5) for v in ordinary(votes))
    return (
        None if p == 0.5 else Verdict(len(ordinary(votes)), source_of(deciding), n_agree=agreeing, label=p > 0.5, p=p)
    )


def of_ranking(votes: list[Vote]) -> Verdict | None:
    """Candidates by their mean tier, best first; equal means share a tier, candidates nobody placed are left out.

    No tiers where most say that none is acceptable.
    """
    if not votes:
        return None
    deciding = last_word(votes)
    refused = sum(not v["payload"]["tiers"] for v in deciding)
    if 2 * refused > len(deciding):
        agreeing = sum(not v["payload"]["tiers"] for v in ordinary(votes))
        return Verdict(len(ordinary(votes)), source_of(deciding), n_agree=agreeing, tiers=[])
    placed: dict[int, list[int]] = defaultdict(list)
    for vote in deciding:
        for candidate, place in places(vote).items():
            placed[candidate].append(place)
    levels: dict[float, list[int]] = defaultdict(list)
    for candidate in sorted(placed):
        levels[sum(placed[candidate]) / len(placed[candidate])].append(candidate)
    return Verdict(len(ordinary(votes)), source_of(deciding), tiers=[levels[level] for level in sorted(levels)])


def strict_pairs(tiers: Tiers, which: str = "all") -> list[tuple[int, int]]:
    """(better, worse) between different tiers: `all` of them, `adjacent` ones, or `best_vs_rest`."""
    best = ((tiers[0], lower) for lower in tiers[1:])
    chosen = {"all": combinations(tiers, 2), "adjacent": pairwise(tiers), "best_vs_rest": best}[which]
    return [(b, w) for upper, lower in chosen for b in upper for w in lower]


def ranks_above(vote: Vote, better: int, worse: int) -> bool:
    place = places(vote)
    return better in place and worse in place and place[better] < place[worse]


def ranks_level(vote: Vote, one: int, other: int) -> bool:
    place = places(vote)
    return one in place and other in place and place[one] == place[other]


def places(vote: Vote) -> dict[int, int]:
    return {candidate: at for at, tier in enumerate(vote["payload"]["tiers"]) for candidate in tier}


def tiers_in(payload: dict[str, Any], n_candidates: int) -> Tiers:
    """The tiers of a ranking, or of a best and a worst with all others between them."""
    if "tiers" in payload:
        return payload["tiers"]
    best, worst = payload["best"], payload["worst"]
    between = [c for c in range(n_candidates) if c not in (best, worst)]
    return [tier for tier in ([best], between, [worst]) if tier]


def implied(payload: dict[str, Any], n_candidates: int) -> list[tuple[int, int, int]]:
    """What a ranking says of each two answers i < j: (i, j, 0 or 1 for the better, 2 level, 3 none acceptable).

    A best and a worst of K say 2 K - 3 such things: nothing of two answers that are neither.
    """
    tiers = tiers_in(payload, n_candidates)
    if not tiers:
        return [(i, j, 3) for i, j in combinations(range(n_candidates), 2)]
    place = {candidate: at for at, tier in enumerate(tiers) for candidate in tier}
    both = [(i, j, 2 if place[i] == place[j] else int(place[i] > place[j])) for i, j in combinations(sorted(place), 2)]
    return both if "tiers" in payload else [said for said in both if said[2] != 2]


def last_word(votes: list[Vote]) -> list[Vote]:
    """The newest adjudication alone, else all votes."""
    adjudicated = [v for v in votes if v["purpose"] == ADJUDICATION]
    return [max(adjudicated, key=lambda v: v["seq"])] if adjudicated else votes


def ordinary(votes: list[Vote]) -> list[Vote]:
    return [v for v in votes if v["purpose"] != ADJUDICATION]


def source_of(votes: list[Vote]) -> str:
    """Whose word it is: adjudication, label (ours), write, compare, import; the first of these that voted."""
    purposes = {"label" if v["purpose"] in OURS else v["purpose"] for v in votes}
    return next(name for name in (ADJUDICATION, "label", WRITE, "compare", "import") if name in purposes)


def sort_votes(votes: list[Vote], n_candidates: int) -> dict[str, list[Vote]]:
    """Votes by what they speak of: `pair`, `rank`, `edit`, `thumb <candidate>`. Ratings of several are a ranking."""
    found: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes + rankings_of_ratings([v for v in votes if v["kind"] == "rating"]):
        if vote["kind"] in ("rank", "best_worst"):
            tiers = tiers_in(vote["payload"], n_candidates)
            told = {"choice": side(tiers), "strength": None} if n_candidates == 2 else {"tiers": tiers}
            found["pair" if n_candidates == 2 else "rank"].append(vote | {"payload": told})
        elif vote["kind"] == "thumb":
            found[f"thumb {vote['payload']['candidate']}"].append(vote)
        elif vote["kind"] in ("pair", "edit"):
            found[vote["kind"]].append(vote)
    return found


def side(tiers: Tiers) -> Choice:
    """A ranking of two answers as a choice."""
    return "both_bad" if not tiers else tiers[0][0] if len(tiers) == 2 else "tie"


def not_best(verdict: Verdict) -> list[int]:
    """The answers below the best; none where a verdict prefers no answer to another."""
    tiers = [[verdict.choice], [1 - verdict.choice]] if verdict.choice in (0, 1) else verdict.tiers or []
    return [c for tier in tiers[1:] for c in tier]


def not_above(vote: Vote, parent: int, n_candidates: int) -> list[int]:
    """The answers that a vote places level with `parent` or below it, all of them where none is acceptable."""
    payload = vote["payload"]
    if "choice" in payload:
        return [1 - parent] if payload["choice"] in (parent, "tie", "both_bad") else []
    place = places(vote)
    if not place:
        return [c for c in range(n_candidates) if c != parent]
    return [c for c in place if c != parent and place[c] >= place.get(parent, len(place))]


def rankings_of_ratings(ratings: list[Vote]) -> list[Vote]:
    """One ranking per annotator and purpose who scored at least two answers."""
    scores: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in ratings:
        scores[vote["annotator"], vote["purpose"]].append(vote)
    return [
        votes[-1] | {"kind": "rank", "payload": {"tiers": tiers_of({v["payload"]["candidate"]: v for v in votes})}}
        for votes in scores.values()
        if len(votes) > 1
    ]


def tiers_of(scored: dict[int, Vote]) -> Tiers:
    levels: dict[float, list[int]] = defaultdict(list)
    for candidate, vote in sorted(scored.items()):
        levels[-vote["payload"]["score"]].append(candidate)
    return [levels[level] for level in sorted(levels)]
