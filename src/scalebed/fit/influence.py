"""How much single points decide a fit (statsmodels, on the linearised law)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.fit import robust
from scalebed.fit.certificate import jacobian
from scalebed.fit.result import FitResult
from scalebed.fit.solvers.general import prepare
from scalebed.fit.solvers.objectives import terms
from scalebed.laws.forms.base import Array, Inputs, Mask


class Influence(NamedTuple):
    """One number a point, in the order of the points.

    Attributes
    ----------
    leverage : array (n,)
        Diagonal of the hat matrix: 1 means that the fit goes through the point whatever it is.
    cooks_distance : array (n,)
        Squared move of all fitted values when the point is left out, in units of the parameters'
        uncertainty; above 1 the point decides the fit. NaN without a degree of freedom.
    studentized : array (n,)
        Residual over its standard error (internal); NaN without a degree of freedom.
    """

    leverage: Array
    cooks_distance: Array
    studentized: Array


def influence(fit: FitResult, x: Inputs, y: Array) -> Influence:
    """Influence of each point on a fit.

    Parameters
    ----------
    fit : FitResult
    x, y
        What the law was fitted to.

    Notes
    -----
    Cook (1977), computed by ``statsmodels.stats.outliers_influence`` for the law linearised at the
    optimum, in the free parameters that are not at a bound; Huber's weights count as weights.
    """
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.outliers_influence import OLSInfluence

    law, certificate = fit.law, fit.certificate
    frame, problem = prepare(law, x, y, fit.options, None, y)
    theta = law.to_frame(fit.theta, frame)
    inside = problem.free & np.array([p.name not in certificate.bounds_hit for p in law.parameters])
    columns = jacobian(problem, theta)[:, inside]
    found = terms(problem.options, law.value(theta, problem.x), problem.y)
    scale = np.sqrt(found.curvature)
    residual = (problem.y - law.value(theta, problem.x)) * scale
    nothing = np.full(y.size, np.nan)
    if y.size <= columns.shape[1] or not columns.shape[1]:
        return Influence(certificate.leverage, nothing, nothing)
    measures = OLSInfluence(OLS(residual, columns).fit())
    # A leverage of one leaves no residual to judge by.
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.asarray(measures.cooks_distance[0])
        studentized = np.asarray(measures.resid_studentized_internal)
    certain = certificate.leverage > 1 - 1e-9
    return Influence(
        certificate.leverage,
        np.where(certain, np.nan, distance),
        np.where(certain, np.nan, studentized),
    )


def outlying(fit: FitResult) -> Mask:
    """Return the points so far off the law that normal scatter hardly explains them, (n,).

    See `scalebed.fit.robust.judge`. Least squares goes half-way to outliers, so that they widen
    the residuals of all and hide each other: look for them with a fit of ``huber_log``.
    """
    return robust.judge(fit.rest, fit.certificate.degrees_of_freedom).outlying
