"""Bounded linear least squares in closed form, for many problems at once.

The model is ``y = c0 + sum_j c_j phi_j`` with ``low <= c0 <= high`` and ``c_j >= 0``, for one or
two phi. The optimum of a convex problem is the unconstrained optimum of its active set, so trying
every active set (at most 3 x 4) and keeping the best feasible one is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array, Mask

# Two columns with 1 - correlation^2 below this are one column in double precision.
_COLLINEAR = 1e-13
# As many problems or fewer are solved one by one.
_FEW = 8

Value = Any
"""Array of a batch of problems, or the number of one."""


class Moments(NamedTuple):
    """Centred sums of a batch of problems; arrays broadcast to (rows, nodes), or one's numbers.

    `points` is the sum of the weights, the number of points where there are none.
    """

    points: Value
    mean_phi: tuple[Value, ...]
    mean_y: Value
    gram: tuple[tuple[Value, ...], ...]
    cross: tuple[Value, ...]
    square: Value


class Solution(NamedTuple):
    """Optimum of each problem of a batch; arrays of shape (rows, nodes)."""

    rss: Array
    intercept: Array
    slopes: tuple[Array, ...]
    free_intercept: Mask
    free_slopes: tuple[Mask, ...]


class _Candidate(NamedTuple):
    rss: Value
    feasible: Value
    intercept: Value
    slopes: tuple[Value, ...]
    free_intercept: bool
    subset: tuple[int, ...]


def moments(phi: Array, y: Array, weights: Array | None = None) -> Moments:
    """Compute the sums needed by `solve`.

    Parameters
    ----------
    phi : array (rows or 1, nodes, n, s)
        The columns; a leading 1 means that all rows share them, which turns the sums into one
        matrix product.
    y : array (rows, n)
    weights : array (n,) or (rows, n), optional
        Weight of each squared residual; a point of weight 0 is left out.
    """
    if weights is not None:
        return _weighted(phi, y, np.atleast_2d(weights))
    columns = range(phi.shape[-1])
    means = tuple(phi[..., j].mean(-1) for j in columns)
    centred = tuple(phi[..., j] - means[j][..., None] for j in columns)
    mean_y = y.mean(-1, keepdims=True)
    rest = y - mean_y
    gram = tuple(
        tuple(np.einsum("rgn,rgn->rg", centred[i], centred[j]) for j in columns) for i in columns
    )
    if phi.shape[0] == 1:
        cross = tuple(rest @ column[0].T for column in centred)
    else:
        cross = tuple(np.einsum("rgn,rn->rg", column, rest) for column in centred)
    square = np.einsum("rn,rn->r", rest, rest)[:, None]
    return Moments(y.shape[-1], means, mean_y, gram, cross, square)


def _weighted(phi: Array, y: Array, weights: Array) -> Moments:
    """`moments` with weights (rows or 1, n)."""
    columns = range(phi.shape[-1])
    total = weights.sum(-1, keepdims=True)
    share = weights / total
    means = tuple(np.einsum("rgn,rn->rg", phi[..., j], share) for j in columns)
    centred = tuple(phi[..., j] - means[j][..., None] for j in columns)
    mean_y = (share * y).sum(-1, keepdims=True)
    rest = y - mean_y
    pulled = tuple(column * weights[:, None] for column in centred)
    gram = tuple(
        tuple(np.einsum("rgn,rgn->rg", pulled[i], centred[j]) for j in columns) for i in columns
    )
    cross = tuple(np.einsum("rgn,rn->rg", column, rest) for column in pulled)
    square = (weights * rest**2).sum(-1, keepdims=True)
    return Moments(total, means, mean_y, gram, cross, square)


def starts(
    phi: Array,
    y: Array,
    weights: Array,
    grid: Array,
    bounds: tuple[float, float],
    count: int,
) -> Array:
    """Best bounded linear fits over a grid of the exponents.

    Parameters
    ----------
    phi : array (g, n, s)
        Columns at each node of the grid.
    y, weights : array (n,)
        Response, and weight of each squared residual.
    grid : array (g, k)
        Exponents at each node; the product of k axes, the last one fastest.
    bounds : (float, float)
        Limits of the intercept.
    count : int
        Nodes that are returned.

    Returns
    -------
    array (<= count, 1 + s + k)
        Intercept, slopes and exponents: the local minima of the grid, best first, then the other
        nodes, best first.
    """
    found = solve(moments(phi[None], y[None], weights), *bounds)
    rss = found.rss[0]
    lowest = _local_minima(rss, grid)
    # Stable, so that equal nodes keep the order of the grid on every machine.
    order = np.lexsort((rss, ~lowest))[:count]
    order = order[np.isfinite(rss[order])]
    columns = [found.intercept[0], *(slope[0] for slope in found.slopes)]
    return np.column_stack([*(column[order] for column in columns), grid[order]])


def _local_minima(rss: Array, grid: Array) -> Mask:
    """Nodes that are not above any of their neighbours; all nodes if `grid` is no product."""
    shape = tuple(np.unique(column).size for column in grid.T)
    if int(np.prod(shape)) != rss.size:
        return np.ones(rss.size, dtype=bool)
    table = rss.reshape(shape)
    padded = np.pad(table, 1, constant_values=np.inf)
    lowest = np.ones(shape, dtype=bool)
    for shift in product(range(3), repeat=len(shape)):
        window = tuple(slice(s, s + size) for s, size in zip(shift, shape, strict=True))
        lowest &= table <= padded[window]
    return lowest.ravel()


def lowest_rss(m: Moments, low: float, high: float) -> Array:
    """Residual sum of squares of the bounded optimum, shape (rows, nodes)."""
    best = np.full(np.broadcast_shapes(m.cross[0].shape, m.square.shape), np.inf)
    for candidate in _candidates(m, low, high):
        np.copyto(best, candidate.rss, where=candidate.feasible & (candidate.rss < best))
    return best


def solve(m: Moments, low: float, high: float) -> Solution:
    """Bounded optimum of every problem."""
    shape = np.broadcast_shapes(m.cross[0].shape, m.square.shape)
    if shape[0] * shape[1] <= _FEW:
        return _solve_each(m, low, high, shape)
    count = len(m.cross)
    best = np.full(shape, np.inf)
    intercept = np.zeros(shape)
    slopes = tuple(np.zeros(shape) for _ in range(count))
    free_intercept = np.zeros(shape, dtype=bool)
    free_slopes = tuple(np.zeros(shape, dtype=bool) for _ in range(count))
    for candidate in _candidates(m, low, high):
        better = candidate.feasible & (candidate.rss < best)
        np.copyto(best, candidate.rss, where=better)
        np.copyto(intercept, candidate.intercept, where=better)
        np.copyto(free_intercept, candidate.free_intercept, where=better)
        for j in range(count):
            np.copyto(slopes[j], candidate.slopes[j], where=better)
            np.copyto(free_slopes[j], j in candidate.subset, where=better)
    return Solution(best, intercept, slopes, free_intercept, free_slopes)


def _solve_each(m: Moments, low: float, high: float, shape: tuple[int, ...]) -> Solution:
    """`solve` with plain numbers, problem by problem: the same bits, without calls on arrays."""
    count = len(m.cross)
    nothing = _Candidate(np.inf, True, 0.0, (0.0,) * count, False, ())
    best = []
    for one in _singles(m, shape):
        found = nothing
        for candidate in _candidates(one, low, high):
            if candidate.feasible and candidate.rss < found.rss:
                found = candidate
        best.append(found)

    def table(values: Iterable[Value]) -> Any:
        return np.array(list(values)).reshape(shape)

    return Solution(
        table(found.rss for found in best),
        table(found.intercept for found in best),
        tuple(table(found.slopes[j] for found in best) for j in range(count)),
        table(found.free_intercept for found in best),
        tuple(table(j in found.subset for found in best) for j in range(count)),
    )


def _singles(m: Moments, shape: tuple[int, ...]) -> Iterator[Moments]:
    """Take the problems of a batch one by one, with numbers in place of arrays."""

    def numbers(values: Value) -> list[float]:
        if np.shape(values) != shape:
            values = np.broadcast_to(values, shape)
        found: list[float] = values.ravel().tolist()
        return found

    columns = range(len(m.cross))
    points, mean_y, square = numbers(m.points), numbers(m.mean_y), numbers(m.square)
    means, cross = [numbers(v) for v in m.mean_phi], [numbers(v) for v in m.cross]
    gram = [[numbers(value) for value in row] for row in m.gram]
    for k in range(len(square)):
        yield Moments(
            points[k],
            tuple(means[j][k] for j in columns),
            mean_y[k],
            tuple(tuple(gram[i][j][k] for j in columns) for i in columns),
            tuple(cross[j][k] for j in columns),
            square[k],
        )


def _candidates(m: Moments, low: float, high: float) -> Iterator[_Candidate]:
    both: tuple[tuple[int, ...], ...] = ((0, 1), (0,), (1,), ())
    subsets = both if len(m.cross) == 2 else ((0,), ())
    for fixed in (None, low, high):
        if fixed is not None and not np.isfinite(fixed):
            continue
        gram, cross, square = m.gram, m.cross, m.square
        if fixed is not None:
            gram, cross, square = _about(m, fixed)
        for subset in subsets:
            slopes, feasible = _slopes(gram, cross, subset)
            rss = square - sum((slopes[j] * cross[j] for j in subset), 0.0)
            intercept = fixed
            if fixed is None:
                explained = sum((slopes[j] * m.mean_phi[j] for j in subset), 0.0)
                intercept = m.mean_y - explained
                feasible = feasible & (intercept >= low) & (intercept <= high)
            yield _Candidate(rss, feasible, intercept, slopes, fixed is None, subset)


def _about(
    m: Moments, fixed: float
) -> tuple[tuple[tuple[Value, ...], ...], tuple[Value, ...], Value]:
    """Take the sums about a fixed intercept instead of about the means."""
    rest, columns = m.mean_y - fixed, range(len(m.cross))
    gram = tuple(
        tuple(m.gram[i][j] + m.points * m.mean_phi[i] * m.mean_phi[j] for j in columns)
        for i in columns
    )
    cross = tuple(m.cross[j] + m.points * m.mean_phi[j] * rest for j in columns)
    return gram, cross, m.square + m.points * (rest * rest)


def _slopes(
    gram: tuple[tuple[Value, ...], ...], cross: tuple[Value, ...], subset: tuple[int, ...]
) -> tuple[tuple[Value, ...], Value]:
    """Unconstrained slopes of one subset of columns and where they are feasible."""
    slopes: list[Value] = [0.0] * len(cross)
    if not subset:
        return tuple(slopes), True
    if len(subset) == 1:
        (j,) = subset
        fine = gram[j][j] > 0
        slopes[j] = cross[j] / _or_one(gram[j][j], fine)
        return tuple(slopes), fine & (slopes[j] >= 0)
    first, second, both = gram[0][0], gram[1][1], gram[0][1]
    determinant = first * second - both * both
    fine = determinant > _COLLINEAR * first * second
    inverse = 1.0 / _or_one(determinant, fine)
    slopes[0] = (second * cross[0] - both * cross[1]) * inverse
    slopes[1] = (first * cross[1] - both * cross[0]) * inverse
    return tuple(slopes), fine & (slopes[0] >= 0) & (slopes[1] >= 0)


def _or_one(values: Value, fine: Value) -> Value:
    """Values where they are fine, 1 elsewhere."""
    if isinstance(values, float):
        return values if fine else 1.0
    return np.where(fine, values, 1.0)
