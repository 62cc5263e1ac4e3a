"""Fits of sums of power laws to many resamples at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scalebed.fit.solvers.kernels.resamples import fit_cases as _cases
from scalebed.fit.solvers.kernels.resamples import fit_rows as _rows
from scalebed.laws.forms.base import Array, Inputs, Mask
from scalebed.laws.forms.exponential import ExponentialSum

_STAGES = (100.0, 10.0, 3.0, 1.0)
# Below this limit Huber's loss is nearly absolute, and only continuation finds its minimum.
_SMOOTH = 1e-3


class Fits(NamedTuple):
    """Best fit of every row.

    Attributes
    ----------
    theta : array (rows, p)
        Parameters in the units of the law.
    objective : array (rows,)
        Half the weighted sum of squares, or Huber's.
    gradient : array (rows,)
        Largest cosine between the limited residuals and a free derivative; zero at an optimum,
        infinite where no value was found.
    at_edge : bool array (rows,)
        Whether a parameter ended at a bound.
    iterations : int array (rows,)
        Evaluations of the objective.
    """

    theta: Array
    objective: Array
    gradient: Array
    at_edge: Mask
    iterations: Any


_Result = tuple[Array, Array, Array, Mask, Any]


class _Setup(NamedTuple):
    """What the kernels need, in a frame: features centred and scaled, response over its unit."""

    u: Array
    v: Array
    y: Array
    low: Array
    high: Array
    free: Mask
    tied: bool
    reach: Array
    centre: Array
    scale: Array
    unit: float
    cost: float


def fit(
    law: ExponentialSum,
    x: Inputs,
    y: Array,
    start: Array,
    objective: str = "huber_log",
    delta: float = 1e-3,
    weights: Array | None = None,
    fixed: tuple[str, ...] = (),
) -> Fits:
    """Fit every row by Newton's method from its start.

    Parameters
    ----------
    law : ExponentialSum
        A law with sign +1 and one or two terms.
    x : tuple of arrays (n,) or (rows, n)
    y : array (n,) or (rows, n)
    start : array (p,) or (rows, p)
        In the units of the law; a weight of 0 stays 0.
    objective : {"huber_log", "log_sse", "sse"}
    delta : float
        Huber's limit; below 1e-3 the minimum is followed from 100 delta.
    weights : array (n,) or (rows, n), optional
        Counts for resamples; a point of weight 0 is left out.
    fixed : tuple of str
        The floor or exponents that keep their value of the start.
    """
    setup = _prepare(law, x, y, objective, fixed)
    w = np.ones((1, y.shape[-1])) if weights is None else np.atleast_2d(weights).astype(float)
    z = _to_frame(law, np.atleast_2d(np.asarray(start, float)), setup)
    shapes = (setup.u, setup.y, w, z)
    rows = max(array.shape[0] for array in shapes)
    result = _result(rows)
    logarithmic, deltas = _stages(objective, delta)
    _rows(0, rows, *setup[:8], w, z, logarithmic, deltas, *result)
    return _finish(law, setup, result)


def fit_cases(
    law: ExponentialSum,
    x: Inputs,
    y: Array,
    start: Array,
    seeds: Any,
    objective: str = "huber_log",
    delta: float = 1e-3,
) -> Fits:
    """Fit case resamples that are drawn where they are used, so that memory does not grow.

    Parameters
    ----------
    law, x, y, start, objective, delta
        As in `fit`; x and y (n,), start (p,).
    seeds : uint64 array (rows,)
        One a resample; n points are drawn with replacement by SplitMix64 (Steele et al. 2014).
    """
    setup = _prepare(law, x, y, objective, ())
    z = _to_frame(law, np.atleast_2d(np.asarray(start, float)), setup)
    result = _result(len(seeds))
    logarithmic, deltas = _stages(objective, delta)
    seeds = np.asarray(seeds, dtype=np.uint64)
    _cases(0, len(seeds), *setup[:8], seeds, z, logarithmic, deltas, *result)
    return _finish(law, setup, result)


def _stages(objective: str, delta: float) -> tuple[bool, Array]:
    if objective != "huber_log":
        return objective == "log_sse", np.array([np.inf])
    return True, delta * np.array(_STAGES if delta < _SMOOTH else (1.0,))


def _result(rows: int) -> _Result:
    return (
        np.empty((rows, 5)),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows, dtype=bool),
        np.empty(rows, dtype=np.int64),
    )


def _prepare(
    law: ExponentialSum, x: Inputs, y: Array, objective: str, fixed: tuple[str, ...]
) -> _Setup:
    exponents = law.exponents
    if law.sign != 1.0 or len(exponents) > 2:
        raise ValueError(f"law {law.name} is no sum of one or two power laws")
    features = law.features(x)
    features = features if features.ndim == 3 else features[None]
    tied, single = exponents == (0, 0), len(exponents) == 1
    centre = features.mean((0, 1))
    rest = features - centre
    scale = np.sqrt((rest**2).mean((0, 1)))
    scale = np.where(scale > 0, scale, 1.0)
    if tied:
        scale = np.full(2, np.sqrt((scale**2).mean()))
    rest = rest / scale
    u = np.ascontiguousarray(rest[..., 0])
    v = np.zeros_like(u) if single else np.ascontiguousarray(rest[..., 1])
    y = np.atleast_2d(np.asarray(y, float))
    size = np.abs(y)
    unit = float(np.exp(np.mean(np.log(size)))) if np.all(size > 0) else 1.0
    names = [parameter.name for parameter in law.parameters]
    limits = law.bounds(x)
    low, high = np.full(5, -np.inf), np.full(5, np.inf)
    low[0], high[0] = limits[0, 0] / unit, limits[1, 0] / unit
    free = np.ones(5, dtype=bool)
    free[0] = names[0] not in fixed
    count = max(exponents) + 1
    for k in range(count):
        place = len(names) - count + k
        low[3 + k], high[3 + k] = limits[0, place] * scale[k], limits[1, place] * scale[k]
        free[3 + k] = names[place] not in fixed
    if tied or single:
        free[4] = False
    if single:
        free[2] = False
    reach = np.array([np.max(-u), np.max(-v)])
    plain = objective == "sse"
    shown, cost = (y / unit, unit**2) if plain else (np.log(y / unit), 1.0)
    return _Setup(
        u, v, np.ascontiguousarray(shown), low, high, free, tied, reach, centre, scale, unit, cost
    )


def _to_frame(law: ExponentialSum, theta: Array, setup: _Setup) -> Array:
    """Theta (rows, p) as (E, a, b, p, q)."""
    terms = len(law.exponents)
    z = np.zeros((theta.shape[0], 5))
    z[:, 0] = theta[:, 0] / setup.unit
    z[:, 2] = -np.inf
    for j, k in enumerate(law.exponents):
        exponent = theta[:, 1 + terms + k]
        with np.errstate(divide="ignore"):
            z[:, 1 + j] = np.log(theta[:, 1 + j] / setup.unit) - exponent * setup.centre[j]
        z[:, 3 + j] = exponent * setup.scale[j]
    z[:, 3:] = np.clip(z[:, 3:], setup.low[3:], setup.high[3:])
    z[:, 0] = np.clip(z[:, 0], setup.low[0], setup.high[0])
    if setup.tied:
        z[:, 4] = z[:, 3]
    return z


def _finish(law: ExponentialSum, setup: _Setup, result: _Result) -> Fits:
    z, objective, gradient, at_edge, iterations = result
    terms = len(law.exponents)
    theta = np.empty((z.shape[0], 2 + terms + max(law.exponents)))
    theta[:, 0] = z[:, 0] * setup.unit
    for j, k in enumerate(law.exponents):
        exponent = z[:, 3 + j] / setup.scale[j]
        theta[:, 1 + terms + k] = exponent
        with np.errstate(over="ignore"):
            theta[:, 1 + j] = np.exp(z[:, 1 + j] + exponent * setup.centre[j]) * setup.unit
    return Fits(theta, objective * setup.cost, gradient, at_edge, iterations)
