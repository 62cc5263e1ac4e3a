"""The normal distribution and its integrals, compiled: their logarithms, far into the tails."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from scalebed.fit.solvers.kernels.compiling import compiled
from scalebed.laws.forms.base import Array

_CERTAIN = 8.0
"""Standard deviations above 0 from which on the logarithm of the probability is 0."""
_FAR = -20.0
_CELLS_A_UNIT, _ORDER = 4, 8
_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


@cache
def log_normal() -> Array:
    """Polynomials of the log of the normal distribution from _FAR to _CERTAIN, (cells, _ORDER).

    They interpolate at the nodes of Chebyshev in cells of -1 .. 1; their error is below 2e-13.
    """
    nodes = np.cos(np.pi * (np.arange(_ORDER) + 0.5) / _ORDER)
    cells = np.arange(int(_CERTAIN - _FAR) * _CELLS_A_UNIT)
    at = _FAR + (cells[:, None] + 0.5 * (1 + nodes)) / _CELLS_A_UNIT
    found: Array = np.linalg.solve(np.vander(nodes, increasing=True), log_ndtr(at).T).T
    return np.ascontiguousarray(found)


@compiled
def log_probability(x: float, table: Any) -> float:
    """Logarithm of the normal distribution; 0 from `_CERTAIN` on."""
    if x >= _CERTAIN:
        return 0.0
    if x >= _FAR:
        place = (x - _FAR) * _CELLS_A_UNIT
        cell = int(place)
        t = 2.0 * (place - cell) - 1.0
        row = table[cell]
        total = row[_ORDER - 1]
        for k in range(_ORDER - 2, -1, -1):
            total = total * t + row[k]
        return total
    # The asymptotic series of the tail.
    z = 1.0 / (x * x)
    series = 1.0 - z * (1.0 - 3.0 * z * (1.0 - 5.0 * z * (1.0 - 7.0 * z * (1.0 - 9.0 * z))))
    return -0.5 * x * x - np.log(-x) - _LOG_ROOT_TWO_PI + np.log(series)


@compiled
def log_excess(x: float, table: Any) -> float:
    """Logarithm of phi(x) + x Phi(x), the mean of what a normal of mean x is above 0.

    Far below 0, where it is a difference of equal numbers, its bound phi(x) / x^2.
    """
    if x >= _CERTAIN:
        return np.log(x)
    density = -0.5 * x * x - _LOG_ROOT_TWO_PI
    if x > _FAR:
        return np.log(np.exp(density) + x * np.exp(log_probability(x, table)))
    return density - 2.0 * np.log(-x)


@compiled
def log_square(x: float, table: Any) -> float:
    """Logarithm of (1 + x^2) Phi(x) + x phi(x), the mean square of what it is above 0.

    Far below 0 its bound 2 phi(x) / |x|^3.
    """
    if x >= _CERTAIN:
        return np.log(1.0 + x * x)
    density = -0.5 * x * x - _LOG_ROOT_TWO_PI
    if x > _FAR:
        return np.log((1.0 + x * x) * np.exp(log_probability(x, table)) + x * np.exp(density))
    return density + np.log(2.0) - 3.0 * np.log(-x)
