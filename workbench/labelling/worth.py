"""What more labels would bring: the curve through the errors of a growing training set, and where it leads. Pure.

Leaves out measuring errors (`training.worth`) and which labels are measured (`store.worth`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SHARES = (0.1, 0.18, 0.32, 0.56, 1.0)
MORE = (100, 500, 2000)
CLOSE = 0.02  # how far off a curve may be at the largest subset that it has not seen
FLATTEST = 1e-6


def subsets(group: Array, seed: int) -> list[Array]:
    """Rows of `SHARES` of a training set, each within the next; a group comes whole.

    group   (n,) the group of each row
    """
    names, number = np.unique(group, return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names))[number]  # where the group of each row comes
    reached = np.cumsum(np.bincount(place, minlength=len(names)))
    last = np.searchsorted(reached, np.array(SHARES) * len(group) - 1e-9)
    return [np.flatnonzero(place <= end) for end in last]


def law(n: Array | float, a: float, b: float, c: float) -> Array | float:
    """err(n) = a + b n^-c: what no label removes, and what labels remove. law(100, 0.1, 0.9, 0.5) = 0.19."""
    return a + b * np.asarray(n, float) ** -c


def fitted(n: Array, error: Array) -> tuple[float, float, float] | None:
    """(a, b, c) of the `law` by least squares, a, b >= 0 and 0 < c <= 1; None where the search does not end.

    n, error    (k,) sizes and the mean error at each, k >= 3
    Source of the form: Hestness et al. 2017, arXiv:1712.00409, Eq. 1.
    """
    from scipy.optimize import curve_fit

    most = float(np.max(n))  # sizes as shares of the largest: all three numbers then are of one order
    start, bounds = (0.5 * min(error), 0.5 * min(error), 0.5), ((0, 0, FLATTEST), (1, 1, 1))
    try:
        (a, b, c), _ = curve_fit(law, np.asarray(n) / most, error, start, bounds=bounds, max_nfev=10_000)
    except RuntimeError:
        return None
    return float(a), float(b * most**c), float(c)


def curve(n: Array, error: Array) -> dict[str, Any]:
    """The law through all sizes, by how much one without the largest misses it, and whether that is close enough."""
    whole, shorter = fitted(n, error), fitted(n[:-1], error[:-1])
    missed = abs(float(law(n[-1], *shorter)) - float(error[-1])) if shorter else None
    predictable = whole is not None and missed is not None and missed <= CLOSE
    return {"law": whole and dict(zip("abc", whole, strict=True)), "missed": missed, "predictable": predictable}


def projected(law_: dict[str, float], n: float, seconds: float | None) -> list[dict[str, Any]]:
    """The error now and after more labels, and the hours that they take at so many seconds for each."""
    return [
        {
            "more": more,
            "error": float(law(n + more, **law_)),
            "hours": None if seconds is None else more * seconds / 3600,
        }
        for more in (0, *MORE)
    ]
