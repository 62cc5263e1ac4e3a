"""Three normals that are all above 0, drawn with their weights.

They are drawn one after the other, each cut off at its limits given those before (Geweke,
Hajivassiliou and Keane). Where one of them is improbable by itself, it is the first. But runs may
tell a sum of them well and hardly anything else; there, of the two that are correlated most, x is
replaced by

    u = x + c_y y + c_z z,        c = P_x. / P_xx with the precision matrix P,

which is independent of the other two and known best of all. Then y, and z given y, are drawn where
x > 0, so c_y y + c_z z < u: what the runs leave open is drawn within what is possible, not far
beyond it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from scalebed.laws.forms.base import Array, Index

_LEAST: Final = 1e-13
"""Share of a precision that is left where the others tell a normal as well, but for rounding."""
_BETTER: Final = 1e-6
"""By how much a logarithm has to be below another one to count as the less."""


class Normals(NamedTuple):
    """Distributions of three normals, for a scatter of 1.

    Attributes
    ----------
    mean : array (k, 3)
    spread : array (k, 3, 3)
        Covariance.
    precision : array (k, 3, 3)
        Its inverse, from what it was computed from: of its own inverse no digits may be left.
    right : array (k, 3)
        Precision times mean, likewise.
    """

    mean: Array
    spread: Array
    precision: Array
    right: Array

    @classmethod
    def empty(cls, count: int) -> Normals:
        """Return room for some."""
        return cls(*(np.empty((count, 3, 3)[:n]) for n in (2, 3, 3, 2)))

    def put(self, rows: Index, others: Normals) -> None:
        """Fill some."""
        for column, values in zip(self, others, strict=True):
            column[rows] = values

    def take(self, rows: Index) -> Normals:
        """Return some of them."""
        return Normals(*(column[rows] for column in self))


def positive(
    normals: Normals, scatter: Array, limit: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw one vector of each distribution.

    Parameters
    ----------
    normals : Normals
    scatter : array (k,)
    limit : array (k,)
        Bound of the logarithm of the probability that none is negative.
    rng : numpy.random.Generator

    Returns
    -------
    array (k, 3)
        None negative.
    array (k,)
        Logarithm of the weight of each; the mean weight of a distribution is that probability.
    """
    found, chance = np.empty((scatter.size, 3)), np.empty(scatter.size)
    alone = np.min(normals.mean / _deviations(normals.spread), axis=1) / scatter
    sums = limit < log_ndtr(alone) - _BETTER
    for rows, draw in ((np.flatnonzero(sums), _by_sum), (np.flatnonzero(~sums), _in_turn)):
        found[rows], chance[rows] = draw(normals.take(rows), scatter[rows], rng)
    return np.maximum(found, 0.0), chance


def _in_turn(normals: Normals, scatter: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the least probable first."""
    order = np.argsort(normals.mean / _deviations(normals.spread), axis=1)
    mean = np.take_along_axis(normals.mean, order, axis=1)
    root = np.linalg.cholesky(_ordered(normals.spread, order)) * scatter[:, None, None]
    steps, values = np.empty_like(mean), np.empty_like(mean)
    none, chance = np.zeros(scatter.size), np.zeros(scatter.size)
    for j in range(3):
        known = mean[:, j] + np.einsum("ri,ri->r", root[:, j, :j], steps[:, :j])
        values[:, j], more = _between(known, root[:, j, j], none, none + np.inf, rng)
        steps[:, j] = (values[:, j] - known) / root[:, j, j]
        chance += more
    found = np.empty_like(mean)
    np.put_along_axis(found, order, values, axis=1)
    return found, chance


def _by_sum(normals: Normals, scatter: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the sum of all first, and x last, which is what the others leave of it."""
    order = order_of(normals.mean, normals.spread)
    p = _ordered(normals.precision, order)
    b = np.take_along_axis(normals.right, order, axis=1)
    cy, cz = p[:, 0, 1] / p[:, 0, 0], p[:, 0, 2] / p[:, 0, 0]
    # Elimination of x, then of z: what is known of y alone, and of z given y.
    yy, yz = p[:, 1, 1] - cy * p[:, 0, 1], p[:, 1, 2] - cy * p[:, 0, 2]
    zz = np.maximum(p[:, 2, 2] - cz * p[:, 0, 2], _LEAST * p[:, 2, 2])
    by, bz = b[:, 1] - cy * b[:, 0], b[:, 2] - cz * b[:, 0]
    alone = np.maximum(yy - yz * yz / zz, _LEAST * p[:, 1, 1])

    none, ever = np.zeros(scatter.size), np.full(scatter.size, np.inf)
    free = (cy < 0) | (cz < 0)
    u, first = _between(
        b[:, 0] / p[:, 0, 0], scatter / np.sqrt(p[:, 0, 0]), np.where(free, -ever, none), ever, rng
    )
    # A z that adds to x bounds no y.
    low, high = _room(u, np.where(cz < 0, 0.0, cy))
    y, second = _between((by - yz * bz / zz) / alone, scatter / np.sqrt(alone), low, high, rng)
    low, high = _room(u - cy * y, cz)
    z, third = _between((bz - yz * y) / zz, scatter / np.sqrt(zz), low, high, rng)
    found = np.empty_like(b)
    np.put_along_axis(found, order, np.stack([u - cy * y - cz * z, y, z], axis=1), axis=1)
    return found, first + second + third


def order_of(mean: Array, spread: Array) -> Index:
    """Which of three normals are x, y and z, (k, 3).

    The two that are correlated most negatively are x and z. That x is above 0 is seen last, so it
    is the one of them that is more likely to be.
    """
    sd = _deviations(spread)
    pairs = np.array([(1, 2), (0, 2), (0, 1)])
    together = np.stack([spread[:, i, j] / (sd[:, i] * sd[:, j]) for i, j in pairs], axis=1)
    third = np.argmin(together, axis=1)
    pair = pairs[third]
    above = np.take_along_axis(mean / sd, pair, axis=1)
    turned = above[:, 0] < above[:, 1]
    first, last = np.where(turned, pair[:, ::-1].T, pair.T)
    found: Index = np.stack([first, third, last], axis=1)
    return found


def _deviations(spread: Array) -> Array:
    """Return standard deviations, (k, 3)."""
    found: Array = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
    return found


def _ordered(matrices: Array, order: Index) -> Array:
    """Rows and columns of matrices (k, 3, 3) in another order."""
    rows = np.arange(len(order))[:, None, None]
    found: Array = matrices[rows, order[:, :, None], order[:, None, :]]
    return found


def _room(left: Array, share: Array) -> tuple[Array, Array]:
    """Limits of a number above 0 of which a share is below what is left; none for a share of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = np.maximum(left / share, 0.0)
    return np.where(share < 0, edge, 0.0), np.where(share > 0, edge, np.inf)


def _between(
    mean: Array, sd: Array, low: Array, high: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw normals between limits; with the logarithm of the probability to be there."""
    below, above = (low - mean) / sd, (high - mean) / sd
    # In the tail below the middle the logarithms keep their digits.
    with np.errstate(invalid="ignore"):
        turned = below + above > 0
    below, above = np.where(turned, -above, below), np.where(turned, -below, above)
    lower, upper = log_ndtr(below), log_ndtr(above)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = upper + np.log1p(-np.exp(np.minimum(lower - upper, 0.0)))
        at = np.logaddexp(lower, np.log(rng.random(mean.size)) + chance)
        normal = np.clip(ndtri_exp(np.minimum(at, 0.0)), below, above)
    normal = np.where(np.isfinite(normal), normal, above)
    value = mean + sd * np.where(turned, -normal, normal)
    return np.clip(value, low, high), np.where(np.isnan(chance), -np.inf, chance)
