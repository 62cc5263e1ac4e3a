"""Scale of residuals that outliers do not widen, and what Huber's loss makes of normal scatter.

Residuals r are taken as normal with scatter s, but for some that are anywhere. Huber's loss is rho,
psi = rho' is r limited to +-delta, and t = delta / s.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array, Mask

# Huber's own: 95 % efficient for a mean.
_LIMIT: Final = 1.345
# Chance that a fit without outliers has any named.
_FALSE: Final = 0.05
_ROUNDS: Final = 200


def _inside(t: float) -> float:
    """E[z^2; |z| < t]."""
    return math.erf(t / math.sqrt(2)) - 2 * t * _density(t)


def _density(t: float) -> float:
    return math.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


def _outside(t: float) -> float:
    return math.erfc(t / math.sqrt(2))


def mean_curvature(scatter: float, delta: float) -> float:
    """E rho'' = P(|r| < delta): the share of normal residuals that Huber's parabola holds."""
    return math.erf(delta / scatter / math.sqrt(2))


def mean_square(scatter: float, delta: float) -> float:
    """E psi^2 of normal residuals: s^2 E[z^2; |z| < t] + delta^2 P(|z| > t)."""
    t = delta / scatter
    return scatter**2 * _inside(t) + delta**2 * _outside(t)


def felt(scatter: float, delta: float) -> float:
    """Scatter of ordinary least squares that would move the optimum as much as Huber's loss does.

    s for delta far above s, s sqrt(pi/2) for a delta far below, where the loss is that of absolute
    values (Huber 1964: variance E psi^2 / (E psi')^2).
    """
    return math.sqrt(mean_square(scatter, delta)) / mean_curvature(scatter, delta)


def _efficiency() -> float:
    """Variance of log RMS over that of the logarithm of the scale, for many normal residuals.

    With chi = min(z^2, k^2) - beta the scale has the variance E chi^2 / (E z chi')^2, RMS 1/2
    (Huber and Ronchetti 2009, section 5.2).
    """
    k = _LIMIT
    beta = _inside(k) + k**2 * _outside(k)
    fourth = 3 * _inside(k) - 2 * k**3 * _density(k)
    return (2 * _inside(k)) ** 2 / (fourth + k**4 * _outside(k) - beta**2) / 2


EFFICIENCY: Final = _efficiency()
"""Of the scale: it knows the scatter as well as this share of the degrees of freedom would."""


class Judged(NamedTuple):
    """What residuals say of their scatter.

    Attributes
    ----------
    scale : float
        Standard deviation of those that are normal; 0 without a degree of freedom.
    dof : float
        Degrees of freedom whose RMS would know it as well.
    outlying : bool array (n,)
        Residuals that normal scatter hardly explains.
    """

    scale: float
    dof: float
    outlying: Mask


def judge(residuals: Array, dof: float) -> Judged:
    """Tell scatter and outliers apart.

    The scale is Huber's proposal 2. Residuals are outlying if they are so many scales off that
    among residuals without outliers any is in 5 % of the cases, by Student's t for all at once
    (Bonferroni). Without them the scale is found anew, until no more are.

    Parameters
    ----------
    residuals : array (n,)
    dof : float
        Points minus parameters.
    """
    from scipy.special import stdtrit

    size = np.abs(residuals)
    outlying: Mask = np.zeros(size.size, dtype=bool)
    while True:
        left = dof - int(outlying.sum())
        if left <= 0:
            return Judged(0.0, 0.0, np.zeros(size.size, dtype=bool))
        found = _proposal_2(size[~outlying], left)
        limit = float(stdtrit(EFFICIENCY * left, 1 - _FALSE / (2 * size.size)))
        far = size > limit * found
        # With fewer degrees of freedom the limit grows, and may reach a point left out before.
        if found == 0 or not (far & ~outlying).any():
            return Judged(found, EFFICIENCY * left, outlying)
        outlying = outlying | far


def _proposal_2(size: Array, dof: float) -> float:
    """Find s with sum(min(r^2 / s^2, k^2)) = dof beta, where beta = E min(z^2, k^2), k = 1.345.

    It is the standard deviation of normal residuals; one far off counts as much as one of k s.
    Huber (1964); with degrees of freedom as in ``rlm`` of Venables and Ripley (2002), Modern
    Applied Statistics with S, section 6.5.
    """
    beta = _inside(_LIMIT) + _LIMIT**2 * _outside(_LIMIT)
    found = float(np.sqrt(np.sum(size**2) / dof))
    for _ in range(_ROUNDS):
        limited = np.minimum(size, _LIMIT * found)
        less = float(np.sqrt(np.sum(limited**2) / (dof * beta)))
        if abs(less - found) <= 1e-12 * found:
            break
        found = less
    return found
