"""How predictions of a fit move with the noise of its points, to first order."""

from __future__ import annotations

import numpy as np

from scalebed.fit.result import FitResult
from scalebed.laws.forms.base import Array, Inputs


def unit(fit: FitResult, values: Array) -> Array:
    """Return what scatter is measured in: the value itself for losses, 1 for errors."""
    return values if fit.law.kind == "loss" else np.ones_like(values)


def sensitivity(fit: FitResult, x: Inputs, new: Inputs) -> Array:
    """Change of each prediction for noise of one unit at each point, (m, n).

    Both are relative to the value of the law for losses, and absolute for errors. Parameters that
    are fixed or ended at a bound do not move.

    Parameters
    ----------
    fit : FitResult
    x : tuple of arrays (n,)
        Inputs the law was fitted to.
    new : tuple of arrays (m,)
    """
    inside = free(fit)
    jacobian = fit.law.gradient(fit.theta, x)[:, inside]
    rise = fit.law.gradient(fit.theta, new)[:, inside]
    ahead = fit.law.value(fit.theta, new)
    # Least squares of logarithms weighs a residual by one over the value.
    power = 0.0 if fit.options.objective == "sse" else -1.0
    weight = fit.fitted**power
    scaled = jacobian * weight[:, None]
    length = np.linalg.norm(scaled, axis=0)
    length[length == 0] = 1.0
    inverse = np.linalg.pinv(scaled / length, rcond=1e-13)
    moves = (rise / length) @ inverse * (weight * unit(fit, fit.fitted))
    result: Array = moves / unit(fit, ahead)[:, None]
    return result


def free(fit: FitResult) -> Array:
    """Which parameters the points decide, bool (p,)."""
    held = {*fit.certificate.bounds_hit, *fit.options.fixed}
    return np.array([parameter.name not in held for parameter in fit.law.parameters])
