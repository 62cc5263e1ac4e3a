"""Least squares of three columns at every pair of nodes, and the mass there, compiled.

What `scalebed.fit.posterior.grid` computes for one covariance: the same first column at every node,
the second from one set of columns, the third from another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.solvers.kernels.compiling import compiled, entry
from scalebed.fit.solvers.kernels.normal import log_normal, log_probability
from scalebed.fit.solvers.kernels.orthant import ROWS, log_sums, prepare
from scalebed.fit.solvers.kernels.vector import exp
from scalebed.laws.forms.base import Array

RIDGE = 1e-11
"""Terms that the runs cannot tell apart keep a finite, very wide, spread."""
NEGLIGIBLE = 30.0
"""How far below the most the logarithm of a mass is, for which the first bound will do."""
_SURE = -1e-4
"""Logarithm of the bound by one from which on all three are above 0 all but certainly."""
_LEAST_PIVOT = 1e-13  # the ridge keeps them above, but for rounding
_LEAST_SQUARE = 1e-14  # of a row


def fill(
    gram: Array,
    fixed: Array,
    level: Array,
    by_level: Array,
    rows: int,
    out: tuple[Array, Array, Array, Array],
) -> None:
    """Compute the least squares, and the mass at every level.

    Parameters
    ----------
    gram : array (2 + 2 k, 2 + 2 k)
        Products of the first column, the response, the k columns of the second term and the k of
        the third.
    fixed : array (k * k,)
        What is added to the log of the mass of a node; the third term changes fastest.
    level, by_level : array (levels,)
        Logarithm of the scatter, and what is added to the log of the mass there.
    rows : int
        Rows the products are sums of.
    out : tuple of arrays
        mean (k * k, 3), spread (k * k, 3, 3), limit and log_mass (k * k, levels) of
        `scalebed.fit.posterior.grid.Linear`, which are filled.
    """
    inverse = np.exp(-level)
    constant = by_level - (rows - 3) * level
    gram = np.ascontiguousarray(gram)
    least_square = _LEAST_SQUARE * rows
    _nodes(gram, fixed, inverse, constant, least_square, log_normal(), *out)


def exponential(values: Array) -> Array:
    """Replace values by their exponentials, 0 below -708; returns the same array.

    NumPy's takes ten times as long where most results are too small for a number.
    """
    _exponential(values.reshape(-1))
    return values


@entry
def _exponential(values: Any) -> None:
    for i in range(values.size):
        values[i] = exp(values[i])


@entry
def _nodes(
    gram: Any,
    fixed: Any,
    inverse: Any,
    constant: Any,
    least_square: float,
    table: Any,
    mean: Any,
    spread: Any,
    limit: Any,
    log_mass: Any,
) -> None:
    k = (len(gram) - 2) // 2
    length = np.sqrt(np.diag(gram))
    half = -0.5 * inverse * inverse
    precision, known = np.empty((3, 3)), np.empty((ROWS, 3))
    most = -np.inf
    for i in range(k):
        for j in range(k):
            node = i * k + j
            squares, volume = _least_squares(
                gram, length, 2 + i, 2 + k + j, mean[node], spread[node]
            )
            squares = max(squares, least_square)
            plus = fixed[node] - 0.5 * volume
            least, top = np.inf, -np.inf
            for m in range(3):
                least = min(least, mean[node, m] / np.sqrt(spread[node, m, m]))
            for n in range(inverse.size):
                limit[node, n] = log_probability(least * inverse[n], table)
            for n in range(inverse.size):
                log_mass[node, n] = squares * half[n] + constant[n] + plus + limit[node, n]
                top = max(top, log_mass[node, n])
            if top <= most - NEGLIGIBLE:
                continue
            columns = (0, 2 + i, 2 + k + j)
            for m in range(3):
                for n in range(3):
                    precision[m, n] = gram[columns[m], columns[n]]
            prepare(mean[node], spread[node], precision, known)
            for n in range(inverse.size):
                if log_mass[node, n] > most - NEGLIGIBLE and limit[node, n] < _SURE:
                    less = log_sums(known, inverse[n], table) - limit[node, n]
                    if less < 0.0:
                        limit[node, n] += less
                        log_mass[node, n] += less
                most = max(most, log_mass[node, n])


@compiled
def _least_squares(
    gram: Any, length: Any, i: int, j: int, mean: Any, spread: Any
) -> tuple[float, float]:
    """Least squares at one node; returns the sum of squares and the log of the determinant.

    By Cholesky's factor of the products of columns of length 1 and its inverse, both written out.
    """
    l0, l1, l2 = 1.0 / length[0], 1.0 / length[i], 1.0 / length[j]
    one = 1.0 + RIDGE
    c10, c20, c21 = gram[0, i] * l0 * l1, gram[0, j] * l0 * l2, gram[i, j] * l1 * l2
    m0 = 1.0 / np.sqrt(one)
    r10, r20 = c10 * m0, c20 * m0
    p1 = max(one - r10 * r10, _LEAST_PIVOT)
    m1 = 1.0 / np.sqrt(p1)
    r21 = (c21 - r20 * r10) * m1
    p2 = max(one - r20 * r20 - r21 * r21, _LEAST_PIVOT)
    m2 = 1.0 / np.sqrt(p2)
    m10 = -r10 * m0 * m1
    m21 = -r21 * m1 * m2
    m20 = -(r20 * m0 + r21 * m10) * m2
    b0, b1, b2 = gram[0, 1] * l0, gram[i, 1] * l1, gram[j, 1] * l2
    z0, z1, z2 = m0 * b0, m10 * b0 + m1 * b1, m20 * b0 + m21 * b1 + m2 * b2
    mean[0] = (m0 * z0 + m10 * z1 + m20 * z2) * l0
    mean[1] = (m1 * z1 + m21 * z2) * l1
    mean[2] = m2 * z2 * l2
    spread[0, 0] = (m0 * m0 + m10 * m10 + m20 * m20) * l0 * l0
    spread[1, 1] = (m1 * m1 + m21 * m21) * l1 * l1
    spread[2, 2] = m2 * m2 * l2 * l2
    spread[1, 0] = spread[0, 1] = (m10 * m1 + m20 * m21) * l0 * l1
    spread[2, 0] = spread[0, 2] = m20 * m2 * l0 * l2
    spread[2, 1] = spread[1, 2] = m21 * m2 * l1 * l2
    determinant = np.log(one * p1 * p2) - 2.0 * np.log(l0 * l1 * l2)
    return gram[1, 1] - z0 * z0 - z1 * z1 - z2 * z2, determinant
