"""Parametric bootstrap: in every draw values are drawn about the fitted law and it is refitted.

What points of one run, design or trunk share is drawn once for all of them.
The losses of the fit cells are drawn about their law with the lack-of-fit sigma. The same drawn
losses are the points of the error law, whose errors are drawn about its curve, so the draws of both
laws are joint. A cell of the error law alone is drawn about its measured loss: nothing says that
the loss law holds there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.fit.refit import refit
from scalebed.laws.forms.base import Array, Inputs
from scalebed.predict.draws import scatter_factors, with_luck
from scalebed.predict.scatter import normals, stream
from scalebed.predict.stages import Drawn, Request, Stage, ahead, chained

METHOD: Final = "parametric bootstrap, joint with the errors"
# Objectives of the logarithm have no value at an error of 0.
_LEAST = 1e-6


def bootstrap(request: Request) -> Drawn | None:
    """Draw by refits; None without a sigma, or for a chained law without draws of the loss."""
    if request.scale is None:
        return None
    if request.kind == "loss":
        return _losses(request, request.scale)
    loss = request.loss if chained(request.measured.law) else None
    if loss is not None and loss.fit is not None and loss.factors is None:
        return None
    return _errors(request, request.scale, loss)


def _losses(request: Request, scale: Array) -> Drawn:
    # Every run has its factor: an error law may be fitted to others than the loss law is.
    runs, fit, used = request.runs, request.fit, request.used
    noise = normals(request.seed, runs.cells, request.draws, "loss", request.response, "fit")
    noise[:, used] = _together(request, noise[:, used])
    factors = scatter_factors(scale * noise)
    theta = _refit(request, request.measured.x, fit.fitted * factors[:, used])
    # They multiply measured losses, from which the drawn ones of the fit are a residual apart.
    factors[:, used] *= fit.fitted / request.measured.y
    return Drawn(theta, METHOD, factors)


def _errors(request: Request, scale: Array, loss: Stage | None) -> Drawn:
    """Refit to errors about the law at the drawn losses, at the measured ones if none are drawn."""
    law, used, x = request.measured.law, request.used, request.measured.x
    if loss is not None and loss.factors is not None:
        x = ahead(law, x, request.runs.losses[loss.response][used] * loss.factors[:, used])
    cells = tuple(cell for cell, inside in zip(request.runs.cells, used, strict=True) if inside)
    normal = normals(request.seed, cells, request.draws, "error", request.response, "fit")
    alone = np.sqrt(1 - request.shared) * scale
    noise = np.hypot(alone, request.measured.sampling) * normal
    noise += scale * _together(request, np.zeros(normal.shape))
    y = np.clip(law.predict(request.fit.theta, x) + noise, 0.0, 1.0)
    return Drawn(_refit(request, x, y), METHOD)


def _together(request: Request, normal: Array) -> Array:
    """Add what groups share to standard normals of the points alone, (draws, points)."""
    if not request.shared or request.groups is None:
        return normal
    named = tuple(str(group) for group in range(int(request.groups.max()) + 1))
    common = normals(request.seed, named, request.draws, request.kind, request.response, "shared")
    return with_luck(normal, common, request.groups, request.shared)


def _refit(request: Request, x: Inputs, y: Array) -> Array:
    """Parameters of redrawn values, (draws, p).

    What is known beforehand of a parameter counts as one more point on the curve, so it is redrawn
    about the estimate as the others are; a prior that stayed where it is would pull every refit
    once more.
    """
    measured, fit, options = request.measured, request.fit, request.fit.options
    if options.objective != "sse":
        y = np.maximum(y, _LEAST)
    names = ("prior", request.kind, request.runs.dataset, request.response)
    centres = {
        name: fit.parameters[name]
        + prior.sd * stream(request.seed, *names, name).standard_normal(len(y))
        for name, prior in options.priors.items()
    }
    return refit(
        measured.law,
        x,
        y,
        options,
        measured.weights,
        fit.theta,
        domain=fit.domain,
        centres=centres,
    ).theta
