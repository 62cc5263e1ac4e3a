"""Starts of a search: grids over the parameters a law is not linear in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from scalebed.laws.forms.base import Array, Index, Inputs

COUNT = 16
_POINTS = 200


def thinned(x: Inputs, y: Array, weights: Array) -> tuple[Inputs, Array, Array]:
    """At most 200 points, spread over the response: enough to rank the nodes of a grid."""
    if y.size <= _POINTS:
        return x, y, weights
    order = np.argsort(y, kind="stable")
    index = order[np.linspace(0, y.size - 1, _POINTS).astype(int)]
    return tuple(column[index] for column in x), y[index], weights[index]


def axes(*columns: Array) -> Array:
    """All combinations, one a row."""
    return np.array(list(product(*columns)))


def slopes(phi: Array, y: Array, weights: Array, floor: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Bounded linear least squares at every node: intercept within `floor`, slopes not negative.

    Parameters
    ----------
    phi : array (nodes, n, s)
    y, weights : array (n,) or (nodes, n)
    floor : (float, float)
        Limits of the intercept.

    Returns
    -------
    array (nodes, 1 + s)
        Intercept and slopes; zero where the problem has no finite solution.
    """
    from scalebed.laws.forms.linear import moments, solve

    nodes, n = phi.shape[:2]
    y, weights = np.broadcast_to(y, (nodes, n)), np.broadcast_to(weights, (nodes, n))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = solve(moments(phi[:, None], y, weights), *floor)
        columns = [found.intercept, *found.slopes]
    return np.nan_to_num(np.concatenate(columns, axis=1), posinf=0.0, neginf=0.0)


def best(
    value: Callable[[Array, Inputs], Array],
    x: Inputs,
    y: Array,
    weights: Array,
    candidates: Array,
    groups: Index | None = None,
    count: int = COUNT,
) -> Array:
    """Best candidates by weighted sum of squares, best first.

    Parameters
    ----------
    value : callable
        ``law.value``.
    x, y, weights
        Points and the weights of their squared residuals.
    candidates : array (nodes, p)
    groups : int array (nodes,), optional
        Only the best candidate of a group is taken, so that starts lie apart.
    count : int
        Candidates that are returned at most.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rest = value(candidates, x) - y
        cost = np.einsum("gn,gn,n->g", rest, rest, weights)
    cost = np.where(np.isfinite(cost), cost, np.inf)
    # Stable, so that equal nodes keep the order of the grid on every machine.
    order = np.argsort(cost, kind="stable")
    order = order[np.isfinite(cost[order])]
    if groups is not None:
        _, first = np.unique(groups[order], return_index=True)
        order = order[np.sort(first)]
    return candidates[order[:count]]
