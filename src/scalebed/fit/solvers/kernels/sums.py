"""Objective of y = E + exp(a - p u) + exp(b - q v), and all sums that its derivatives are made of.

One loop over the points makes the value and the 22 sums of products of the terms with u and v.
Coordinates and objectives are those of `scalebed.fit.solvers.kernels.newton`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.solvers.kernels.compiling import compiled, vectorised
from scalebed.fit.solvers.kernels.vector import exp_clamped, log_inverse

SUMS = 24


@compiled
def copy(given: Any, count: int, out: Any) -> None:
    """Copy numbers one by one: for `a[:] = b` numba compiles the message of unequal lengths."""
    for k in range(count):
        out[k] = given[k]


@vectorised
def sums(points: Any, m: int, z: Any, log_scale: bool, delta: float, out: Any) -> None:
    """Value, squared limited residuals and the 22 sums at z; points (4, >= m) is u, v, y, w."""
    u, v, y, w = points[0], points[1], points[2], points[3]
    floor, a, b, p, q = z[0], z[1], z[2], z[3], z[4]
    cost = squares = 0.0
    h0 = h1 = h1u = h2 = h2v = 0.0
    h11 = h11u = h11uu = h12 = h12u = h12v = h12uv = h22 = h22v = h22vv = 0.0
    g0 = g1 = g1u = g1uu = g2 = g2v = g2vv = 0.0
    for i in range(m):
        ui, vi, weight = u[i], v[i], w[i]
        t1: Any = exp_clamped(a - p * ui)
        t2 = exp_clamped(b - q * vi)
        f = floor + t1 + t2
        if log_scale:
            logarithm, inverse = log_inverse(f)
            r = logarithm - y[i]
        else:
            r = f - y[i]
            inverse = 1.0
        c = min(max(r, -delta), delta)
        inside = 1.0 if c == r else 0.0
        cost += weight * c * (r - 0.5 * c)
        squares += weight * c * c
        g = weight * c * inverse
        h = weight * (inside - c) * inverse * inverse if log_scale else weight
        ht1, ht2, gt1, gt2 = h * t1, h * t2, g * t1, g * t2
        h0 += h
        h1 += ht1
        h1u += ht1 * ui
        h2 += ht2
        h2v += ht2 * vi
        k11, k12, k22 = ht1 * t1, ht1 * t2, ht2 * t2
        h11 += k11
        h11u += k11 * ui
        h11uu += k11 * ui * ui
        h12 += k12
        h12u += k12 * ui
        h12v += k12 * vi
        h12uv += k12 * ui * vi
        h22 += k22
        h22v += k22 * vi
        h22vv += k22 * vi * vi
        g0 += g
        g1 += gt1
        g1u += gt1 * ui
        g1uu += gt1 * ui * ui
        g2 += gt2
        g2v += gt2 * vi
        g2vv += gt2 * vi * vi
    out[0], out[1] = cost, squares
    out[2], out[3], out[4], out[5], out[6] = h0, h1, h1u, h2, h2v
    out[7], out[8], out[9] = h11, h11u, h11uu
    out[10], out[11], out[12], out[13] = h12, h12u, h12v, h12uv
    out[14], out[15], out[16] = h22, h22v, h22vv
    out[17], out[18], out[19], out[20] = g0, g1, g1u, g1uu
    out[21], out[22], out[23] = g2, g2v, g2vv


@vectorised
def lengths(points: Any, m: int, z: Any, log_scale: bool, delta: float, out: Any) -> None:
    """Squared lengths of the derivatives of the residual, (2, 6).

    First those of the points as they are, then with the weights of Huber's loss; out[0, 5] is the
    squared length of the response.
    """
    u, v, y, w = points[0], points[1], points[2], points[3]
    floor, a, b, p, q = z[0], z[1], z[2], z[3], z[4]
    s0 = s1 = s2 = s3 = s4 = s5 = 0.0
    d0 = d1 = d2 = d3 = d4 = 0.0
    for i in range(m):
        t1: Any = exp_clamped(a - p * u[i])
        t2 = exp_clamped(b - q * v[i])
        f = floor + t1 + t2
        weight = w[i]
        if log_scale:
            logarithm, inverse = log_inverse(f)
            r = abs(logarithm - y[i])
            weight = weight * inverse * inverse
            s5 += w[i]
        else:
            r = 0.0
            s5 += w[i] * y[i] * y[i]
        # The weight of iteratively reweighted least squares: positive, unlike the curvature.
        pull = weight * min(1.0, delta / max(r, 1e-300))
        e1, e2 = t1 * t1, t2 * t2
        e3, e4 = e1 * u[i] * u[i], e2 * v[i] * v[i]
        s0 += weight
        s1 += weight * e1
        s2 += weight * e2
        s3 += weight * e3
        s4 += weight * e4
        d0 += pull
        d1 += pull * e1
        d2 += pull * e2
        d3 += pull * e3
        d4 += pull * e4
    out[0, 0], out[0, 1], out[0, 2], out[0, 3], out[0, 4], out[0, 5] = s0, s1, s2, s3, s4, s5
    out[1, 0], out[1, 1], out[1, 2], out[1, 3], out[1, 4] = d0, d1, d2, d3, d4


@compiled
def contributions(points: Any, m: int, z: Any, log_scale: bool, delta: float, out: Any) -> None:
    """Evaluate what every point of weight 1 adds to `sums`, (SUMS, m)."""
    one, total = np.ones((4, 1)), np.empty(SUMS)
    for i in range(m):
        for k in range(3):
            one[k, 0] = points[k, i]
        sums(one, 1, z, log_scale, delta, total)
        for k in range(SUMS):
            out[k, i] = total[k]


@vectorised
def combine(table: Any, w: Any, out: Any) -> None:
    """Add up `contributions` with weights."""
    for k in range(SUMS):
        total, row = 0.0, table[k]
        for i in range(w.size):
            total += w[i] * row[i]
        out[k] = total
