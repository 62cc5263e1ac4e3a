"""Kernels that fit the rows of a batch: given weights, or case resamples drawn on the spot."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.solvers.kernels.compiling import compiled, entry
from scalebed.fit.solvers.kernels.newton import derivatives, descend, hold, scales, units
from scalebed.fit.solvers.kernels.sums import SUMS, combine, contributions, copy, sums

_LANES = 8
# Points up to which the sums at a common start are taken from a table, which has to fit the cache.
_TABLE = 4096


@compiled
def _fit(
    points: Any,
    m: int,
    z: Any,
    low: Any,
    high: Any,
    free: Any,
    tied: bool,
    reach: Any,
    logarithmic: bool,
    deltas: Any,
    scale: Any,
    given: bool,
    first: Any,
    work: Any,
    held: Any,
    at: int,
    objective: Any,
    gradient: Any,
    at_edge: Any,
    iterations: Any,
) -> None:
    """Fit one row from z and judge it."""
    count = 0
    for delta in deltas:
        count += descend(
            points, m, z, low, high, free, tied, reach, logarithmic, delta, scale,
            given and count == 0, first, work, held,
        )  # fmt: skip
    s, g, unit = work[0], work[2], work[15]
    delta = deltas[-1]
    if count == 0:
        sums(points, m, z, logarithmic, delta, s)
    derivatives(s, tied, g, work[3:8])
    hold(z, g, low, high, free, reach, held)
    units(z, scale, 8, tied, unit)
    residual = np.sqrt(s[1]) + 1e-8 * np.sqrt(scale[5])
    worst = 0.0
    edge = False
    for i in range(5):
        edge = edge or (free[i] and held[i])
        if not held[i] and unit[i] > 0:
            worst = max(worst, abs(g[i]) / (unit[i] * residual))
    fine = m > 0 and np.isfinite(s[0]) and np.isfinite(worst)
    objective[at] = s[0]
    gradient[at] = worst if fine else np.inf
    at_edge[at] = edge
    iterations[at] = count


@compiled
def _gather(u: Any, v: Any, y: Any, w: Any, points: Any) -> int:
    """Copy the points that count; points of weight 0 fill up the last vector."""
    m = 0
    for i in range(w.size):
        # Without a branch, which would be guessed wrong for every third point of a resample.
        points[0, m], points[1, m], points[2, m], points[3, m] = u[i], v[i], y[i], w[i]
        m += 1 if w[i] > 0 else 0
    full = m
    while full > 0 and full % _LANES:
        for k in range(3):
            points[k, full] = points[k, m - 1]
        points[3, full] = 0.0
        full += 1
    return full


@entry
def fit_rows(
    begin: int,
    end: int,
    u: Any,
    v: Any,
    y: Any,
    low: Any,
    high: Any,
    free: Any,
    tied: bool,
    reach: Any,
    w: Any,
    start: Any,
    logarithmic: bool,
    deltas: Any,
    z: Any,
    objective: Any,
    gradient: Any,
    at_edge: Any,
    iterations: Any,
) -> None:
    """Fit rows begin .. end with weights w; arrays of one row serve all rows."""
    n = u.shape[1]
    points, work = np.empty((4, n + _LANES)), np.zeros((18, SUMS))
    first, scale, held = np.zeros(SUMS), np.zeros(13), np.zeros(5, dtype=np.bool_)
    common = len(start) == 1
    table = np.empty((SUMS, n if common and len(u) == 1 and len(y) == 1 and n <= _TABLE else 0))
    given = table.shape[1] > 0
    if common:
        m = _gather(u[0], v[0], y[0], np.ones(n), points)
        scales(points, m, start[0], logarithmic, deltas[0], tied, work[16:18], scale)
        if given:
            contributions(points, n, start[0], logarithmic, deltas[0], table)
    for row in range(begin, end):
        wr = w[min(row, len(w) - 1)]
        m = _gather(
            u[min(row, len(u) - 1)], v[min(row, len(v) - 1)], y[min(row, len(y) - 1)], wr, points
        )
        copy(start[min(row, len(start) - 1)], 5, z[row])
        if given:
            combine(table, wr, first)
        if not common:
            scales(points, m, z[row], logarithmic, deltas[0], tied, work[16:18], scale)
        _fit(
            points, m, z[row], low, high, free, tied, reach, logarithmic, deltas, scale, given,
            first, work, held, row, objective, gradient, at_edge, iterations,
        )  # fmt: skip


@entry
def fit_cases(
    begin: int,
    end: int,
    u: Any,
    v: Any,
    y: Any,
    low: Any,
    high: Any,
    free: Any,
    tied: bool,
    reach: Any,
    seeds: Any,
    start: Any,
    logarithmic: bool,
    deltas: Any,
    z: Any,
    objective: Any,
    gradient: Any,
    at_edge: Any,
    iterations: Any,
) -> None:
    """Fit case resamples begin .. end, each drawn from its seed."""
    n = u.shape[1]
    points, work = np.empty((4, n + _LANES)), np.zeros((18, SUMS))
    first, scale, held = np.zeros(SUMS), np.zeros(13), np.zeros(5, dtype=np.bool_)
    given = len(start) == 0  # never; but for the literal `_fit` would be compiled anew
    counts = np.ones(n, dtype=np.int32)
    m = _gather(u[0], v[0], y[0], counts, points)
    scales(points, m, start[0], logarithmic, deltas[0], tied, work[16:18], scale)
    for row in range(begin, end):
        draw(seeds[row], counts)
        m = _gather(u[0], v[0], y[0], counts, points)
        copy(start[0], 5, z[row])
        _fit(
            points, m, z[row], low, high, free, tied, reach, logarithmic, deltas, scale, given,
            first, work, held, row, objective, gradient, at_edge, iterations,
        )  # fmt: skip


@compiled
def draw(seed: Any, counts: Any) -> None:
    """How often each of n points comes up in n draws with replacement."""
    n = counts.size
    counts[:] = 0
    state = np.uint64(seed)
    for _ in range(n):
        state += np.uint64(0x9E3779B97F4A7C15)
        word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word = word ^ (word >> np.uint64(31))
        counts[int(float(word >> np.uint64(11)) * 1.1102230246251565e-16 * n)] += 1
