"""Fit any law with any options: frame, starts, continuation, Newton's method.

Least squares of the laws with one exponent have a faster way, `scalebed.fit.solvers.profiled`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from scalebed.fit import robust
from scalebed.fit.options import Options
from scalebed.fit.solvers.newton import Minimum, Problem, minimise
from scalebed.laws.forms.base import Array, Frame, Inputs, Law

# Huber's loss with a small delta is almost that of absolute values, whose optimum Newton's method
# misses from most starts; coming down from a larger delta it finds it.
_CONTINUED_BELOW = 1e-3
CONTINUATION = (100.0, 10.0, 3.0)
_MANY = 20_000
_FEW = 4_000
# Steps of a search from scratch: laws of nine parameters creep along curved valleys.
_PATIENT = 1_000
_TRIED = 2  # starts that go on when the best has not arrived
_CONVERGED = 1e-6
ASSUMED = 0.01
"""Scatter of runs, relative to the response, where nothing tells it."""


class Setup(NamedTuple):
    """A problem in its frame."""

    frame: Frame
    problem: Problem


def prepare(
    law: Law, x: Inputs, y: Array, options: Options, weights: Array | None, model: Array
) -> Setup:
    """Put a problem into the frame of its points.

    Parameters
    ----------
    law : Law
    x : tuple of arrays (n,) or (rows, n)
    y : array (n,) or (rows, n)
    options : Options
    weights : array (n,) or (rows, n), optional
    model : array (n,)
        Typical response, which sets the unit.
    """
    frame = law.frame(x, model)
    touched = {*options.fixed, *options.priors}
    held_weights = any(law.parameters[i].name in touched for i in law.weights)
    if held_weights:
        # A weight in other units depends on the exponent, so it cannot be held in a shifted frame.
        neutral = 1.0 if getattr(law, "logarithmic", True) else 0.0
        frame = Frame(x, (neutral,) * len(frame.origin), frame.unit)
    p = len(law.parameters)
    # Weights may overflow in the units of the law; their factors are not used then.
    with np.errstate(over="ignore"):
        factors = 1 / law.from_frame(np.ones(p), frame)
    lower, upper = (np.array(limit, dtype=float) for limit in law.bounds(x))
    lower, upper = lower * _scales(law, factors), upper * _scales(law, factors)
    free = np.ones(p, dtype=bool)
    mean, precision = np.zeros(p), np.zeros(p)
    for j, parameter in enumerate(law.parameters):
        if parameter.name in options.fixed:
            value = options.fixed[parameter.name] * factors[j]
            free[j], lower[j], upper[j] = False, value, value
        elif parameter.name in options.priors:
            prior = options.priors[parameter.name]
            mean[j] = prior.mean * factors[j]
            precision[j] = price(options, model / frame.unit) / (prior.sd * factors[j]) ** 2
    logarithmic = np.zeros(p, dtype=bool)
    if held_weights:
        logarithmic[list(law.weights)] = True
    problem = Problem(
        law,
        frame.x,
        y / frame.unit,
        weights,
        options,
        lower,
        upper,
        free,
        logarithmic,
        mean,
        precision,
    )
    return Setup(frame, problem)


def _scales(law: Law, factors: Array) -> Array:
    """Units of the parameters that have finite bounds; weights are bounded by 0 or not at all."""
    scales = np.array(factors)
    scales[list(law.weights)] = 1.0
    return scales


def price(options: Options, y: Array) -> float:
    """Twice the cost of a parameter that is one sd of its prior off.

    With the sum of squares and `scatter` s it is s^2: the optimum is then the mode of the
    posterior. Huber's loss rho is no likelihood of the scatter; E rho'^2 / E rho'' is what gives
    its optimum the same weight as its standard error does, s^2 again for a large delta.
    """
    scatter = options.scatter or ASSUMED
    if options.objective == "sse":
        return scatter**2 * float(np.mean(y**2))
    if options.objective == "huber_log":
        return robust.mean_square(scatter, options.delta) / robust.mean_curvature(
            scatter, options.delta
        )
    return scatter**2


def cost_of_scatter(options: Options, y: Array) -> float:
    """Twice the cost of a residual of size `scatter`; the unit of `spread` in pooled fits."""
    scatter = options.scatter or ASSUMED
    if options.objective == "sse":
        return scatter**2 * float(np.mean(y**2))
    if options.objective == "huber_log" and scatter > options.delta:
        return 2 * options.delta * (scatter - options.delta / 2)
    return scatter**2


def starts(setup: Setup) -> Array:
    """Where to start the search for one sample, (k, p) in its frame."""
    problem, frame = setup.problem, setup.frame
    law = problem.law
    y = problem.y
    weights = np.ones(y.shape) if problem.weights is None else problem.weights
    if problem.options.objective != "sse":
        weights = weights / y**2
    if problem.logarithmic.any():
        plain = law.frame(frame.x, y)
        found = law.starts(plain.x, y / plain.unit, weights)
        columns = list(law.weights)
        # The logarithm of a weight of nothing would never come back.
        least = 1e-6 * np.max(found[:, columns], axis=1, keepdims=True, initial=1e-300)
        found[:, columns] = np.maximum(found[:, columns], least)
        sizes = found * plain.unit
        found = law.to_frame(law.from_frame(found, plain), frame._replace(unit=1.0))
        for column, weight, exponent, distance in _held_terms(problem, plain):
            # The size of a term in the middle of the points is what the start knows best.
            term = max(weight, 1e-300) / sizes[:, column]
            found[:, exponent] = np.log(term) / distance
    else:
        found = law.starts(frame.x, y, weights)
    clipped: Array = np.clip(found, problem.lower, problem.upper)
    return clipped


def _held_terms(problem: Problem, plain: Frame) -> list[tuple[int, float, int, float]]:
    """Weights that are given: position, value, position of the exponent, and log of the origin."""
    law = problem.law
    scalings = getattr(law, "scalings", None)
    if scalings is None:
        first = 1 + len(law.weights)
        powers = getattr(law, "exponents", ())
        terms = [(j, j - 1, first + powers[j - 1]) for j in law.weights]
    else:
        terms = [(scaling.weight, *scaling.powers[0]) for scaling in scalings]
    logarithmic = getattr(law, "logarithmic", True)
    found = []
    for column, at, exponent in terms:
        distance = float(np.log(plain.origin[at]) if logarithmic else plain.origin[at])
        if not problem.free[column] and problem.free[exponent] and abs(distance) > 1e-6:
            found.append((column, float(problem.lower[column]), exponent, distance))
    return found


def is_continued(options: Options) -> bool:
    """Whether delta is so small that the optimum has to be approached from larger ones."""
    return options.objective == "huber_log" and options.delta < _CONTINUED_BELOW


def descend(problem: Problem, start: Array) -> Minimum:
    """Minimise, by continuation in delta where Huber's loss is almost that of absolute values."""
    options = problem.options
    if is_continued(options):
        for factor in CONTINUATION:
            softer = replace(options, delta=factor * options.delta)
            start = minimise(replace(problem, options=softer), start).theta
    return minimise(problem, start)


def search(setup: Setup) -> Minimum:
    """Descend from every start of one sample; rows in the order of the starts."""
    problem = setup.problem
    first = starts(setup)
    points = problem.y.size
    if points > _MANY:
        few = slice(None, None, points // _FEW)
        thinned = replace(
            problem,
            x=tuple(column[few] for column in problem.x),
            y=problem.y[few],
            weights=None if problem.weights is None else problem.weights[few],
        )
        found = descend(thinned, first)
        first = found.theta[np.argsort(found.objective)[:2]]
    found = descend(problem, first)
    best = np.argsort(found.objective)[:_TRIED]
    if found.gradient[best[0]] <= _CONVERGED:
        return found
    further = minimise(problem, found.theta[best], _PATIENT)
    for column, new in zip(found, further, strict=True):
        column[best] = new
    return found
