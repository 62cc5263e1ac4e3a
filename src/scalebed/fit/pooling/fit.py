"""One fit over several data sets, with exponents (or E) shared or drawn together.

Every data set keeps its own parameters theta_s. Those that are pooled are either one number for
all sets, or pulled to their mean by a penalty that costs as much as one residual of the size of
`Options.scatter` when a set is one `spread` (relative) off it. `spread` 0 is sharing, infinity is
separate fits; `scalebed.fit.pooling.spread` picks it by leaving out one cell (with all of its
cluster) at a time, so that a data set is predicted from the others and what is left of itself, and
never looks at a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from scalebed.core.errors import ScalebedError
from scalebed.fit.options import Options
from scalebed.fit.pooling.stacked import Points, descend, stack
from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.laws.forms.base import Array, Law, names


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
    joined = stack(law, sets, pooled, spreads, options, start[0])
    rows, count, p = start.shape
    first = law.to_frame(start, joined.frame).reshape(rows, count * p)
    # The mean over the sets is the start of what they share.
    shared = np.linalg.pinv(joined.joint.mixing)
    at = first @ shared.T
    found = descend(joined.joint, at, options)
    full = (found.theta @ joined.joint.mixing.T).reshape(rows, count, p)
    theta = law.from_frame(full, joined.frame)
    rank = int(joined.joint.free.sum())
    return _Solved(theta, found.objective, found.gradient, rank)
