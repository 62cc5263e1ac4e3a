"""Bounded linear least squares in closed form: `scalebed.laws.forms.linear`, compiled.

The model is y = c0 + c1 phi1 + c2 phi2 with low <= c0 <= high and c1, c2 >= 0; with one column phi2
is missing. `best` solves one problem, `scan` finds the node of a grid with the lowest sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.solvers.kernels.compiling import compiled, vectorised
from scalebed.fit.solvers.kernels.vector import exp

# Two columns with 1 - correlation^2 below this are one column in double precision.
_COLLINEAR = 1e-13
# Rows of the table of a grid: means, then gram and inverses about the means and about zero.
_GRAM, _ABOUT, TABLE = 2, 8, 14


@compiled
def _subset(
    g11: float, g12: float, g22: float, x1: float, x2: float, which: int
) -> tuple[float, float, float, bool]:
    """Slopes of one subset of columns, what they explain and whether they are feasible."""
    if which == 3:
        return 0.0, 0.0, 0.0, True
    if which == 1:
        return x1 * x1 / g11, x1 / g11, 0.0, g11 > 0 and x1 >= 0
    if which == 2:
        return x2 * x2 / g22, 0.0, x2 / g22, g22 > 0 and x2 >= 0
    determinant = g11 * g22 - g12 * g12
    b1 = (g22 * x1 - g12 * x2) / determinant
    b2 = (g11 * x2 - g12 * x1) / determinant
    fine = determinant > _COLLINEAR * g11 * g22 and b1 >= 0 and b2 >= 0
    return b1 * x1 + b2 * x2, b1, b2, fine


@compiled
def best(
    moments: Any, low: float, high: float, two: bool
) -> tuple[float, float, float, bool, bool, bool]:
    """Intercept, slopes and which of the three are free.

    moments: weight, means of phi1, phi2 and y, centred 11, 12, 22, 1y, 2y, yy.
    """
    weight, m1, m2, my = moments[0], moments[1], moments[2], moments[3]
    g11, g12, g22 = moments[4], moments[5], moments[6]
    x1, x2, square = moments[7], moments[8], moments[9]
    lowest = np.inf
    c0 = c1 = c2 = 0.0
    f0 = f1 = f2 = False
    first = 0 if two else 1
    for which in range(first, 4):
        if which == 2 and not two:
            continue
        explained, b1, b2, fine = _subset(g11, g12, g22, x1, x2, which)
        intercept = my - b1 * m1 - b2 * m2
        if fine and low <= intercept <= high and square - explained < lowest:
            lowest, c0, c1, c2 = square - explained, intercept, b1, b2
            f0, f1, f2 = True, which == 0 or which == 1, which == 0 or which == 2
            if which == first:
                # The unconstrained optimum is feasible: nothing is lower.
                return c0, c1, c2, f0, f1, f2
    h11, h12, h22 = g11 + weight * m1 * m1, g12 + weight * m1 * m2, g22 + weight * m2 * m2
    for side in range(2):
        fixed = low if side == 0 else high
        if not np.isfinite(fixed):
            continue
        rest = my - fixed
        z1, z2 = x1 + weight * m1 * rest, x2 + weight * m2 * rest
        about = square + weight * rest * rest
        for which in range(first, 4):
            if which == 2 and not two:
                continue
            explained, b1, b2, fine = _subset(h11, h12, h22, z1, z2, which)
            if fine and about - explained < lowest:
                lowest, c0, c1, c2 = about - explained, fixed, b1, b2
                f0, f1, f2 = False, which == 0 or which == 1, which == 0 or which == 2
    return c0, c1, c2, f0, f1, f2


@vectorised
def tabulate(u: Any, w: Any, grid: Any, sign: float, two: bool, phi: Any, table: Any) -> float:
    """Columns of u, (s, n), at every node, centred, (s, n, nodes), and their sums.

    Returns the weight.
    """
    n, nodes = u.shape[1], grid.size
    weight = 0.0
    for i in range(n):
        weight += w[i]
    for j in range(2 if two else 1):
        mean = table[j]
        mean[:] = 0.0
        for i in range(n):
            column, at, share = phi[j, i], -u[j, i], w[i] / weight
            for g in range(nodes):
                value = sign * exp(at * grid[g])
                column[g] = value
                mean[g] += share * value
        for i in range(n):
            column = phi[j, i]
            for g in range(nodes):
                column[g] -= mean[g]
    for k in range(_GRAM, _GRAM + 3):
        table[k, :] = 0.0
    for i in range(n):
        a, b = phi[0, i], phi[1 if two else 0, i]
        for g in range(nodes):
            table[_GRAM, g] += w[i] * a[g] * a[g]
            table[_GRAM + 1, g] += w[i] * a[g] * b[g]
            table[_GRAM + 2, g] += w[i] * b[g] * b[g]
    for g in range(nodes):
        m1, m2 = table[0, g], table[1, g]
        table[_ABOUT, g] = table[_GRAM, g] + weight * m1 * m1
        table[_ABOUT + 1, g] = table[_GRAM + 1, g] + weight * m1 * m2
        table[_ABOUT + 2, g] = table[_GRAM + 2, g] + weight * m2 * m2
        for k in (_GRAM, _ABOUT):
            g11, g12, g22 = table[k, g], table[k + 1, g], table[k + 2, g]
            determinant = g11 * g22 - g12 * g12
            fine = determinant > _COLLINEAR * g11 * g22
            table[k + 3, g] = 1.0 / g11 if g11 > 0 else 0.0
            table[k + 4, g] = 1.0 / g22 if g22 > 0 else 0.0
            table[k + 5, g] = 1.0 / determinant if fine else 0.0
    return weight


@vectorised
def scan(
    y: Any,
    w: Any,
    weight: float,
    phi: Any,
    table: Any,
    low: float,
    high: float,
    two: bool,
    cross: Any,
    rss: Any,
) -> int:
    """Profiled objective at every node into rss; returns the node where it is lowest."""
    n, nodes = y.size, rss.size
    my = 0.0
    for i in range(n):
        my += w[i] * y[i]
    my /= weight
    square = 0.0
    cross[:, :] = 0.0
    for i in range(n):
        pull = w[i] * (y[i] - my)
        square += pull * (y[i] - my)
        for j in range(2 if two else 1):
            column, total = phi[j, i], cross[j]
            for g in range(nodes):
                total[g] += pull * column[g]
    _free(my, square, table, low, high, two, cross, rss)
    count = 0
    for g in range(nodes):
        count += 1 if rss[g] < np.inf else 0
    if count < nodes:
        _limited(my, square, weight, table, low, high, two, cross, rss)
    node = 0
    for g in range(nodes):
        if rss[g] < rss[node]:
            node = g
    return node


@vectorised
def _free(
    my: float, square: float, table: Any, low: float, high: float, two: bool, cross: Any, rss: Any
) -> None:
    """Unconstrained optimum of every node, infinite where it is not feasible."""
    g11, g12, g22 = table[_GRAM], table[_GRAM + 1], table[_GRAM + 2]
    one, inverse = table[_GRAM + 3], table[_GRAM + 5]
    m1, m2, x1, x2 = table[0], table[1], cross[0], cross[1]
    for g in range(rss.size):
        if two:
            b1 = (g22[g] * x1[g] - g12[g] * x2[g]) * inverse[g]
            b2 = (g11[g] * x2[g] - g12[g] * x1[g]) * inverse[g]
            c0 = my - b1 * m1[g] - b2 * m2[g]
            value = square - b1 * x1[g] - b2 * x2[g]
            fine = (inverse[g] > 0) & (b1 >= 0) & (b2 >= 0) & (c0 >= low) & (c0 <= high)
        else:
            b1 = x1[g] * one[g]
            c0 = my - b1 * m1[g]
            value = square - b1 * x1[g]
            fine = (one[g] > 0) & (b1 >= 0) & (c0 >= low) & (c0 <= high)
        rss[g] = value if fine else np.inf


@vectorised
def _limited(
    my: float,
    square: float,
    weight: float,
    table: Any,
    low: float,
    high: float,
    two: bool,
    cross: Any,
    rss: Any,
) -> None:
    """Lower rss to the best of the active sets with some limit, at every node."""
    for side in range(3):
        fixed = low if side == 1 else high
        if side > 0 and not np.isfinite(fixed):
            continue
        free = side == 0
        rest = 0.0 if free else my - fixed
        base = _GRAM if free else _ABOUT
        about = square + weight * rest * rest
        g11, g12, g22 = table[base], table[base + 1], table[base + 2]
        one, other, inverse = table[base + 3], table[base + 4], table[base + 5]
        m1, m2, x1, x2 = table[0], table[1], cross[0], cross[1]
        nothing = about if not free or low <= my <= high else np.inf
        for g in range(rss.size):
            z1 = x1[g] + weight * m1[g] * rest
            b = z1 * one[g]
            c0 = my - b * m1[g] if free else fixed
            lowest = min(rss[g], nothing)
            value = about - b * z1
            fine = (one[g] > 0) & (b >= 0) & (c0 >= low) & (c0 <= high)
            lowest = min(lowest, value if fine else np.inf)
            if two:
                z2 = x2[g] + weight * m2[g] * rest
                b = z2 * other[g]
                c0 = my - b * m2[g] if free else fixed
                value = about - b * z2
                fine = (other[g] > 0) & (b >= 0) & (c0 >= low) & (c0 <= high)
                lowest = min(lowest, value if fine else np.inf)
                b1 = (g22[g] * z1 - g12[g] * z2) * inverse[g]
                b2 = (g11[g] * z2 - g12[g] * z1) * inverse[g]
                value = about - b1 * z1 - b2 * z2
                fine = (inverse[g] > 0) & (b1 >= 0) & (b2 >= 0) & (not free)
                lowest = min(lowest, value if fine else np.inf)
            rss[g] = lowest
