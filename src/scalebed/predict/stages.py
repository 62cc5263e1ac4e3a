"""Joint draws of loss law, error law and predictions for one data set.

The headline interval is a parametric bootstrap. In each draw the losses of the fit cells are drawn
about the fitted law with the lack-of-fit sigma and the loss law is refitted; the same drawn losses
move the points of the error law, whose errors are drawn about its curve, and it is refitted too. A
predicted cell then gets its own lack of fit in the loss, the error law of the same draw, and its
own lack of fit and sampling error in the error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.refit import refit
from scalebed.fit.result import FitRefusedError, FitResult, fit_law
from scalebed.fit.sensitivity import unit
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Inputs, Law, Mask
from scalebed.predict.draws import scatter_factors
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import (
    Scatter,
    Sigma,
    choose_sigma,
    normals,
    scatter_of,
    stream,
)
from scalebed.predict.settings import Settings
from scalebed.predict.shares import error_shares, loss_shares

# Objectives of the logarithm have no value at an error of 0.
_LEAST = 1e-6


@dataclass(frozen=True)
class Stage:
    """A fitted law of one data set with its draws; `fit` is None when it was refused.

    Attributes
    ----------
    dataset, response : str
    law : str
    fit : FitResult or None
    reason : str or None
        Why it was refused.
    points : int
        Points offered to the fit.
    used : bool array (n,)
        Cells of the fit among the runs.
    sigma : Sigma or None
    theta : array (draws, p) or None
        Refitted parameters.
    point : array (n,)
        Prediction for every run.
    fit_draws, draws : array (draws, n) or None
        Predictions of every draw without and with the noise of the new run.
    sampling : float
        Sampling error assumed for a new measured error.
    factors : array (draws, n) or None
        What the measured losses are multiplied with in each draw (loss laws).
    shares : dict of array (n,)
        Spread of a prediction, as a standard deviation, from each source alone: ``loss_fit``,
        ``error_fit``, ``run`` (scatter of the new run) and ``evaluation`` (its measurement).
    """

    dataset: str
    response: str
    law: str
    fit: FitResult | None
    reason: str | None
    points: int
    used: Mask
    sigma: Sigma | None = None
    theta: Array | None = None
    point: Array | None = None
    fit_draws: Array | None = None
    draws: Array | None = None
    sampling: float = 0.0
    factors: Array | None = None
    shares: dict[str, Array] = field(default_factory=dict)


def inputs(law: Law, runs: Runs, response: str, settings: Settings) -> Inputs:
    """Return the inputs of a law for all runs; ``loss`` is the measured one."""
    return tuple(runs.column(name, response, settings.loss) for name in law.inputs)


def finite(columns: Inputs) -> Mask:
    """Return the runs of which every input is known."""
    known: Mask = np.all([np.isfinite(column) for column in columns], axis=0)
    return known


def loss_stage(
    runs: Runs, validation: str, grids: dict[str, Scatter | None], settings: Settings
) -> Stage:
    """Fit the loss law to one validation loss of one data set and draw from it."""
    law = get_law(settings.loss_law, "loss")
    loss, x = runs.loss(validation), inputs(law, runs, validation, settings)
    used = runs.fit_loss & np.isfinite(loss) & finite(x)
    base = (runs.dataset, validation, law.name)
    sampling = runs.loss_sampling.get(validation, np.zeros(loss.size))
    known = _Points(law, _take(x, used), loss[used], sampling[used], settings.loss_options)
    try:
        if runs.mixed:
            raise FitRefusedError(runs.mixed)
        fit = known.fit()
    except FitRefusedError as refused:
        return Stage(*base, None, str(refused), int(used.sum()), used)
    sigma = choose_sigma(runs.dataset, grids, scatter_of(fit, np.zeros(1)))
    if settings.weights["loss"] == "evaluation":
        known = known.weighted(fit, sigma)
        fit = known.fit()
    stage = Stage(*base, fit, None, int(used.sum()), used, point=fit.predict(*x))
    if sigma is None:
        return stage
    seed, count = settings.seed, settings.draws
    scale = sigma.sample(stream(seed, "sigma", "loss", runs.dataset, validation), count)[:, None]
    factors = [
        scatter_factors(scale * normals(seed, runs.cells, count, "loss", validation, which))
        for which in ("fit", "new")
    ]
    theta = known.refit(
        fit, known.x, fit.fitted * factors[0][:, used], seed, "loss", runs.dataset, validation
    )
    means = law.predict(theta, x)
    return replace(
        stage,
        sigma=sigma,
        theta=theta,
        fit_draws=means,
        draws=means * factors[1],
        factors=factors[0],
        shares=loss_shares(means, means * factors[1], _root_mean_square(known.sampling)),
    )


@dataclass(frozen=True)
class _Points:
    """Points of one fit and how they are fitted."""

    law: Law
    x: Inputs
    y: Array
    sampling: Array
    options: Options
    weights: Array | None = None

    def fit(self) -> FitResult:
        return fit_law(self.law, self.x, self.y, self.options, self.weights)

    def weighted(self, fit: FitResult, sigma: Sigma | None) -> _Points:
        """Weigh each point by one over the variance of its measurement and scatter together."""
        scatter = (sigma.value if sigma else 0.0) * unit(fit, fit.fitted)
        variance = scatter**2 + np.nan_to_num(self.sampling) ** 2
        if not np.all(variance > 0):
            return self
        scale = np.exp(np.mean(np.log(variance)))
        return replace(self, weights=scale / variance)

    def refit(self, fit: FitResult, x: Inputs, y: Array, seed: int, *names: str) -> Array:
        """Parameters of redrawn points, (draws, p).

        What is known beforehand of a parameter counts as one more point on the curve, so it is
        redrawn about the estimate as the others are; a prior that stayed where it is would pull
        every refit once more.
        """
        if self.options.objective != "sse":
            y = np.maximum(y, _LEAST)
        centres = {
            name: fit.parameters[name]
            + prior.sd * stream(seed, "prior", *names, name).standard_normal(len(y))
            for name, prior in self.options.priors.items()
        }
        return refit(
            self.law,
            x,
            y,
            self.options,
            self.weights,
            fit.theta,
            domain=fit.domain,
            centres=centres,
        ).theta


def _take(x: Inputs, use: Mask) -> Inputs:
    return tuple(column[use] for column in x)


def _root_mean_square(errors: Array) -> float:
    """Return the sampling error of a new run, as that of the fit cells; 0 if none is known."""
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


def error_stage(
    runs: Runs, response: str, loss: Stage, grids: dict[str, Scatter | None], settings: Settings
) -> Stage:
    """Fit the error law of one response and chain the draws of the loss law through it.

    `point` is the error law at the predicted loss; it is None if the loss law was refused. A direct
    law is a function of the run: nothing is chained.
    """
    law = get_law(settings.error_law, ("error", "direct"))
    x, error = inputs(law, runs, response, settings), runs.errors[response]
    used = runs.fit_error & finite(x) & np.isfinite(error)
    base = (runs.dataset, response, law.name)
    sampling = runs.sampling[response]
    known = _Points(law, _take(x, used), error[used], sampling[used], settings.error_options)
    try:
        if runs.mixed:
            raise FitRefusedError(runs.mixed)
        fit = known.fit()
    except FitRefusedError as refused:
        return Stage(*base, None, str(refused), int(used.sum()), used)
    sigma = choose_sigma(runs.dataset, grids, scatter_of(fit, sampling[used]))
    if settings.weights["error"] == "evaluation":
        known = known.weighted(fit, sigma)
        fit = known.fit()
    chained = "loss" in law.inputs
    point = None if chained and loss.point is None else fit.predict(*ahead(law, x, loss.point))
    stage = Stage(*base, fit, None, int(used.sum()), used, point=point)
    if sigma is None or (chained and loss.fit is not None and loss.factors is None):
        return stage
    stage = replace(stage, sigma=sigma, sampling=_root_mean_square(known.sampling))
    return _with_error_draws(runs, stage, known, fit, loss, settings)


def ahead(law: Law, x: Inputs, loss: Array | None) -> Inputs:
    """Replace the loss by a predicted one, where it is an input."""
    pairs = zip(law.inputs, x, strict=True)
    return tuple(loss if name == "loss" and loss is not None else c for name, c in pairs)


def _with_error_draws(
    runs: Runs, stage: Stage, known: _Points, fit: FitResult, loss: Stage, settings: Settings
) -> Stage:
    """Add the refits of an error law, and its predictions where there is a loss law."""
    law, used, sigma = fit.law, stage.used, stage.sigma
    if sigma is None:
        return stage
    seed, count, name = settings.seed, settings.draws, stage.response
    scale = sigma.sample(stream(seed, "sigma", "error", runs.dataset, name), count)[:, None]
    x, chained = known.x, "loss" in law.inputs
    if chained and loss.factors is not None:
        moved = runs.losses[loss.response][used] * loss.factors[:, used]
        x = ahead(law, x, moved)
    cells = tuple(cell for cell, inside in zip(runs.cells, used, strict=True) if inside)
    noise = np.hypot(scale, known.sampling) * normals(seed, cells, count, "error", name, "fit")
    redrawn = np.clip(law.predict(fit.theta, x) + noise, 0.0, 1.0)
    theta = known.refit(fit, x, redrawn, seed, "error", runs.dataset, name)
    stage = replace(stage, theta=theta)
    every = inputs(law, runs, name, settings)
    if not chained:
        means = new = law.predict(theta, every)
        centre = np.broadcast_to(fit.predict(*every), means.shape)
        parts = (centre, means, centre)
    elif loss.draws is None or loss.fit_draws is None or loss.point is None:
        return stage
    else:
        both = (loss.fit_draws, loss.draws)
        means, new = (law.predict(theta, ahead(law, every, at)) for at in both)
        scattered = loss.point * loss.draws / loss.fit_draws
        parts = (
            law.predict(fit.theta, ahead(law, every, loss.fit_draws)),
            law.predict(theta, ahead(law, every, loss.point)),
            law.predict(fit.theta, ahead(law, every, scattered)),
        )
    normal = normals(seed, runs.cells, count, "error", name, "new")
    shares = error_shares(parts[0], parts[1], parts[2] + scale * normal, stage.sampling)
    # A cell yet to be measured has about the sampling error of those that were.
    draws = np.clip(new + np.hypot(scale, stage.sampling) * normal, 0.0, 1.0)
    return replace(stage, fit_draws=means, draws=draws, shares=shares)
