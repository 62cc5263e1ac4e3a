"""Joint draws of loss law, error law and predictions for one data set.

The headline interval is a parametric bootstrap. In each draw the losses of the fit cells are drawn
about the fitted law with the lack-of-fit sigma and the loss law is refitted; the same drawn losses
move the points of the error law, whose errors are drawn about its curve, and it is refitted too. A
predicted cell then gets its own lack of fit in the loss, the error law of the same draw, and its
own lack of fit and sampling error in the error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalebed.fit.engine import refit
from scalebed.fit.noise import Scatter, Sigma, choose_sigma, normals, scatter_of, stream
from scalebed.fit.result import FitRefusedError, FitResult, fit_law
from scalebed.fit.runs import Runs
from scalebed.fit.settings import Settings
from scalebed.laws import get_law
from scalebed.laws.base import Array, Mask

# A run whose loss is half or twice the law's is no scatter about the law; the limits keep the heavy
# tails of Student's t with one degree of freedom out of the refits. No 5 % quantile reaches them.
_FACTORS = (0.5, 2.0)


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


def loss_stage(
    runs: Runs, validation: str, grids: dict[str, Scatter | None], settings: Settings
) -> Stage:
    """Fit the loss law to one validation loss of one data set and draw from it."""
    law = get_law(settings.loss_law, "loss")
    loss = runs.loss(validation)
    used = runs.fit_loss & np.isfinite(loss)
    base = (runs.dataset, validation, law.name)
    x = (runs.params[used], runs.tokens[used])
    try:
        if runs.mixed:
            raise FitRefusedError(runs.mixed)
        fit = fit_law(law, x, loss[used])
    except FitRefusedError as refused:
        return Stage(*base, None, str(refused), int(used.sum()), used)
    sigma = choose_sigma(runs.dataset, grids, scatter_of(fit, np.zeros(1)))
    point = fit.predict(runs.params, runs.tokens)
    if sigma is None:
        return Stage(*base, fit, None, int(used.sum()), used, point=point)
    seed, count = settings.seed, settings.draws
    scale = sigma.sample(stream(seed, "sigma", "loss", runs.dataset, validation), count)[:, None]
    factors = [
        np.clip(1 + scale * normals(seed, runs.cells, count, "loss", validation, which), *_FACTORS)
        for which in ("fit", "new")
    ]
    theta = refit(law, x, fit.fitted * factors[0][:, used], fit.domain).theta
    means = law.predict(theta, (runs.params, runs.tokens))
    return Stage(
        *base,
        fit,
        None,
        int(used.sum()),
        used,
        sigma=sigma,
        theta=theta,
        point=point,
        fit_draws=means,
        draws=means * factors[1],
        factors=factors[0],
    )


def error_stage(
    runs: Runs, response: str, loss: Stage, grids: dict[str, Scatter | None], settings: Settings
) -> Stage:
    """Fit the error law of one response and chain the draws of the loss law through it.

    `point` is the error law at the predicted loss; it is None if the loss law was refused.
    """
    law = get_law(settings.error_law, "error")
    measured, error = runs.loss(loss.response), runs.errors[response]
    used = runs.fit_error & np.isfinite(measured) & np.isfinite(error)
    base = (runs.dataset, response, law.name)
    try:
        if runs.mixed:
            raise FitRefusedError(runs.mixed)
        fit = fit_law(law, (measured[used],), error[used])
    except FitRefusedError as refused:
        return Stage(*base, None, str(refused), int(used.sum()), used)
    sampling = runs.sampling[response][used]
    sigma = choose_sigma(runs.dataset, grids, scatter_of(fit, sampling))
    point = None if loss.point is None else fit.predict(loss.point)
    stage = Stage(*base, fit, None, int(used.sum()), used, point=point)
    if sigma is None or (loss.fit is not None and loss.factors is None):
        return stage
    stage = replace(stage, sigma=sigma, sampling=float(np.sqrt(np.mean(sampling**2))))
    return _with_error_draws(runs, stage, fit, loss, settings)


def _with_error_draws(
    runs: Runs, stage: Stage, fit: FitResult, loss: Stage, settings: Settings
) -> Stage:
    """Add the refits of an error law, and its predictions where there is a loss law."""
    law, used, sigma = fit.law, stage.used, stage.sigma
    if sigma is None:
        return stage
    seed, count, name = settings.seed, settings.draws, stage.response
    scale = sigma.sample(stream(seed, "sigma", "error", runs.dataset, name), count)[:, None]
    points = np.broadcast_to(runs.losses[loss.response][used], (count, stage.points))
    if loss.factors is not None:
        points = points * loss.factors[:, used]
    cells = tuple(cell for cell, inside in zip(runs.cells, used, strict=True) if inside)
    sampling = runs.sampling[name][used]
    noise = np.hypot(scale, sampling) * normals(seed, cells, count, "error", name, "fit")
    errors = np.clip(law.predict(fit.theta, (points,)) + noise, 0.0, 1.0)
    theta = refit(law, (points,), errors, fit.domain).theta
    stage = replace(stage, theta=theta)
    if loss.draws is None or loss.fit_draws is None:
        return stage
    # A cell yet to be measured has about the sampling error of those that were.
    noise = np.hypot(scale, stage.sampling)
    noise = noise * normals(seed, runs.cells, count, "error", name, "new")
    draws = np.clip(law.predict(theta, (loss.draws,)) + noise, 0.0, 1.0)
    return replace(stage, fit_draws=law.predict(theta, (loss.fit_draws,)), draws=draws)
