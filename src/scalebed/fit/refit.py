"""Refit a law to many samples at once: resamples, simulations, tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.solvers import profiled
from scalebed.fit.solvers.general import descend, prepare, search
from scalebed.laws.forms.base import Array, Inputs, Law, Mask, SharedExponentLaw
from scalebed.laws.forms.exponential import ExponentialSum

_POOR = 1e-5
_CHUNK = 4096
_TERMS = 2  # of a law that the kernels know


class Optima(NamedTuple):
    """Best fit of every sample.

    Attributes
    ----------
    theta : array (rows, p)
    objective : array (rows,)
        Half the weighted sum of squares, or Huber's; with the prior where there is one.
    gradient : array (rows,)
        Cosine between residuals and tangent, zero at an interior optimum.
    at_edge : bool array (rows,)
        Whether a parameter ended at a bound.
    """

    theta: Array
    objective: Array
    gradient: Array
    at_edge: Mask


def one_exponent(law: Law) -> bool:
    """Whether the law is linear but for one exponent, so that its global optimum is at hand."""
    return hasattr(law, "features") and max(getattr(law, "exponents", (0,))) == 0


def refit(
    law: Law,
    x: Inputs,
    y: Array,
    options: Options | None = None,
    weights: Array | None = None,
    start: Array | None = None,
    domain: tuple[float, float] | None = None,
    centres: Mapping[str, Array] | None = None,
) -> Optima:
    """Fit every row of y.

    Parameters
    ----------
    law : Law
    x : tuple of arrays (n,) or (rows, n)
    y : array (rows, n) or (n,)
    options : Options, optional
        Ordinary least squares by default.
    weights : array (n,) or (rows, n), optional
        Weights of the points; counts for resamples, 0 for a point that is left out.
    start : array (p,), optional
        Fit of the data the samples are made from; found when not given and needed.
    domain : (float, float), optional
        Interval of the exponent of a law with one, see `scalebed.fit.solvers.profiled.Design`.
    centres : mapping of str to array (rows,), optional
        Means of the priors of each sample, in place of those of the options.

    Returns
    -------
    Optima

    Notes
    -----
    Nothing is refused here: the caller sees to it that samples can identify the law.
    """
    options = options or Options()
    if options.plain and one_exponent(law):
        best = profiled.refit(cast(SharedExponentLaw, law), x, y, domain, weights)
        return Optima(best.theta, best.rss / 2, best.gradient, best.at_edge)
    if start is None:
        start = _start(law, x, y, options)
    rows = _rows(x, y, weights)
    if compiled(law, options):
        found = _powers(law, x, y, options, weights, start, rows)
    else:
        found = _general(law, x, y, options, weights, start, rows, centres)
    return found._replace(theta=options.pin(law, found.theta))


def compiled(law: Law, options: Options) -> bool:
    """Whether the compiled kernels know the law and the options."""
    if not isinstance(law, ExponentialSum) or law.sign < 0 or options.priors:
        return False
    held = {law.parameters[i].name for i in law.weights} & set(options.fixed)
    return len(law.exponents) <= _TERMS and not held


def _powers(
    law: Law,
    x: Inputs,
    y: Array,
    options: Options,
    weights: Array | None,
    start: Array,
    rows: int,
) -> Optima:
    from scalebed.fit.solvers.kernels import powers

    found = powers.fit(
        cast(ExponentialSum, law),
        x,
        np.broadcast_to(y, (rows, y.shape[-1])),
        options.pin(law, np.asarray(start, float)),
        options.objective,
        options.delta,
        weights,
        tuple(options.fixed),
    )
    return _rescued(law, x, y, options, weights, Optima(*found[:4]))


def _start(law: Law, x: Inputs, y: Array, options: Options) -> Array:
    """Fit of the mean sample."""
    model = np.atleast_2d(y).mean(0)
    middle = tuple(np.atleast_2d(column).mean(0) for column in x)
    one = prepare(law, middle, model, options, None, model)
    found = search(one)
    theta: Array = law.from_frame(found.theta[np.argmin(found.objective)], one.frame)
    return theta


def _rows(x: Inputs, y: Array, weights: Array | None) -> int:
    shapes = [column.shape for column in (*x, y)] + ([] if weights is None else [weights.shape])
    return next((shape[0] for shape in shapes if len(shape) == 2), 1)


def _general(
    law: Law,
    x: Inputs,
    y: Array,
    options: Options,
    weights: Array | None,
    start: Array,
    rows: int,
    centres: Mapping[str, Array] | None,
) -> Optima:
    setup = prepare(law, x, y, options, weights, np.atleast_2d(y).mean(0))
    if centres:
        means = np.tile(setup.problem.prior_mean, (rows, 1))
        with np.errstate(over="ignore"):
            units = 1 / law.from_frame(np.ones(len(law.parameters)), setup.frame)
        for j, parameter in enumerate(law.parameters):
            if parameter.name in centres:
                means[:, j] = centres[parameter.name] * units[j]
        setup = setup._replace(problem=replace(setup.problem, prior_mean=means))
    first = law.to_frame(np.asarray(start, float), setup.frame)
    parts = []
    for begin in range(0, rows, _CHUNK):
        index = np.arange(begin, min(begin + _CHUNK, rows))
        parts.append(descend(setup.problem.take(index), np.tile(first, (index.size, 1))))
    theta, objective, gradient, held = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    edge: Mask = np.any(held[:, setup.problem.free], axis=1)
    # Objectives of the frame are of other units where they are not of logarithms.
    unit = setup.frame.unit**2 if options.objective == "sse" else 1.0
    found = Optima(law.from_frame(theta, setup.frame), objective * unit, gradient, edge)
    if centres:
        return found
    return _rescued(law, x, y, options, weights, found)


def _rescued(
    law: Law, x: Inputs, y: Array, options: Options, weights: Array | None, found: Optima
) -> Optima:
    """Search anew for the rows whose descent did not end at an optimum."""
    for row in np.flatnonzero(~(found.gradient <= _POOR)).tolist():
        one = tuple(column if column.ndim == 1 else column[row] for column in x)
        values = y if y.ndim == 1 else y[row]
        own = weights if weights is None or weights.ndim == 1 else weights[row]
        keep = np.ones(values.size, dtype=bool) if own is None else own > 0
        own = None if own is None else own[keep]
        one, values = tuple(column[keep] for column in one), values[keep]
        if not np.all(np.isfinite(values)) or values.size < 2:
            continue
        setup = prepare(law, one, values, options, own, values)
        again = search(setup)
        best = int(np.argmin(again.objective))
        unit = setup.frame.unit**2 if options.objective == "sse" else 1.0
        if again.objective[best] * unit <= found.objective[row] or np.isnan(found.objective[row]):
            found.theta[row] = law.from_frame(again.theta[best], setup.frame)
            found.objective[row] = again.objective[best] * unit
            found.gradient[row] = again.gradient[best]
            found.at_edge[row] = bool(again.held[best][setup.problem.free].any())
    return found
