"""How predictions of a fit move with the noise of its points, to first order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.fit import robust
from scalebed.fit.result import FitResult
from scalebed.fit.solvers.general import ASSUMED
from scalebed.laws.forms.base import Array, Inputs, Mask, names


def unit(fit: FitResult, values: Array) -> Array:
    """Return what scatter is measured in: the value itself for losses, 1 for errors."""
    return values if fit.law.kind == "loss" else np.ones_like(values)


def sensitivity(fit: FitResult, x: Inputs, new: Inputs) -> Array:
    """Change of each prediction for noise of one unit at each point and prior, (m, n + priors).

    Noise and change are relative to the value of the law for losses, and absolute for errors; of a
    prior one unit of noise moves its mean by one sd, where the scatter is one unit. Parameters that
    are fixed or ended at a bound do not move.

    Parameters
    ----------
    fit : FitResult
    x : tuple of arrays (n,)
        Inputs the law was fitted to.
    new : tuple of arrays (m,)

    Notes
    -----
    With normal scatter s Huber's loss has the mean curvature c = P(|r| < delta) at every point: its
    optimum moves as that of least squares under the noise v = sqrt(E psi^2) / c
    (`scalebed.fit.robust.felt`). Outlying points lie beyond delta whatever their noise: no
    curvature, no change.
    """
    inside = free(fit)
    rise = fit.law.gradient(fit.theta, new)[:, inside]
    rows = _rows(fit, x)
    scaled = rows.gradient[:, inside]
    length = np.linalg.norm(scaled, axis=0)
    length[length == 0] = 1.0
    inverse = np.linalg.pinv(scaled / length, rcond=1e-13)
    moves = (rise / length) @ inverse * rows.noise
    result: Array = moves / unit(fit, fit.law.value(fit.theta, new))[:, None]
    return result


class _Rows(NamedTuple):
    """Least squares that moves as the fit does: points, then priors.

    Attributes
    ----------
    gradient : array (n + priors, p)
        Derivative of each weighted residual.
    noise : array (n + priors,)
        Size of each for noise of one unit.
    """

    gradient: Array
    noise: Array


def _rows(fit: FitResult, x: Inputs) -> _Rows:
    # Least squares of logarithms weighs a residual by one over the value.
    power = 0.0 if fit.options.objective == "sse" else -1.0
    weight = fit.fitted**power
    gradient = fit.law.gradient(fit.theta, x) * weight[:, None]
    noise = weight * unit(fit, fit.fitted)
    if fit.options.objective == "huber_log":
        gradient, noise = _robust(fit, free(fit), gradient, noise)
    if not fit.options.priors:
        return _Rows(gradient, noise)
    typical = _typical(fit)
    one = (typical**power * unit(fit, typical)).item()
    strength = prior_scatter(fit) * one
    if fit.options.objective == "huber_log":
        ratio = robust.felt(strength, fit.options.delta) / strength
        one, strength = ratio * one, ratio * strength
    known = names(fit.law.parameters)
    held = np.zeros((len(fit.options.priors), len(known)))
    for row, (name, prior) in zip(held, fit.options.priors.items(), strict=True):
        row[known.index(name)] = strength / prior.sd
    return _Rows(np.vstack([gradient, held]), np.append(noise, np.full(len(held), one)))


def prior_scatter(fit: FitResult) -> float:
    """Return the scatter that priors are weighed against, in units of a residual's scatter.

    A prior counts as a point with the deviation (theta - mean) / sd times this.
    """
    typical = _typical(fit)
    return (fit.options.scatter or ASSUMED) * float((typical / unit(fit, typical)).item())


def _typical(fit: FitResult) -> Array:
    """Root mean square of the values, (1,)."""
    found: Array = np.sqrt(np.mean((fit.fitted + fit.residuals) ** 2, keepdims=True))
    return found


def _robust(fit: FitResult, inside: Mask, gradient: Array, noise: Array) -> tuple[Array, Array]:
    """Leave the outlying points out, and enlarge the noise of all as Huber's loss does."""
    judged = robust.judge(fit.rest, fit.certificate.degrees_of_freedom)
    kept = np.where(judged.outlying[:, None], 0.0, gradient)
    length = np.linalg.norm(gradient[:, inside], axis=0)
    rank, left = (
        np.linalg.matrix_rank(columns[:, inside] / np.where(length > 0, length, 1.0))
        for columns in (gradient, kept)
    )
    gradient = kept if left == rank else gradient
    if judged.scale > 0:
        noise = noise * robust.felt(judged.scale, fit.options.delta) / judged.scale
    return gradient, noise


def free(fit: FitResult) -> Mask:
    """Which parameters the points decide, bool (p,)."""
    held = {*fit.certificate.bounds_hit, *fit.options.fixed}
    return np.array([parameter.name not in held for parameter in fit.law.parameters])
