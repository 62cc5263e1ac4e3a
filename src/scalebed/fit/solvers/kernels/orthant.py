"""How probable it is at the most that three normals are all above 0, compiled.

Each of them bounds it. Where the runs tell a sum of two, or of all three, and hardly anything
else, that is far too much: a ladder at one D cannot tell the floor from the term of the data, one
at one M hardly the two terms. So there are two more bounds.

Two normals x and y with the correlation -r < 0: u = x + c y, c = r sd(x) / sd(y), is independent of
y, and both are above 0 where 0 < c y < u. The density of y is at most 1 / (sd(y) sqrt(2 pi)), so

    P <= E[max(u, 0)] / (r sd(x) sqrt(2 pi)).

Three normals with the precision matrix P: u = x + (P_xy y + P_xz z) / P_xx is independent of y and
z, and all are above 0 where these lie in a triangle with the area u^2 / (2 c_y c_z), so

    P <= E[max(u, 0)^2] / (4 pi c_y c_z sqrt(det cov(y, z))).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.solvers.kernels.compiling import compiled
from scalebed.fit.solvers.kernels.normal import log_excess, log_square

ROWS = 8
"""Of what `prepare` fills: means over standard deviations, these, three of pairs, three of all."""
_PAIRS, _ALL = 2, 5
_ROOT_TWO_PI = np.sqrt(2.0 * np.pi)
_LEAST = 1e-13


@compiled
def prepare(mean: Any, spread: Any, precision: Any, out: Any) -> None:
    """Fill what bounds at every scatter need of one node, (ROWS, 3).

    Parameters
    ----------
    mean : array (3,)
    spread, precision : array (3, 3)
        Covariance for a scatter of 1, and its inverse.
    out : array (ROWS, 3)
        Of the last six rows: mean and standard deviation of the sum, and the factor before its
        moment, all in units in which the normal that is bounded has a standard deviation of 1; a
        factor of 0 for none.
    """
    z, sd = out[0], out[1]
    for m in range(3):
        sd[m] = np.sqrt(spread[m, m])
        z[m] = mean[m] / sd[m]
    for m in range(3):
        i, j = (m + 1) % 3, (m + 2) % 3
        pair, every = out[_PAIRS + m], out[_ALL + m]
        pair[2] = every[2] = 0.0
        r = -spread[i, j] / (sd[i] * sd[j])
        rest = max(1.0 - r * r, _LEAST)
        if r > 0.0:
            pair[0] = min(z[i], z[j]) + r * max(z[i], z[j])
            pair[1] = np.sqrt(rest)
            pair[2] = 1.0 / (r * _ROOT_TWO_PI)
        ci = precision[m, i] / precision[m, m] * sd[i] / sd[m]
        cj = precision[m, j] / precision[m, m] * sd[j] / sd[m]
        if ci > 0.0 and cj > 0.0:
            every[0] = z[m] + ci * z[i] + cj * z[j]
            every[1] = 1.0 / (np.sqrt(precision[m, m]) * sd[m])
            every[2] = 1.0 / (4.0 * np.pi * ci * cj * np.sqrt(rest))


@compiled
def log_sums(known: Any, inverse: float, table: Any) -> float:
    """Logarithm of the least bound by a sum, at a scatter of 1 / `inverse`; 0 at the most."""
    best = 0.0
    for m in range(_PAIRS, ROWS):
        factor = known[m, 2]
        if factor <= 0.0:
            continue
        middle, sd = known[m, 0] * inverse, known[m, 1]
        if m < _ALL:
            # A mean is no less than what it is the mean of, above 0.
            if factor * middle < 1.0:
                best = min(best, np.log(factor * sd) + log_excess(middle / sd, table))
        elif middle <= 0.0 or factor * middle * middle < 1.0:
            best = min(best, np.log(factor * sd * sd) + log_square(middle / sd, table))
    return best
