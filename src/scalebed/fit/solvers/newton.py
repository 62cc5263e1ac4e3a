"""Exact Newton's method for any law and objective, batched over samples.

Every row is one fit. A step solves with the exact Hessian in coordinates scaled by the Gauss-Newton
diagonal; directions of negative curvature are turned round, and a Levenberg parameter a row shrinks
steps that do not help. Parameters at a bound whose gradient points outwards are held there
(projected Newton, Bertsekas 1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.solvers.objectives import terms
from scalebed.laws.forms.base import Array, Index, Inputs, Law, Mask

_BLOCK = 1 << 20  # numbers of a block of second derivatives: 8 MB
_EPS = float(np.finfo(float).eps)
_STALLED = 1e12  # of the Levenberg parameter: no step helps any more
_FLAT = 1e-14  # of the cosine: rounding
_HUGE = 1e150  # for what overflows; its square is still a number
_SMALL = 1e-13  # a scaled step, relative to the size of the fitted values


@dataclass(frozen=True)
class Problem:
    """A law with data, bounds and prior, in the coordinates of the search.

    Attributes
    ----------
    law : Law
    x : tuple of arrays (n,) or (rows, n)
    y : array (n,) or (rows, n)
    weights : array (n,) or (rows, n), optional
    options : Options
    lower, upper : array (p,)
        Bounds of the parameters.
    free : bool array (p,)
        Parameters that are fitted.
    logarithmic : bool array (p,)
        Parameters that are searched by their logarithm.
    prior_mean : array (p,) or (rows, p)
    prior_weight : array (p,)
        The prior adds ``sum(weight (theta - mean)^2) / 2``.
    """

    law: Law
    x: Inputs
    y: Array
    weights: Array | None
    options: Options
    lower: Array
    upper: Array
    free: Mask
    logarithmic: Mask
    prior_mean: Array
    prior_weight: Array

    def sums(self, theta: Array) -> Sums:
        """Objective and derivatives at one theta a row."""
        return evaluate(self, theta)

    def take(self, rows: Index) -> Problem:
        """Return the problem of some rows."""
        x = tuple(column if column.ndim == 1 else column[rows] for column in self.x)
        y = self.y if self.y.ndim == 1 else self.y[rows]
        weights = self.weights
        if weights is not None and weights.ndim == 2:
            weights = weights[rows]
        mean = self.prior_mean if self.prior_mean.ndim == 1 else self.prior_mean[rows]
        return replace(self, x=x, y=y, weights=weights, prior_mean=mean)


class Searchable(Protocol):
    """What `minimise` works on."""

    @property
    def lower(self) -> Array:
        """Lower bounds, (p,)."""
        ...

    @property
    def upper(self) -> Array:
        """Upper bounds, (p,)."""
        ...

    @property
    def free(self) -> Mask:
        """Parameters that are fitted, (p,)."""
        ...

    @property
    def logarithmic(self) -> Mask:
        """Parameters that are searched by their logarithm, (p,)."""
        ...

    def sums(self, theta: Array) -> Sums:
        """Objective and derivatives at one theta a row."""
        ...

    def take(self, rows: Index) -> Searchable:
        """Return the problem of some rows."""
        ...


class Sums(NamedTuple):
    """Objective and derivatives at one theta a row, in the coordinates of the search.

    Attributes
    ----------
    value : array (rows,)
    gradient : array (rows, p)
    hessian : array (rows, p, p)
    lengths : array (rows, p)
        Square roots of the Gauss-Newton diagonal.
    residual : array (rows,)
        Length of the limited residuals.
    tangents : array (rows, p)
        Lengths of the derivatives of the residuals.
    size : array (rows,)
        Length of the values, which sets what rounding is.
    """

    value: Array
    gradient: Array
    hessian: Array
    lengths: Array
    residual: Array
    tangents: Array
    size: Array


class Minimum(NamedTuple):
    """Where the search ended; theta (rows, p), objective, gradient (rows,), held (rows, p)."""

    theta: Array
    objective: Array
    gradient: Array
    held: Mask


def minimise(problem: Searchable, start: Array, iterations: int = 200) -> Minimum:
    """Minimise from one start a row.

    Parameters
    ----------
    problem : Searchable
    start : array (rows, p)
    iterations : int
        Steps at most, accepted or not.

    Returns
    -------
    Minimum
        `gradient` is the largest cosine between the limited residuals and the derivative in a
        parameter that is not held: zero at an optimum, whatever the units.
    """
    theta = np.clip(np.array(start, dtype=float), problem.lower, problem.upper)
    now = problem.sums(theta)
    damping = np.zeros(len(theta))
    active = np.flatnonzero(np.isfinite(now.value))
    for _ in range(iterations):
        if not active.size:
            break
        # While all rows go on, as most do for most steps, nothing is copied.
        whole = active.size == len(theta)
        here = now if whole else Sums(*(column[active] for column in now))
        part = problem if whole else problem.take(active)
        step = _step(part, theta[active], here, damping[active])
        trial = _moved(part, theta[active], step)
        there = part.sums(trial)
        floor = 4 * _EPS * np.abs(here.value) + (_EPS * here.size) ** 2
        better = there.value <= here.value + floor
        length = np.max(np.abs(step) * here.lengths, axis=1) / here.size
        flat = _cosine(there, _held(part, trial, there.gradient)) <= _FLAT
        gain = -0.5 * np.einsum("rp,rp->r", step, here.gradient)
        spent = gain <= 0.1 * _EPS * np.abs(here.value)
        finished = better & ((length <= _SMALL) | flat | spent)
        taken = active[better]
        theta[taken] = trial[better]
        for column, new in zip(now, there, strict=True):
            column[taken] = new[better]
        grown = np.maximum(10 * damping[active], 1e-4)
        shrunk = np.where(damping[active] > 1e-6, damping[active] / 10, 0.0)
        damping[active] = np.where(better, shrunk, grown)
        active = active[~(finished | (damping[active] > _STALLED))]
    held = _held(problem, theta, now.gradient)
    return Minimum(theta, now.value, _cosine(now, held), held)


def evaluate(problem: Problem, theta: Array) -> Sums:
    """Objective and derivatives, summed over blocks of points."""
    rows, p = theta.shape
    points = problem.y.shape[-1]
    width = max(_BLOCK // (rows * p * p), 1)
    total: Sums | None = None
    for begin in range(0, points, width):
        part = _block(problem, theta, slice(begin, begin + width))
        total = part if total is None else Sums(*(a + b for a, b in zip(total, part, strict=True)))
    if total is None:
        raise ValueError("no points")
    rest = theta - problem.prior_mean
    value = total.value + 0.5 * (problem.prior_weight * rest**2).sum(-1)
    gradient = total.gradient + problem.prior_weight * rest
    hessian = total.hessian + np.diag(problem.prior_weight)
    lengths = total.lengths + problem.prior_weight
    tangents = total.tangents + problem.prior_weight
    factor = np.where(problem.logarithmic, theta, 1.0)
    hessian = hessian * factor[:, :, None] * factor[:, None, :]
    with np.errstate(over="ignore"):
        bend = np.where(problem.logarithmic, gradient * theta, 0.0)
    hessian[:, np.arange(p), np.arange(p)] += bend
    return Sums(
        value,
        gradient * factor,
        hessian,
        np.sqrt(lengths) * np.abs(factor),
        np.sqrt(total.residual),
        np.sqrt(tangents) * np.abs(factor),
        np.sqrt(total.size),
    )


def _block(problem: Problem, theta: Array, part: slice) -> Sums:
    law, x = problem.law, tuple(column[..., part] for column in problem.x)
    y = problem.y[..., part]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value, first, second = law.derivatives(theta, x)
        found = terms(problem.options, value, y)
        weights = np.ones_like(found.cost)
        if problem.weights is not None:
            weights = weights * problem.weights[..., part]
        # A point that is left out costs nothing, even where its value does not exist.
        cost = np.where(weights > 0, weights * found.cost, 0.0).sum(-1)
        cost = np.where(np.isfinite(cost), cost, np.inf)
        gradient = np.einsum("rn,rnp->rp", weights * found.first, first)
        # A sum of three factors: einsum looks for its order longer than the sum takes.
        bent = (weights * found.second)[..., None] * first
        hessian = np.swapaxes(bent, 1, 2) @ first
        hessian += np.einsum("rn,rnpq->rpq", weights * found.first, second)
        squares = first**2
        lengths = np.einsum("rn,rnp->rp", weights * found.curvature, squares)
        tangents = np.einsum("rn,rnp->rp", weights * found.slope**2, squares)
        scale = np.broadcast_to(y**2, value.shape) * found.slope**2
        sums = (
            gradient,
            hessian,
            lengths,
            np.einsum("rn,rn->r", weights, found.score**2),
            tangents,
            np.einsum("rn,rn->r", weights, scale),
        )
    return Sums(cost, *map(_finite, sums))


def _finite(column: Array) -> Array:
    if np.isfinite(column).all():
        return column
    return np.nan_to_num(column, nan=0.0, posinf=_HUGE, neginf=-_HUGE)


def _held(problem: Searchable, theta: Array, gradient: Array) -> Mask:
    """Parameters that are fixed, or at a bound with the gradient pointing outwards."""
    low = (theta <= problem.lower) & (gradient >= 0)
    high = (theta >= problem.upper) & (gradient <= 0)
    held: Mask = ~problem.free | low | high
    return held


def _step(problem: Searchable, theta: Array, here: Sums, damping: Array) -> Array:
    """Newton step of every row, with the moduli of the eigenvalues, zero where held."""
    # Where no point knows of a parameter, rounding alone would move it, as far as to a bound.
    held = _held(problem, theta, here.gradient) | (here.lengths == 0)
    p = theta.shape[1]
    scale = np.where(here.lengths > 0, here.lengths, 1.0)
    matrix = here.hessian / (scale[:, :, None] * scale[:, None, :])
    matrix = np.where(held[:, :, None] | held[:, None, :], np.eye(p), matrix)
    gradient = np.where(held, 0.0, here.gradient / scale)
    values, vectors = np.linalg.eigh(matrix)
    size = np.maximum(np.abs(values), 1e-15) + damping[:, None]
    along = np.einsum("rpq,rp->rq", vectors, gradient) / size
    step: Array = -np.einsum("rpq,rq->rp", vectors, along) / scale
    return np.where(held, 0.0, step)


def _moved(problem: Searchable, theta: Array, step: Array) -> Array:
    """Parameters after a step, within their bounds."""
    # A factor of e^3 at once is enough: beyond, the Hessian says nothing.
    factor = np.exp(np.clip(step, -3.0, 3.0))
    moved = np.where(problem.logarithmic, theta * factor, theta + step)
    clipped: Array = np.clip(moved, problem.lower, problem.upper)
    return clipped


def _cosine(now: Sums, held: Mask) -> Array:
    """Cosine between residuals and the steepest tangent that is free."""
    # Residuals at the level of rounding have no direction.
    residual = now.residual + 1e-8 * now.size
    scale = now.tangents * residual[:, None]
    cosine = np.abs(now.gradient) / np.where(scale > 0, scale, 1.0)
    largest: Array = np.max(np.where(held, 0.0, cosine), axis=1)
    return np.where(np.isfinite(now.value), largest, np.inf)
