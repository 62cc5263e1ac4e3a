"""Scale of residuals that outliers do not widen, and what Huber's loss makes of normal scatter.

All of it is for residuals r with scatter s: normal but for some that are anywhere. With t = delta/s
and Phi, phi the distribution and density of the normal, psi = rho' is r limited to +-delta.
"""

from __future__ import annotations

import math
from typing import Final

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
    """Variance of log RMS over that of log `scale`, for many normal residuals.

    With chi = min(z^2, k^2) - beta the scale has the variance E chi^2 / (E z chi')^2, RMS 1/2
    (Huber and Ronchetti 2009, section 5.2).
    """
    k = _LIMIT
    beta = _inside(k) + k**2 * _outside(k)
    fourth = 3 * _inside(k) - 2 * k**3 * _density(k)
    return (2 * _inside(k)) ** 2 / (fourth + k**4 * _outside(k) - beta**2) / 2


EFFICIENCY: Final = _efficiency()
"""Of `scale`: it knows the scatter as well as this share of the degrees of freedom would."""


def scale(residuals: Array, dof: float) -> float:
    """Huber's proposal 2: the s with sum(min(r^2 / s^2, k^2)) = dof beta, k = 1.345.

    Parameters
    ----------
    residuals : array (n,)
    dof : float
        Points minus parameters, above 0.

    Notes
    -----
    beta = E min(z^2, k^2), so it is the standard deviation where all is normal; a residual far off
    counts as much as one of k s. Huber (1964); with degrees of freedom as in ``rlm`` of Venables
    and Ripley (2002), Modern Applied Statistics with S, section 6.5.
    """
    size = np.abs(residuals)
    beta = _inside(_LIMIT) + _LIMIT**2 * _outside(_LIMIT)
    found = float(np.sqrt(np.sum(size**2) / dof))
    for _ in range(_ROUNDS):
        limited = np.minimum(size, _LIMIT * found)
        less = float(np.sqrt(np.sum(limited**2) / (dof * beta)))
        if abs(less - found) <= 1e-12 * found:
            break
        found = less
    return found


def outlying(residuals: Array, dof: float) -> Mask:
    """Return the residuals that normal scatter hardly explains, (n,).

    They are so many `scale` off that among residuals without outliers any one is in 5 % of the
    cases, by Student's t with the degrees of freedom that the scale is worth, for n at once
    (Bonferroni).
    """
    from scipy.special import stdtrit

    if dof <= 0:
        return np.zeros(residuals.size, dtype=bool)
    limit = float(stdtrit(EFFICIENCY * dof, 1 - _FALSE / (2 * residuals.size)))
    far: Mask = np.abs(residuals) > limit * scale(residuals, dof)
    return far
