"""Global least-squares fits of laws with one exponent, for thousands of samples at once.

Given the exponent q a law of `SharedExponentLaw` is linear with bounds, so the objective is a
function of q alone (variable projection). It is evaluated on a grid over the whole domain, then the
best node is polished by Newton's method on the exact first and second derivative of the profiled
objective (envelope theorem, Schur complement), kept inside a bracket around that node.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array, Index, Inputs, Mask, SharedExponentLaw
from scalebed.laws.forms.linear import Moments, Solution, lowest_rss, moments, solve

_STEP = 1e-9  # Newton is quadratic: the step after one this small is below rounding
_ITERATIONS = 80
_ROUNDING = 1e-28
# Nodes on each side of the best one: the grid ranks noise-free data only to rounding.
_REACH = 2


class Optimum(NamedTuple):
    """Best fit of every sample.

    theta (rows, p); rss (rows,); gradient (rows,), the cosine between residual and tangent, zero at
    an interior optimum; at_edge (rows,), whether q ends at a limit of its domain.
    """

    theta: Array
    rss: Array
    gradient: Array
    at_edge: Mask


class _Profile(NamedTuple):
    rss: Array
    slope: Array
    curvature: Array
    cosine: Array
    solution: Solution


class Design:
    """A law at given inputs: centred features and the grid over the exponent.

    Parameters
    ----------
    law : SharedExponentLaw
    x : tuple of arrays (n,) or (rows, n)
        Inputs of the law; two-dimensional where every sample has its own.
    domain : (float, float), optional
        Interval of q; by default what the law says for these inputs.
    """

    def __init__(
        self, law: SharedExponentLaw, x: Inputs, domain: tuple[float, float] | None = None
    ) -> None:
        features = law.features(x)
        self.law = law
        self.features = features if features.ndim == 3 else features[None]
        self.reference = self.features.mean(-2, keepdims=True)
        # exp(-q u) is taken about the mean of u: columns of order one whatever the units of x.
        self.centred = self.features - self.reference
        self.low, self.high = domain or law.domain(x)
        self.grid = _grid(self.low, self.high, law.nodes)
        self.bounds = (law.parameters[0].lower, law.parameters[0].upper)

    def rows(self, index: Index) -> Array:
        """Centred features of some samples, (rows, n, s)."""
        if self.centred.shape[0] == 1:
            return np.broadcast_to(self.centred, (index.size, *self.centred.shape[1:]))
        taken: Array = self.centred[index]
        return taken

    def scan(self, index: Index, y: Array) -> Array:
        """Profiled objective at every grid node, (rows, nodes)."""
        shared = self.centred.shape[0] == 1
        u = self.centred if shared else self.centred[index]
        phi = self.law.sign * np.exp(-self.grid[None, :, None, None] * u[:, None])
        return lowest_rss(moments(phi, y), *self.bounds)

    def theta(self, q: Array, solution: Solution, index: Index) -> Array:
        """Parameters in the units of the law, (rows, p)."""
        reference = (
            self.reference[:, 0] if self.reference.shape[0] == 1 else (self.reference[index, 0])
        )
        columns = [solution.intercept[:, 0]]
        for j, slope in enumerate(solution.slopes):
            columns.append(slope[:, 0] * np.exp(q * reference[:, j]))
        return np.stack([*columns, q], axis=-1)


@lru_cache
def _grid(low: float, high: float, nodes: int) -> Array:
    """Nodes over the exponent, which refits of one table ask for again and again.

    Nobody writes to them; marked so, the kernels would be compiled for them anew.
    """
    return np.geomspace(low, high, nodes)


def refit(
    law: SharedExponentLaw,
    x: Inputs,
    y: Array,
    domain: tuple[float, float] | None = None,
    weights: Array | None = None,
) -> Optimum:
    """Least-squares fit of every row of y, compiled.

    Parameters
    ----------
    law : SharedExponentLaw
    x : tuple of arrays (n,) or (rows, n)
    y : array (n,), (rows, n) or (tasks, rows, n)
        Several tasks may share the inputs of every row; the result has the same leading axes.
    domain : (float, float), optional
        Interval of the exponent, see `Design`.
    weights : array (n,) or (rows, n), optional
        Weight of each squared residual; 0 leaves a point out.

    Returns
    -------
    Optimum
        `gradient` is infinite where there is no fit, because a number is not finite or every
        weight is 0.

    Notes
    -----
    The objective is that of `Design` and `polish` to rounding; the kernels are compiled on the
    first call on a machine and cached.
    """
    from scalebed.fit.solvers.kernels import separable

    low, high = domain or law.domain(x)
    grid = _grid(low, high, law.nodes)
    bounds = (law.parameters[0].lower, law.parameters[0].upper)
    found = separable.fit(law.features(x), y, grid, law.sign, bounds, weights)
    return Optimum(*found)


def polish(design: Design, index: Index, y: Array, node: Index) -> Optimum:
    """Newton's method from the given grid nodes, each inside a bracket around its node.

    Parameters
    ----------
    design : Design
    index : int array (rows,)
        Which samples of the design these are.
    y : array (rows, n)
    node : int array (rows,)
    """
    last = design.grid.size - 1
    u = design.rows(index)
    q = design.grid[node]
    lo = design.grid[np.maximum(node - _REACH, 0)]
    hi = design.grid[np.minimum(node + _REACH, last)]
    best_q, best_rss = q.copy(), np.full(q.size, np.inf)
    # Near the optimum the objective is flat to rounding: there the sign of the slope decides.
    floor = _ROUNDING * np.einsum("rn,rn->r", y, y)
    active = np.arange(q.size)
    for _ in range(_ITERATIONS):
        at = q[active]
        profile = _profile(design, u[active], y[active], at)
        better = profile.rss <= best_rss[active] * (1 + 1e-9) + floor[active]
        right = np.where(better, profile.slope > 0, at > best_q[active])
        hi[active] = np.where(right, at, hi[active])
        lo[active] = np.where(right, lo[active], at)
        best_q[active] = np.where(better, at, best_q[active])
        best_rss[active] = np.where(better, profile.rss, best_rss[active])
        step = _step(profile, at, lo[active], hi[active])
        q[active] = at + step
        done = (np.abs(step) <= _STEP * at) | (hi[active] - lo[active] <= 1e-14 * at)
        active = active[~done]
        if not active.size:
            break
    q[active] = best_q[active]
    return _judge(design, index, _profile(design, u, y, q), q)


def _step(profile: _Profile, q: Array, lo: Array, hi: Array) -> Array:
    """Newton step where it stays inside the bracket, else the step to its middle."""
    convex = profile.curvature > 0
    newton = -profile.slope / np.where(convex, profile.curvature, 1.0)
    inside = convex & (q + newton >= lo) & (q + newton <= hi)
    step = np.where(inside, newton, 0.5 * (lo + hi) - q)
    return np.where(profile.slope == 0, 0.0, step)


def _judge(design: Design, index: Index, profile: _Profile, q: Array) -> Optimum:
    """Turn the last point of every row into parameters and say how stationary it is."""
    at_low, at_high = q <= design.low * (1 + 1e-9), q >= design.high * (1 - 1e-9)
    pushed = (at_low & (profile.slope >= 0)) | (at_high & (profile.slope <= 0))
    gradient = np.where(pushed, 0.0, profile.cosine)
    theta = design.theta(q, profile.solution, index)
    return Optimum(theta, profile.rss, gradient, at_low | at_high)


def _profile(design: Design, u: Array, y: Array, q: Array) -> _Profile:
    """Profiled objective and its first two derivatives at one q a row.

    With r the residual, d and e the first and second derivative of the model in q at fixed
    coefficients, and F the free columns (centred where the intercept is free):
    f = r r, f' = -2 r d, f'' = 2 (d d - r e - v S^-1 v), S = F'F, v = F d - r F'.
    """
    phi = design.law.sign * np.exp(-q[:, None, None] * u)
    sums: Moments = moments(phi[:, None], y)
    found = solve(sums, *design.bounds)
    slopes = np.concatenate(found.slopes, axis=1)
    weighted = phi * slopes[:, None, :]
    residual = y - found.intercept - weighted.sum(-1)
    tangent = -(u * weighted).sum(-1)
    bend = (u * u * weighted).sum(-1)
    centre = found.free_intercept.astype(float)
    tangent_rest = tangent - centre * tangent.mean(-1, keepdims=True)
    columns = phi - centre[:, :, None] * phi.mean(-2, keepdims=True)
    mixed = np.einsum("rns,rn->rs", columns, tangent_rest)
    mixed += np.einsum("rn,rns->rs", residual, u * phi)
    quadratic = _schur(columns, mixed, np.concatenate(found.free_slopes, axis=1))
    product = np.einsum("rn,rn->r", residual, tangent_rest)
    length = np.einsum("rn,rn->r", tangent_rest, tangent_rest)
    rss = np.einsum("rn,rn->r", residual, residual)
    curvature = 2 * (length - np.einsum("rn,rn->r", residual, bend) - quadratic)
    floor = 1e-8 * np.sqrt(np.einsum("rn,rn->r", y, y))
    scale = np.sqrt(length) * (np.sqrt(rss) + floor)
    cosine = np.abs(product) / np.where(scale > 0, scale, 1.0)
    return _Profile(rss, -2 * product, curvature, cosine, found)


def _schur(columns: Array, mixed: Array, free: Mask) -> Array:
    """Compute v' S^-1 v over the free columns of each row."""
    v = np.where(free, mixed, 0.0)
    gram = np.einsum("rns,rnt->rst", columns, columns)
    first = np.where(free[:, 0], gram[:, 0, 0], 1.0)
    if columns.shape[-1] == 1:
        result: Array = v[:, 0] ** 2 / first
        return result
    second = np.where(free[:, 1], gram[:, 1, 1], 1.0)
    both = np.where(free.all(-1), gram[:, 0, 1], 0.0)
    top = second * v[:, 0] ** 2 - 2 * both * v[:, 0] * v[:, 1] + first * v[:, 1] ** 2
    solved: Array = top / (first * second - both * both)
    return solved
