"""Kendall's rank correlation of one sample with both of its one-sided p values.

`scipy.stats.kendalltau` gives one of them a call, and most of a call goes into checking arguments;
a study of 20 tasks makes hundreds of calls on a few runs each. Every number here is the one scipy
gives, to the last bit.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np

from scalebed.laws.forms.base import Array, Index

_LARGEST = 170  # whose factorial is a number
# Up to so many points without ties the p value is exact, and beyond where at most one pair is out
# of order.
_EXACT = 33


def kendall(x: Array, y: Array) -> tuple[float, float, float]:
    """Tau-b, and the p values of tau above 0 and of tau below 0.

    Parameters
    ----------
    x, y : array (n,)
        Neither may be constant.
    """
    from scipy.special import ndtr

    n = x.size
    product = np.sign(np.subtract.outer(x, x)) * np.sign(np.subtract.outer(y, y))
    score, against = int(product.sum()) // 2, int((product < 0).sum()) // 2
    pairs = n * (n - 1) // 2
    ties_x, ties_y = _repeats(x), _repeats(y)
    tied_x, tied_y = (int((t * (t - 1) // 2).sum()) for t in (ties_x, ties_y))
    tau = score / np.sqrt(pairs - tied_x) / np.sqrt(pairs - tied_y)
    tau = float(np.minimum(1.0, max(-1.0, tau)))
    free = tied_x == 0 and tied_y == 0
    if free and (n <= _EXACT or min(against, pairs - against) <= 1):
        return tau, *_exact_tails(n, pairs - against)
    z = score / np.sqrt(_variance(n, ties_x, ties_y))
    return tau, float(ndtr(-z)), float(ndtr(z))


def _repeats(values: Array) -> Index:
    """How often each value occurs."""
    ordered = np.sort(values)
    first = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])
    counts: Index = np.diff(np.flatnonzero(first))
    return counts


def _variance(n: int, ties_x: Index, ties_y: Index) -> float:
    """Variance of concordant less discordant pairs without a trend, corrected for ties."""
    m = n * (n - 1.0)
    tied_x, tied_y = (int((t * (t - 1) // 2).sum()) for t in (ties_x, ties_y))
    second = [int((t * (t - 1.0) * (t - 2)).sum()) for t in (ties_x, ties_y)]
    third = [int((t * (t - 1.0) * (2 * t + 5)).sum()) for t in (ties_x, ties_y)]
    found = (m * (2 * n + 5) - third[0] - third[1]) / 18
    return found + (2 * tied_x * tied_y) / m + second[0] * second[1] / (9 * m * (n - 2))


@lru_cache(maxsize=4096)
def _exact_tails(n: int, concordant: int) -> tuple[float, float]:
    """P values of tau above 0 and below 0 of n points without ties, from their concordant pairs.

    Notes
    -----
    Kendall (1970), Rank Correlation Methods: of n! orders, those with k pairs out of order are
    counted by adding one point after another.
    """
    pairs = n * (n - 1) // 2
    few = min(concordant, pairs - concordant)
    tail, mass = _tail(n, few)
    near, far = min(tail, 1.0), min(1 - tail + mass, 1.0)
    return (near, far) if concordant >= pairs - concordant else (far, near)


def _tail(n: int, few: int) -> tuple[float, float]:
    """Probabilities of at most `few` of the pairs of n points out of order, and of just as many."""
    if n == 2:
        return 0.5, 0.5
    if few == 0:
        return _over(n), _over(n)
    if few == 1:
        return _over(n - 1), (n - 1) / factorial(n)
    counts = np.zeros(few + 1)
    counts[:2] = 1.0
    for size in range(3, n + 1):
        counts = np.cumsum(counts)
        if size <= few:
            counts[size:] -= counts[: few + 1 - size]
    return float(counts.sum() / factorial(n)), float(counts[-1] / factorial(n))


def _over(n: int) -> float:
    """One over the factorial of n."""
    return 1.0 / factorial(n) if n <= _LARGEST else 0.0
