"""Several data sets as one problem of the search, for `scalebed.fit.pooling.fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.solvers.general import (
    CONTINUATION,
    cost_of_scatter,
    is_continued,
    prepare,
)
from scalebed.fit.solvers.newton import Minimum, Problem, Sums, minimise
from scalebed.laws.forms.base import Array, Frame, Index, Inputs, Law, Mask, names


class Points(NamedTuple):
    """Points of one data set: inputs (n,) and response (n,) or (rows, n)."""

    x: Inputs
    y: Array


@dataclass(frozen=True)
class Joint:
    """The stacked problem of `count` data sets.

    `problem` holds one row a data set, padded with points of weight 0; y may be (rows, sets, n).
    `mixing` (sets p, q) maps what is searched to all parameters; `penalty` is (rows, sets p,
    sets p) or the same for all rows.
    """

    problem: Problem
    x: Inputs
    y: Array
    weights: Array
    mixing: Array
    penalty: Array
    lower: Array
    upper: Array
    free: Mask
    logarithmic: Mask

    def take(self, rows: Index) -> Joint:
        """Return the problem of some rows."""
        y = self.y if self.y.ndim == 2 else self.y[rows]
        penalty = self.penalty if self.penalty.ndim == 2 else self.penalty[rows]
        return replace(self, y=y, penalty=penalty)

    def sums(self, theta: Array) -> Sums:
        """Objective and derivatives at one theta a row."""
        rows, count = len(theta), len(self.x[0])
        full = theta @ self.mixing.T
        p = full.shape[1] // count

        def tile(column: Array) -> Array:
            shape = (rows, count, column.shape[-1])
            return np.broadcast_to(column, shape).reshape(-1, shape[-1])

        stacked = replace(
            self.problem,
            x=tuple(tile(column) for column in self.x),
            y=tile(self.y),
            weights=tile(self.weights),
        )
        parts = stacked.sums(full.reshape(-1, p))
        hessian = np.zeros((rows, count * p, count * p))
        for s in range(count):
            inside = slice(s * p, (s + 1) * p)
            hessian[:, inside, inside] = parts.hessian.reshape(rows, count, p, p)[:, s]
        hessian += self.penalty
        pull = (full[:, None] @ self.penalty)[:, 0]
        gradient = parts.gradient.reshape(rows, -1) + pull
        own = np.diagonal(self.penalty, axis1=-2, axis2=-1)
        squares = self.mixing**2
        lengths = (parts.lengths.reshape(rows, -1) ** 2 + own) @ squares
        tangents = (parts.tangents.reshape(rows, -1) ** 2 + own) @ squares
        return Sums(
            parts.value.reshape(rows, count).sum(1) + 0.5 * np.einsum("rp,rp->r", full, pull),
            gradient @ self.mixing,
            self.mixing.T @ hessian @ self.mixing,
            np.sqrt(lengths),
            np.sqrt((parts.residual.reshape(rows, count) ** 2).sum(1)),
            np.sqrt(tangents),
            np.sqrt((parts.size.reshape(rows, count) ** 2).sum(1)),
        )


class Stack(NamedTuple):
    """The problem of all data sets, and the frame they share."""

    joint: Joint
    frame: Frame


def descend(joint: Joint, start: Array, options: Options) -> Minimum:
    """Minimise from one start a row, by continuation in delta where that is needed."""
    if is_continued(options):
        for factor in CONTINUATION:
            softer = replace(options, delta=factor * options.delta)
            problem = replace(joint.problem, options=softer)
            start = minimise(replace(joint, problem=problem), start).theta
    return minimise(joint, start)


def stack(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    spreads: Array,
    options: Options,
    start: Array,
) -> Stack:
    """All data sets in one frame, so that what is pooled has the same meaning in each."""
    count, p = len(sets), len(law.parameters)
    middle = np.concatenate([np.atleast_2d(points.y).mean(0) for points in sets])
    x = tuple(
        np.concatenate(columns) for columns in zip(*(points.x for points in sets), strict=True)
    )
    frame, base = prepare(law, x, middle, options, None, middle)
    sizes = [points.y.shape[-1] for points in sets]
    edges = np.cumsum([0, *sizes])
    longest = max(sizes)

    def pad(parts: list[Array]) -> Array:
        wide = [[(0, 0)] * (part.ndim - 1) + [(0, longest - part.shape[-1])] for part in parts]
        filled = [
            np.pad(part, pads, constant_values=1.0) for part, pads in zip(parts, wide, strict=True)
        ]
        return np.stack(filled, axis=-2)

    inputs = tuple(
        pad([column[edges[s] : edges[s + 1]] for s in range(count)]) for column in frame.x
    )
    weights = (np.arange(longest) < np.array(sizes)[:, None]).astype(float)
    where = [names(law.parameters).index(name) for name in pooled]
    shared = bool(np.all(spreads == 0))
    mixing = _mixing(count, p, where if shared else [])
    penalty = np.zeros((spreads.size, count * p, count * p))
    centring = np.eye(count) - 1 / count
    size = np.abs(law.to_frame(start, frame)).mean(0)
    strength = cost_of_scatter(options, middle / frame.unit)
    for row in np.flatnonzero(np.isfinite(spreads) & (spreads > 0)):
        for j in where:
            index = np.arange(count) * p + j
            penalty[row][np.ix_(index, index)] = centring * strength / (spreads[row] * size[j]) ** 2
    own = np.argmax(mixing != 0, axis=0) % p
    joint = Joint(
        base,
        inputs,
        pad([points.y / frame.unit for points in sets]),
        weights,
        mixing,
        penalty[0] if spreads.size == 1 else penalty,
        base.lower[own],
        base.upper[own],
        base.free[own],
        base.logarithmic[own],
    )
    return Stack(joint, frame)


def _mixing(count: int, p: int, shared: list[int]) -> Array:
    """Matrix from what is searched to all parameters: shared ones have one column for all sets."""
    columns = []
    for s in range(count):
        for j in range(p):
            if j in shared and s:
                continue
            column = np.zeros((count, p))
            column[:, j] = 1.0 if j in shared else 0.0
            column[s, j] = 1.0
            columns.append(column.ravel())
    return np.stack(columns, axis=1)
