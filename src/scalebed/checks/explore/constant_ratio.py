"""The exponent of compute on each ray of constant token multiplier M.

On one ray D = M N the tied law is ``L = E + s C^-eta``. With E shared by all rays, from the joint
fit, two parameters a ray are left. With E free on every ray there are three, and four sizes do not
hold them: exponent and floor trade against each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array

# Interval of the exponent searched; the published ones lie in 0.1 .. 0.19.
_LOW, _HIGH, _NODES = 1e-3, 1.0, 200
_ROUNDS = 60
_GOLDEN = (5**0.5 - 1) / 2


class Ray(NamedTuple):
    """Exponent on one ray; each field has the shape of the samples."""

    eta: Array
    scale: Array
    floor: Array


def fit_ray(flops: Array, loss: Array) -> Ray:
    """Least squares on the loss of ``L = E + s C^-eta``, without bounds on E and s.

    Parameters
    ----------
    flops : array (n,) or (rows, n)
    loss : array (rows, n) or (n,)

    Returns
    -------
    Ray
        Fields of shape (rows,); `eta` is NaN where a sample has fewer than two distinct C.
    """
    loss = np.atleast_2d(np.asarray(loss, float))
    u = np.broadcast_to(np.log(np.atleast_2d(np.asarray(flops, float))), loss.shape)
    # About the middle of log C the column is of order one.
    middle = u.mean(1, keepdims=True)
    grid = np.geomspace(_LOW, _HIGH, _NODES)
    rss = np.stack([_solve(u - middle, loss, np.full(len(loss), q))[0] for q in grid], 1)
    node = np.clip(rss.argmin(1), 1, _NODES - 2)
    eta = _golden(u - middle, loss, grid[node - 1], grid[node + 1])
    _, scale, found = _solve(u - middle, loss, eta)
    enough = np.ptp(u, axis=1) > 1e-9
    return Ray(np.where(enough, eta, np.nan), scale * np.exp(eta * middle[:, 0]), found)


def _golden(u: Array, loss: Array, low: Array, high: Array) -> Array:
    """Golden-section search in the bracket of every row."""
    for _ in range(_ROUNDS):
        width = _GOLDEN * (high - low)
        left, right = high - width, low + width
        lower = _solve(u, loss, left)[0] < _solve(u, loss, right)[0]
        low, high = np.where(lower, low, left), np.where(lower, right, high)
    return 0.5 * (low + high)


def _solve(u: Array, loss: Array, eta: Array) -> tuple[Array, Array, Array]:
    """Residual sum of squares, slope and intercept at one exponent a row."""
    phi = np.exp(-eta[:, None] * u)
    centre, mean = phi.mean(1), loss.mean(1)
    spread = phi - centre[:, None]
    length = (spread**2).sum(1)
    slope = (spread * loss).sum(1) / np.where(length > 0, length, 1.0)
    intercept = mean - slope * centre
    rest = loss - intercept[:, None] - slope[:, None] * phi
    return (rest**2).sum(1), slope, intercept


def log_slope(flops: Array, loss: Array, floor: float) -> Array:
    """Exponent as the slope of log(L - E) over log C, E given.

    Parameters
    ----------
    flops, loss : array (n,) or (rows, n)
    floor : float
        E, from the joint fit.

    Returns
    -------
    array (rows,)
        NaN where fewer than two distinct C are left or a loss is not above the floor.
    """
    u, rest = np.log(np.atleast_2d(flops)), np.atleast_2d(loss) - floor
    v = np.log(np.where(rest > 0, rest, np.nan))
    u = u - u.mean(1, keepdims=True)
    length = (u**2).sum(1)
    slope: Array = -(u * v).sum(1) / np.where(length > 1e-12, length, np.nan)
    return slope


def ray_intervals(
    flops: Array, loss: Array, floor: float, draws: int, seed: int, level: float = 0.9
) -> tuple[float, float]:
    """Interval of the exponent from a bootstrap over the cells of a ray, E held.

    Samples with fewer than two distinct cells say nothing about an exponent and are left out.
    """
    index = np.random.default_rng(seed).integers(0, flops.size, (draws, flops.size))
    eta = log_slope(flops[index], loss[index], floor)
    eta = eta[np.isfinite(eta)]
    if not eta.size:
        return float("nan"), float("nan")
    tails = np.quantile(eta, [(1 - level) / 2, (1 + level) / 2])
    return float(tails[0]), float(tails[1])
