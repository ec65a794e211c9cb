"""How far annotators agree beyond chance, and how sure that figure is. Pure; leaves out which votes count (`report`).

Votes come as counts: one row per unit that was judged (a pair, one answer, an implied pair of a ranking), one column
per category. Every figure is a function of sums over units, so that 2,000 resamples are one matrix product.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.ratings import share

Array = NDArray[Any]
Estimate = dict[str, Any]

LEAST = 30  # overlap items behind any figure
SHARED = 20  # items that two annotators must share for Cohen's kappa
DRAWS = 2000
CHUNK = 4_000_000  # drawn counts held at once


def estimate(value: float, low: float, high: float, n: int) -> Estimate:
    return {"value": float(value), "low": float(low), "high": float(high), "n": int(n)}


def unknown(why: str, n: int = 0) -> Estimate:
    return {"value": None, "why": why, "n": int(n)}


def wilson(part: int, whole: int) -> Estimate:
    """A share with its 95 % Wilson interval. 27 of 50 give 0.54 [0.404, 0.670]. Source: Wilson 1927."""
    return estimate(*share(int(part), int(whole)), whole) if whole else unknown("no_votes")


def tally(unit: Array, category: Array, units: int, categories: int) -> Array:
    """(units, categories) counts of votes; a category below 0 is a missing vote."""
    said = category >= 0
    flat = np.bincount(unit[said] * categories + category[said], minlength=units * categories)
    return flat.reshape(units, categories)


def raw_agreement(counts: Array, group: Array, item: Array | None = None) -> Estimate:
    """Mean over units of the share of agreeing pairs of votes, sum_j n_ij (n_ij - 1) / (m_i (m_i - 1)), m_i >= 2.

    group, item     per unit: its prompt, and its item where an item has several units; `n` counts items

    Wilson interval where every unit has two votes and a prompt of its own, else by resampling prompts.
    """
    counts, group, n = paired(counts, group, item)
    if n < LEAST:
        return unknown(f"needs_{LEAST}", n)
    if (counts.sum(1) == 2).all() and len(np.unique(group)) == len(counts):
        return wilson(int((counts == 2).any(1).sum()), n)
    return resampled(counts, group, agreeing, lambda t: t[:, 0] / t[:, 1]) | {"n": n}


def krippendorff(counts: Array, group: Array, item: Array | None = None, *, ordinal: bool = False) -> Estimate:
    """Krippendorff's alpha, 1 - (n - 1) sum o_ck d_ck / sum n_c n_k d_ck; takes any number of votes from two on.

    ordinal     d = (n_c / 2 + n between + n_k / 2)^2 with categories in their order; else d = [c != k]

    His 4 x 12 example gives 0.743 nominal and 0.815 ordinal. Source: Krippendorff 2011, sections C and D.
    """
    counts, group, n = paired(counts, group, item)
    if (refusal := unfit(counts, n)) is not None:
        return refusal
    return resampled(counts, group, coincidences, lambda t: alpha(t, counts.shape[1], ordinal)) | {"n": n}


def fleiss(counts: Array, group: Array, item: Array | None = None) -> Estimate:
    """Fleiss' kappa on the units with exactly m votes, m being the most common count.

    His 10 x 5 table with 14 raters gives 0.210. Source: Fleiss 1971, eq. 7.
    """
    votes = counts.sum(1)
    most = np.bincount(votes[votes >= 2], minlength=1).argmax()
    counts, group, n = paired(np.where((votes == most)[:, None], counts, 0), group, item)
    if (refusal := unfit(counts, n)) is not None:
        return refusal
    from statsmodels.stats.inter_rater import fleiss_kappa

    found = resampled(counts, group, lambda c: np.c_[agreeing(c), c], kappa)
    return found | {"value": float(fleiss_kappa(counts)), "n": n}


def cohen(table: Array) -> Estimate:
    """Cohen's kappa of two annotators from their (k, k) table, with its 95 % interval.

    [[20, 5], [10, 15]] gives 0.400 [0.151, 0.649]. Source: Cohen 1960; interval: Fleiss, Cohen, Everitt 1969.
    """
    table, n = np.asarray(table, float), int(np.sum(table))
    if n < SHARED:
        return unknown(f"needs_{SHARED}", n)
    if max(table.sum(0).max(), table.sum(1).max()) == n and np.trace(table) == n:
        return unknown("all_same", n)
    from statsmodels.stats.inter_rater import cohens_kappa

    with np.errstate(all="ignore"):
        found = cohens_kappa(table)
    value, half = found.kappa, np.nan_to_num(found.kappa_upp - found.kappa)  # no variance where all votes agree
    return estimate(value, value - half, value + half, n)


def mean_cohen(tables: list[Array]) -> Estimate:
    """The mean over pairs of annotators, weighted by what they share; pairs count as independent in its interval."""
    known = [k for k in map(cohen, tables) if k["value"] is not None]
    if not known:
        most = max((int(t.sum()) for t in tables), default=0)
        return unknown("all_same" if most >= SHARED else f"needs_{SHARED}", most)
    weight = np.array([k["n"] for k in known], float)
    mean = np.average([k["value"] for k in known], weights=weight)
    half = np.array([k["high"] - k["low"] for k in known]) / 2
    spread = np.sqrt(((weight / weight.sum() * half) ** 2).sum())
    return estimate(mean, mean - spread, mean + spread, int(weight.sum()))


def cross(unit: Array, who: Array, category: Array, people: int, categories: int) -> Array:
    """(people, people, k, k): how often one said c where the other said d. One vote per unit and person, the last."""
    units, unit = np.unique(unit, return_inverse=True)
    said = np.full((len(units), people), -1, np.int8)
    said[unit, who] = category
    hot = [(said == c).astype(np.float32) for c in range(categories)]
    tables = np.array([[mine.T @ others for others in hot] for mine in hot])
    return np.moveaxis(tables, (0, 1), (2, 3)).round().astype(np.int64)


# --- sums over units, and what is made of them


def paired(counts: Array, group: Array, item: Array | None) -> tuple[Array, Array, int]:
    """Without the units that have fewer than two votes; and the number of items that are left."""
    kept = counts.sum(1) >= 2
    return counts[kept], group[kept], int(kept.sum()) if item is None else len(np.unique(item[kept]))


def unfit(counts: Array, n: int) -> Estimate | None:
    if n < LEAST:
        return unknown(f"needs_{LEAST}", n)
    return unknown("all_same", n) if (counts.sum(0) > 0).sum() < 2 else None


def agreeing(counts: Array) -> Array:
    """Per unit: the share of its pairs of votes that agree, and 1."""
    votes = counts.sum(1)
    return np.c_[(counts * (counts - 1)).sum(1) / (votes * (votes - 1)), np.ones(len(counts))]


def coincidences(counts: Array) -> Array:
    """Per unit: ordered pairs of votes (c, k) over m - 1, as a row of k * k."""
    both = counts[:, :, None] * counts[:, None, :] - np.eye(counts.shape[1]) * counts[:, None, :]
    return (both / (counts.sum(1) - 1)[:, None, None]).reshape(len(counts), -1)


def alpha(totals: Array, k: int, ordinal: bool) -> Array:
    """Alpha of each row of summed coincidences; nan where all votes are the same."""
    o = totals.reshape(-1, k, k)
    n_c = o.sum(2)
    place = n_c.cumsum(1) - n_c / 2
    apart = (place[:, :, None] - place[:, None, :]) ** 2 if ordinal else np.broadcast_to(1 - np.eye(k), o.shape)
    expected = (n_c[:, :, None] * n_c[:, None, :] * apart).sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - (n_c.sum(1) - 1) * (o * apart).sum((1, 2)) / expected


def kappa(totals: Array) -> Array:
    """Fleiss' kappa of each row of sums: agreeing share, units, then votes per category."""
    by_chance = ((totals[:, 2:] / totals[:, 2:].sum(1, keepdims=True)) ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (totals[:, 0] / totals[:, 1] - by_chance) / (1 - by_chance)


def resampled(
    counts: Array, group: Array, facts: Callable[[Array], Array], figure: Callable[[Array], Array]
) -> Estimate:
    """`figure` of the summed `facts`, with the 2.5 to 97.5 % of 2,000 resamples of prompts; `n` counts prompts.

    Prompts with the same facts are drawn together: one multinomial over the few patterns that there are.
    """
    patterns, which = np.unique(counts, axis=0, return_inverse=True)
    sums, names = facts(patterns.astype(float)), np.unique(group, return_inverse=True)[1]
    n = int(names.max()) + 1
    if n < len(counts):
        whole = np.array([np.bincount(names, column[which], minlength=n) for column in sums.T]).T
        sums, which = np.unique(whole.round(9), axis=0, return_inverse=True)
    often = np.bincount(which.ravel(), minlength=len(sums))
    draws = drawn(often, sums)
    low, high = np.nanpercentile(figure(draws), [2.5, 97.5])
    return estimate(figure((often @ sums)[None])[0], low, high, n)


def drawn(often: Array, sums: Array) -> Array:
    """(DRAWS, facts): the sums of each resample. Always the same draws for the same input."""
    rng, n = np.random.default_rng(0), int(often.sum())
    step = max(1, CHUNK // len(often))
    sizes = [min(step, DRAWS - at) for at in range(0, DRAWS, step)]
    return np.concatenate([rng.multinomial(n, often / n, size=size) @ sums for size in sizes])
