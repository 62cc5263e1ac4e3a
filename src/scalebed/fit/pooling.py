"""One fit over several data sets, with exponents (or E) shared or drawn together.

Every data set keeps its own parameters theta_s. Those that are pooled are either one number for
all sets, or pulled to their mean by a penalty that costs as much as one residual of the size of
`Options.scatter` when a set is one `spread` (relative) off it. `spread` 0 is sharing, infinity is
separate fits; `choose_spread` picks it by leaving out one cell at a time, so that a data set is
predicted from the others and what is left of itself, and never looks at a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from scalebed.errors import ScalebedError
from scalebed.fit.general import CONTINUATION, cost_of_scatter, is_continued, prepare
from scalebed.fit.newton import Minimum, Problem, Sums, minimise
from scalebed.fit.options import Options
from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.laws.base import Array, Frame, Index, Inputs, Law, Mask, names

SPREADS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, float("inf"))
"""Ladder of relative spreads between data sets that cross-validation chooses from."""

# Condition number above which cells hardly differ in what they say of A and B, as on one ray of M.
_DECIDED: Final = 1e3


class Points(NamedTuple):
    """Points of one data set: inputs (n,) and response (n,) or (rows, n)."""

    x: Inputs
    y: Array


@dataclass(frozen=True)
class PooledFit:
    """Parameters of every data set from one fit.

    Attributes
    ----------
    law : Law
    pooled : tuple of str
        Names of the parameters that are pooled.
    spread : float
        0 if they are shared, infinite if they are separate.
    theta : array (sets, p)
    gradient : float
        Cosine between residuals and tangents, zero at an optimum.
    objective : float
    parameters : int
        Free parameters in all, those that are shared counted once.
    """

    law: Law
    pooled: tuple[str, ...]
    spread: float
    theta: Array
    gradient: float
    objective: float
    parameters: int


@dataclass(frozen=True)
class _Joint:
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

    def take(self, rows: Index) -> _Joint:
        y = self.y if self.y.ndim == 2 else self.y[rows]
        penalty = self.penalty if self.penalty.ndim == 2 else self.penalty[rows]
        return replace(self, y=y, penalty=penalty)

    def sums(self, theta: Array) -> Sums:
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


class _Stack(NamedTuple):
    joint: _Joint
    frame: Frame


def fit_pooled(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    spread: float = 0.0,
    options: Options | None = None,
) -> PooledFit:
    """Fit one law to several data sets together.

    Parameters
    ----------
    law : Law
    sets : sequence of Points
        At least two data sets, responses of shape (n,).
    pooled : sequence of str
        Parameters to pool.
    spread : float
        Relative spread of the pooled parameters between data sets.
    options : Options, optional

    Raises
    ------
    FitRefusedError
        If all the points together cannot identify the law.
    ScalebedError
        If a parameter is unknown or there are fewer than two data sets.
    """
    return fit_ladder(law, sets, pooled, (spread,), options)[0]


def fit_ladder(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    spreads: Sequence[float],
    options: Options | None = None,
) -> list[PooledFit]:
    """`fit_pooled` for several spreads at once."""
    options = options or Options()
    _check(law, sets, pooled, options)
    starts = _starts(law, sets, pooled, options)
    result = []
    for group in ([s for s in spreads if s == 0], [s for s in spreads if s != 0]):
        if not group:
            continue
        every = np.repeat(np.array(group), len(starts))
        found = _solve(law, sets, pooled, every, options, np.tile(starts, (len(group), 1, 1)))
        points = sum(points.y.shape[-1] for points in sets)
        if points < found.parameters:
            raise FitRefusedError(
                f"fewer points than parameters: {points} points in {len(sets)} data sets, "
                f"{found.parameters} parameters"
            )
        for k, spread in enumerate(group):
            rows = np.arange(k * len(starts), (k + 1) * len(starts))
            best = rows[int(np.argmin(found.objective[rows]))]
            result.append(
                PooledFit(
                    law,
                    tuple(pooled),
                    float(spread),
                    found.theta[best],
                    float(found.gradient[best]),
                    float(found.objective[best]),
                    found.parameters,
                )
            )
    return result


def refit_pooled(fit: PooledFit, sets: Sequence[Points], options: Options | None = None) -> Array:
    """Refit samples of all data sets together, (rows, sets, p).

    Parameters
    ----------
    fit : PooledFit
        Fit of the data the samples are made from.
    sets : sequence of Points
        Responses of shape (rows, n).
    options : Options, optional
    """
    rows = sets[0].y.shape[0]
    start = np.broadcast_to(fit.theta, (rows, *fit.theta.shape))
    spread = np.array([fit.spread])
    return _solve(fit.law, sets, fit.pooled, spread, options or Options(), start).theta


class _Solved(NamedTuple):
    theta: Array
    objective: Array
    gradient: Array
    parameters: int


def _check(law: Law, sets: Sequence[Points], pooled: Sequence[str], options: Options) -> None:
    options.check(law)
    known = names(law.parameters)
    weights = {known[i] for i in law.weights}
    for name in pooled:
        if name not in known or name in weights:
            wanted = ", ".join(name for name in known if name not in weights)
            raise ScalebedError(
                f"parameter {name!r} of law {law.name} cannot be pooled, expected one of {wanted}"
            )
        if name in options.fixed:
            raise ScalebedError(f"parameter {name} is fixed and pooled, expected one of the two")
    if len(sets) < 2:
        raise ScalebedError(f"pooling needs two data sets or more, found {len(sets)}")


def _starts(law: Law, sets: Sequence[Points], pooled: Sequence[str], options: Options) -> Array:
    """Return starts (k, sets, p): what is pooled held, separate fits, all one."""
    x = tuple(
        np.concatenate(columns) for columns in zip(*(points.x for points in sets), strict=True)
    )
    y = np.concatenate([points.y for points in sets])
    # Huber's kinks make a search from scratch slow, and starts need not be exact.
    smooth = options if options.objective == "sse" else replace(options, objective="log_sse")
    whole = fit_law(law, x, y, smooth)
    held = dict(options.fixed) | {name: whole.parameters[name] for name in pooled}
    priors = {name: prior for name, prior in options.priors.items() if name not in held}
    given = replace(smooth, fixed=held, priors=priors)
    ways = (given, Options() if not options.fixed and not options.priors else smooth)
    rows = [[_theta(law, points, way, whole.theta) for points in sets] for way in ways]
    return np.array([np.stack(row) for row in (*rows, [whole.theta] * len(sets))])


def _theta(law: Law, points: Points, options: Options, otherwise: Array) -> Array:
    try:
        return fit_law(law, points.x, points.y, options).theta
    except FitRefusedError:
        return otherwise


def _solve(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    spreads: Array,
    options: Options,
    start: Array,
) -> _Solved:
    """Search from one start a row, (rows, sets, p) in the units of the law."""
    stack = _stack(law, sets, pooled, spreads, options, start[0])
    rows, count, p = start.shape
    first = law.to_frame(start, stack.frame).reshape(rows, count * p)
    # The mean over the sets is the start of what they share.
    shared = np.linalg.pinv(stack.joint.mixing)
    at = first @ shared.T
    found = _descend(stack.joint, at, options)
    full = (found.theta @ stack.joint.mixing.T).reshape(rows, count, p)
    theta = law.from_frame(full, stack.frame)
    rank = int(stack.joint.free.sum())
    return _Solved(theta, found.objective, found.gradient, rank)


def _descend(joint: _Joint, start: Array, options: Options) -> Minimum:
    if is_continued(options):
        for factor in CONTINUATION:
            softer = replace(options, delta=factor * options.delta)
            problem = replace(joint.problem, options=softer)
            start = minimise(replace(joint, problem=problem), start).theta
    return minimise(joint, start)


def _stack(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    spreads: Array,
    options: Options,
    start: Array,
) -> _Stack:
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
    joint = _Joint(
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
    return _Stack(joint, frame)


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


def _identified(law: Law, points: Points, pooled: Sequence[str], options: Options) -> bool:
    """Whether a data set decides its own parameters once those that are pooled are known."""
    own = [j for j, name in enumerate(names(law.parameters)) if name not in pooled]
    if points.y.size < len(own):
        return False
    try:
        middle = law.frame(points.x, points.y)
        theta = law.starts(middle.x, points.y / middle.unit, np.ones(points.y.size))[0]
    except (FitRefusedError, ValueError):
        return False
    columns = law.gradient(theta, middle.x)[:, own]
    length = np.linalg.norm(columns, axis=0)
    return bool(np.all(length > 0) and np.linalg.cond(columns / length) < _DECIDED)


class Choice(NamedTuple):
    """What cross-validation says.

    Attributes
    ----------
    spread : float
        The chosen one: the smallest whose error is within one standard error of the least.
    spreads, errors, standard_errors : array (k,)
        Mean absolute relative error of the cells left out, and its standard error.
    cells : int
        Cells that were left out in turn.
    """

    spread: float
    spreads: Array
    errors: Array
    standard_errors: Array
    cells: int


def choose_spread(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    options: Options | None = None,
    spreads: Sequence[float] = SPREADS,
) -> Choice:
    """Choose how much to pool by leaving out every cell in turn.

    Parameters
    ----------
    law, sets, pooled, options
        As in `fit_pooled`.
    spreads : sequence of float
        Candidates, increasing.

    Raises
    ------
    FitRefusedError
        If no cell can be left out of any data set.
    """
    options = options or Options()
    misses: list[list[float]] = []
    for s, points in enumerate(sets):
        for i in range(points.y.size):
            keep = np.arange(points.y.size) != i
            rest = list(sets)
            rest[s] = Points(tuple(column[keep] for column in points.x), points.y[keep])
            at = tuple(column[i : i + 1] for column in points.x)
            if not _identified(law, rest[s], pooled, options):
                continue
            try:
                fits = fit_ladder(law, rest, pooled, spreads, options)
            except FitRefusedError:
                continue
            misses.append(
                [abs(float(law.predict(fit.theta[s], at)[0] / points.y[i]) - 1) for fit in fits]
            )
    if len(misses) < 2:
        raise FitRefusedError("too few cells to leave one out")
    table = np.array(misses)
    means = table.mean(0)
    errors = table.std(0, ddof=1) / np.sqrt(len(table))
    least = int(np.argmin(means))
    chosen = int(np.argmax(means <= means[least] + errors[least]))
    return Choice(float(spreads[chosen]), np.array(spreads), means, errors, len(table))
