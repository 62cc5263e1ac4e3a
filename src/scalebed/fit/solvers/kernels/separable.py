"""Global least squares of laws with one exponent, compiled.

The search of `scalebed.fit.solvers.profiled`. For each row the profiled objective is evaluated on
the grid over the exponent, then the best node is polished by Newton's method within a bracket.
Where inputs and weights are shared the grid is tabulated once; where every row has its own inputs
it is tabulated once a row and serves all tasks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scalebed.fit.solvers.kernels.bounded import TABLE, best, scan, tabulate
from scalebed.fit.solvers.kernels.compiling import compiled, entry, vectorised
from scalebed.fit.solvers.kernels.vector import exp
from scalebed.laws.forms.base import Array, Mask

_STEP = 1e-9  # Newton is quadratic: the step after one this small is below rounding
_ITERATIONS = 80
_ROUNDING = 1e-28
_REACH = 2
_LANES = 4
_ARRAYS, _APART = 11, 64  # numbers between two arrays: more than a step of any loop takes
_SMALL = 1e-10  # of the cosine: the gradient is zero


class Separated(NamedTuple):
    """Best fit of every row: theta (..., p), weighted rss, gradient and at_edge (...)."""

    theta: Array
    rss: Array
    gradient: Array
    at_edge: Mask


def fit(
    features: Array,
    y: Array,
    grid: Array,
    sign: float,
    bounds: tuple[float, float],
    weights: Array | None = None,
) -> Separated:
    """Fit y = c0 + sign sum_j c_j exp(-q u_j) to every row of every task.

    Parameters
    ----------
    features : array (n, s) or (rows, n, s)
        The u_j, one or two of them.
    y : array (n,), (rows, n) or (tasks, rows, n)
    grid : array (nodes,)
        Ascending nodes over q; the first and the last limit it.
    sign : float
    bounds : (float, float)
        Limits of c0.
    weights : array (n,) or (rows, n), optional
        Weight of each squared residual; a point of weight 0 is left out.

    Returns
    -------
    Separated
        Of the shape (rows,) or (tasks, rows); gradient is infinite where there is no fit.
    """
    u = np.ascontiguousarray(features if features.ndim == 3 else features[None], dtype=float)
    reference = u.mean(1)
    u = u - reference[:, None]
    values = np.ascontiguousarray(y if y.ndim == 3 else np.atleast_2d(y)[None], dtype=float)
    w = np.ones((1, u.shape[1])) if weights is None else np.atleast_2d(weights).astype(float)
    rows = max(u.shape[0], values.shape[1], w.shape[0])
    shape = (values.shape[0], rows)
    theta = np.full((*shape, u.shape[2] + 2), np.nan)
    rss, gradient, at_edge = np.full(shape, np.nan), np.full(shape, np.inf), np.zeros(shape, bool)
    w = np.ascontiguousarray(w)
    # As floats: integers would be compiled for anew.
    low, high = map(float, bounds)
    _rows(0, rows, u, reference, values, w, grid, sign, low, high, theta, rss, gradient, at_edge)
    if y.ndim < 3:
        return Separated(theta[0], rss[0], gradient[0], at_edge[0])
    return Separated(theta, rss, gradient, at_edge)


@entry
def _rows(
    begin: int,
    end: int,
    u: Any,
    reference: Any,
    y: Any,
    w: Any,
    grid: Any,
    sign: float,
    low: float,
    high: float,
    theta: Any,
    rss: Any,
    gradient: Any,
    at_edge: Any,
) -> None:
    n, s, count = u.shape[1], u.shape[2], grid.size
    two = s == 2
    # Points of weight 0 fill up the last vector, so that the short loops have no tail.
    full = -(-n // _LANES) * _LANES
    # A loop that writes is spread over lanes only if what it reads lies far enough from that, which
    # it looks up as it begins; in lanes the last bit may differ. So that an optimum does not depend
    # on where memory happened to be free, all that loops touch has its place in one piece.
    work = np.zeros((s + 4) * full + (s * n + TABLE + 4) * count + 18 + _ARRAYS * _APART)
    points, at = work[: s * full].reshape((s, full)), s * full + _APART
    values, at = work[at : at + full], at + full + _APART
    weights, at = work[at : at + full], at + full + _APART
    column, at = work[at : at + 2 * full].reshape((2, full)), at + 2 * full + _APART
    moments, at = work[at : at + 10], at + 10 + _APART
    profile, at = work[at : at + 8], at + 8 + _APART
    nodes, at = work[at : at + count], at + count + _APART
    objective, at = work[at : at + count], at + count + _APART
    cross, at = work[at : at + 2 * count].reshape((2, count)), at + 2 * count + _APART
    table, at = work[at : at + TABLE * count].reshape((TABLE, count)), at + TABLE * count + _APART
    phi = work[at : at + s * n * count].reshape((s, n, count))
    for g in range(count):
        nodes[g] = grid[g]
    weight = 0.0
    for row in range(begin, end):
        ur, wr = u[min(row, len(u) - 1)], w[min(row, len(w) - 1)]
        middle = reference[min(row, len(reference) - 1)]
        if row == begin or len(u) > 1 or len(w) > 1:
            for i in range(n):
                weights[i] = wr[i]
                for j in range(s):
                    points[j, i] = ur[i, j]
            weight = tabulate(points[:, :n], weights[:n], nodes, sign, two, phi, table)
        if not weight > 0:
            continue
        for task in range(len(y)):
            yr = y[task, min(row, y.shape[1] - 1)]
            for i in range(n):
                values[i] = yr[i] if wr[i] > 0 else 0.0
            node = scan(
                values[:n], weights[:n], weight, phi, table, low, high, two, cross, objective
            )
            q = polish(
                points, values, weights, weight, nodes, node, objective, sign, low, high, two,
                column, moments, profile,
            )  # fmt: skip
            if not np.isfinite(profile[0]):
                continue
            out = theta[task, row]
            out[0], out[s + 1] = profile[4], q
            for j in range(s):
                out[1 + j] = profile[5 + j] * np.exp(q * middle[j])
            rss[task, row] = profile[0]
            first, last = q <= grid[0] * (1 + 1e-9), q >= grid[-1] * (1 - 1e-9)
            pushed = (first and profile[1] >= 0) or (last and profile[1] <= 0)
            gradient[task, row] = 0.0 if pushed else profile[3]
            at_edge[task, row] = first or last


@compiled
def polish(
    u: Any,
    y: Any,
    w: Any,
    weight: float,
    grid: Any,
    node: int,
    objective: Any,
    sign: float,
    low: float,
    high: float,
    two: bool,
    column: Any,
    moments: Any,
    out: Any,
) -> float:
    """Newton's method from a node, inside a bracket around it; returns q, out is `_profile`'s."""
    last = grid.size - 1
    lo, hi = grid[max(node - _REACH, 0)], grid[min(node + _REACH, last)]
    square = 0.0
    for i in range(y.size):
        square += w[i] * y[i] * y[i]
    # Near the optimum the objective is flat to rounding: there the sign of the slope decides.
    floor = _ROUNDING * square
    q = _vertex(grid, objective, node)
    best_q, best_rss = q, np.inf
    tiny = 1e-8 * np.sqrt(square)
    for _ in range(_ITERATIONS):
        _profile(u, y, w, weight, q, sign, low, high, two, tiny, column, moments, out)
        value, slope, curvature = out[0], out[1], out[2]
        if (q == grid[0] and slope >= 0) or (q == grid[last] and slope <= 0):
            return q
        better = value <= best_rss * (1 + 1e-9) + floor
        right = slope > 0 if better else q > best_q
        if right:
            hi = q
        else:
            lo = q
        if better:
            best_q, best_rss = q, value
        step = 0.5 * (lo + hi) - q
        if slope == 0:
            step = 0.0
        elif curvature > 0 and lo <= q - slope / curvature <= hi:
            step = -slope / curvature
        if abs(step) <= _STEP * q or hi - lo <= 1e-14 * q:
            if better and out[3] <= _SMALL:
                return q
            # The step is below what the bracket resolves, and shrinks what is left of the slope.
            q = min(max(q + step, grid[0]), grid[last])
            _profile(u, y, w, weight, q, sign, low, high, two, tiny, column, moments, out)
            if out[0] <= best_rss:
                return q
            break
        q += step
    _profile(u, y, w, weight, best_q, sign, low, high, two, tiny, column, moments, out)
    return best_q


@compiled
def _vertex(grid: Any, objective: Any, node: int) -> float:
    """Where a parabola through the node and its neighbours is lowest, in the logarithm of q."""
    if node == 0 or node == grid.size - 1:
        return grid[node]
    before = objective[node - 1] - objective[node]
    after = objective[node + 1] - objective[node]
    bend = before + after
    if not (bend > 0 and np.isfinite(bend)):
        return grid[node]
    # The nodes are equally spaced in the logarithm.
    return grid[node] * (grid[node + 1] / grid[node]) ** (0.5 * (before - after) / bend)


@vectorised
def _profile(
    u: Any,
    y: Any,
    w: Any,
    weight: float,
    q: float,
    sign: float,
    low: float,
    high: float,
    two: bool,
    tiny: float,
    column: Any,
    moments: Any,
    out: Any,
) -> None:
    """Profiled objective, slope, curvature, cosine, intercept and slopes at q.

    The formulas are those of `scalebed.fit.solvers.profiled`, with weights.
    """
    n = y.size
    one, other = column[0], column[1]
    m1 = m2 = my = 0.0
    for i in range(n):
        one[i] = sign * exp(-q * u[0, i])
        m1 += w[i] * one[i]
        my += w[i] * y[i]
    if two:
        for i in range(n):
            other[i] = sign * exp(-q * u[1, i])
            m2 += w[i] * other[i]
    m1, m2, my = m1 / weight, m2 / weight, my / weight
    g11 = g12 = g22 = x1 = x2 = yy = 0.0
    for i in range(n):
        a, r = one[i] - m1, y[i] - my
        wa = w[i] * a
        g11 += wa * a
        x1 += wa * r
        yy += w[i] * r * r
        if two:
            b = other[i] - m2
            g12 += wa * b
            g22 += w[i] * b * b
            x2 += w[i] * b * r
    moments[0], moments[1], moments[2], moments[3] = weight, m1, m2, my
    moments[4], moments[5], moments[6] = g11, g12, g22
    moments[7], moments[8], moments[9] = x1, x2, yy
    c0, c1, c2, f0, f1, f2 = best(moments, low, high, two)
    tangent_mean = 0.0
    if f0:
        for i in range(n):
            t = -u[0, i] * c1 * one[i]
            if two:
                t -= u[1, i] * c2 * other[i]
            tangent_mean += w[i] * t
        tangent_mean /= weight
    d1 = m1 if f0 else 0.0
    d2 = m2 if f0 else 0.0
    k11 = g11 if f0 else g11 + weight * m1 * m1
    k12 = g12 if f0 else g12 + weight * m1 * m2
    k22 = g22 if f0 else g22 + weight * m2 * m2
    rss = product = length = bending = v1 = v2 = 0.0
    for i in range(n):
        p1 = one[i]
        t1 = c1 * p1
        model, tangent = c0 + t1, -u[0, i] * t1
        bend = u[0, i] * u[0, i] * t1
        if two:
            t2 = c2 * other[i]
            model += t2
            tangent -= u[1, i] * t2
            bend += u[1, i] * u[1, i] * t2
        r = y[i] - model
        wr = w[i] * r
        rest = tangent - tangent_mean
        rss += wr * r
        product += wr * rest
        length += w[i] * rest * rest
        bending += wr * bend
        v1 += w[i] * (p1 - d1) * rest + wr * u[0, i] * p1
        if two:
            v2 += w[i] * (other[i] - d2) * rest + wr * u[1, i] * other[i]
    quadratic = 0.0
    if f1 and f2:
        quadratic = (k22 * v1 * v1 - 2.0 * k12 * v1 * v2 + k11 * v2 * v2) / (k11 * k22 - k12 * k12)
    elif f1:
        quadratic = v1 * v1 / k11
    elif f2:
        quadratic = v2 * v2 / k22
    scale = np.sqrt(length) * (np.sqrt(rss) + tiny)
    out[0], out[1] = rss, -2.0 * product
    out[2] = 2.0 * (length - bending - quadratic)
    out[3] = abs(product) / scale if scale > 0 else 0.0
    out[4], out[5], out[6] = c0, c1, c2
