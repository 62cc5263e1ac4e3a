"""The objectives as functions of the value of the law, with two derivatives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.fit.options import Options
from scalebed.laws.forms.base import Array, Mask


class Terms(NamedTuple):
    """Contributions of the points to an objective; each of the shape of the values.

    Attributes
    ----------
    cost
        rho(r), infinite where the logarithm of a value does not exist.
    first, second
        Derivatives of the cost in the value of the law.
    curvature
        A positive stand-in for `second`: the weight of iteratively reweighted least squares.
    score
        rho'(r), the residual after Huber's limit.
    slope
        dr / d value.
    """

    cost: Array
    first: Array
    second: Array
    curvature: Array
    score: Array
    slope: Array


def terms(options: Options, value: Array, y: Array) -> Terms:
    """Evaluate an objective point by point.

    Parameters
    ----------
    options : Options
    value, y : array
        Values of the law and the measured ones, broadcast together.
    """
    if options.objective == "sse":
        rest = value - y
        one = np.ones_like(rest)
        return Terms(rest**2 / 2, rest, one, one, rest, one)
    fine = value > 0
    safe = np.where(fine, value, 1.0)
    rest = np.log(safe) - np.log(y)
    inside: Mask = np.ones(rest.shape, dtype=bool)
    score, cost = rest, rest**2 / 2
    if options.objective == "huber_log":
        inside = np.abs(rest) <= options.delta
        score = np.clip(rest, -options.delta, options.delta)
        cost = np.where(inside, cost, options.delta * (np.abs(rest) - options.delta / 2))
    slope = 1 / safe
    weight = np.where(inside, 1.0, options.delta / np.maximum(np.abs(rest), options.delta))
    second = (np.where(inside, 1.0, 0.0) - score) * slope**2
    cost = np.where(fine, cost, np.inf)
    return Terms(cost, score * slope, second, weight * slope**2, score, slope)
