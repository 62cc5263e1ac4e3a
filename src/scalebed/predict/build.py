"""Fit a law to the runs of one data set, draw from it and predict: one builder for all stages.

A predicted loss has the fit of its draw and a lack of fit of its own. A predicted error has the
predicted loss and the error law of the same draw, and its own lack of fit and sampling error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scalebed.fit.result import FitRefusedError, FitResult
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Inputs, Law, Mask
from scalebed.predict.bootstrap import bootstrap
from scalebed.predict.clusters import clustered
from scalebed.predict.draws import error_parts, loss_parts, scatter_factors
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import Scatter, choose_sigma, normals, scatter, scatter_of, stream
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Drawn, Measured, Request, Stage, Way, ahead, chained, inputs

Scatters = dict[str, Scatter | None]


def law_of(kind: str, settings: Settings) -> Law:
    """Return the loss law or the error law of the settings."""
    if kind == "loss":
        return get_law(settings.loss_law, "loss")
    return get_law(settings.error_law, ("error", "direct"))


def build_stage(
    runs: Runs,
    response: str,
    scatters: Scatters,
    settings: Settings,
    way: Way,
    loss: Stage | None = None,
    fitted: tuple[Measured, FitResult | str] | None = None,
) -> Stage:
    """Fit one law, draw from it and predict every run.

    Parameters
    ----------
    runs : Runs
    response : str
        Validation set of a loss law; task or average of an error law.
    scatters : dict
        Scatter of every data set about this law, see `scalebed.predict.scatter.choose_sigma`.
    settings : Settings
    way : Way
        How the parameters are drawn.
    loss : Stage, optional
        Loss law of the data set, which makes this an error law. It is chained into one that takes
        the loss; a direct law is a function of the run, and nothing is chained.
    fitted : (Measured, FitResult or str), optional
        What was fitted to already and the fit, or why it was refused; the fit cells of `runs`
        otherwise.
    """
    kind = "loss" if loss is None else "error"
    whole, used = measured_of(runs, response, kind, settings)
    measured, fit = fitted or _fit(runs, whole.take(used))
    apart = runs.independent(used) if used.any() else measured.y.size
    stage = Stage(runs.dataset, response, whole.law.name, None, None, measured.y.size, used, apart)
    if isinstance(fit, str):
        return replace(stage, reason=fit)
    sigma = choose_sigma(runs.dataset, scatters, scatter_of(fit, measured.apart))
    groups = runs.groups(used)
    # A posterior and the delta method do not take the scatter from here, or do not draw it.
    refits = kind == "error" or way is bootstrap
    if sigma is not None and sigma.own and refits and apart < measured.y.size:
        together = clustered(sigma, fit, measured.apart, groups)
        sigma, stage = together or sigma, replace(stage, clustered=together is not None)
    settled = measured if fitted else measured.against(fit, sigma)
    if settings.weights[kind] == "evaluation":
        settled = settled.weighted(fit, sigma)
    if settled is not measured:
        measured, fit = settled, settled.fit()
    seed, count = settings.seed, settings.draws
    scale = None
    if sigma is not None:
        names = ("sigma", kind, runs.dataset, response)
        scale = sigma.sample(stream(seed, *names), count)[:, None]
    stage = replace(stage, fit=fit, point=_point(fit, whole.x, loss))
    shared = sigma.shared if sigma else 0.0
    asked = Request(runs, response, kind, used, measured, fit, scale, loss, count, seed)
    drawn = way(replace(asked, groups=groups, shared=shared))
    if drawn is None:
        return stage
    stage = replace(
        stage,
        theta=drawn.theta,
        method=drawn.method,
        factors=drawn.factors,
        doubts=drawn.doubts,
        evidence=drawn.evidence,
        influence=drawn.influence,
    )
    sampling = _root_mean_square(measured.sampling)
    if drawn.deviations is not None:
        return _with_deviations(replace(stage, sigma=drawn.sigma, sampling=sampling), drawn, whole)
    if scale is None:
        return stage
    stage = replace(stage, sigma=sigma, sampling=sampling)
    normal = normals(seed, runs.cells, count, kind, response, "new")
    return _predicted(stage, fit, drawn.theta, whole.x, loss, (scale, normal))


def _with_deviations(stage: Stage, drawn: Drawn, whole: Measured) -> Stage:
    """Add the predicted losses of a way that draws deviations from the law; points are medians."""
    means = whole.law.predict(drawn.theta, whole.x)
    if drawn.deviations is None:
        return stage
    draws = means * scatter_factors(drawn.deviations)
    parts = loss_parts(means, draws, stage.sampling)
    point = np.median(means, axis=0)
    return replace(stage, point=point, fit_draws=means, draws=draws, parts=parts)


def measured_of(runs: Runs, response: str, kind: str, settings: Settings) -> tuple[Measured, Mask]:
    """Return the values of all runs, and which of them are cells of the fit, (n,)."""
    law = law_of(kind, settings)
    x = inputs(law, runs, response, settings)
    if kind == "loss":
        y = runs.loss(response)
        sampling = runs.loss_sampling.get(response, np.zeros(y.size))
        whole = Measured(law, x, y, sampling, settings.loss_options)
        return whole, runs.fit_loss & whole.known
    y, sampling = runs.errors[response], runs.sampling[response]
    whole = Measured(law, x, y, sampling, settings.error_options)
    return whole, runs.fit_error & whole.known


def _fit(runs: Runs, measured: Measured) -> tuple[Measured, FitResult | str]:
    if runs.mixed:
        return measured, runs.mixed
    try:
        return measured, measured.fit()
    except FitRefusedError as refused:
        return measured, str(refused)


def _point(fit: FitResult, x: Inputs, loss: Stage | None) -> Array | None:
    """Prediction for every run, at the predicted loss; None if the loss law was refused."""
    if not chained(fit.law):
        return fit.predict(*x)
    if loss is None or loss.point is None:
        return None
    return fit.predict(*ahead(fit.law, x, loss.point))


def _root_mean_square(errors: Array) -> float:
    """Return the sampling error of a new run, as that of the fit cells; 0 if none is known."""
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


def _predicted(
    stage: Stage,
    fit: FitResult,
    theta: Array,
    x: Inputs,
    loss: Stage | None,
    noise: tuple[Array, Array],
) -> Stage:
    """Add the predictions of every draw; `noise` is its sigma, and a normal for every run."""
    scale, normal = noise
    if loss is None:
        means = fit.law.predict(theta, x)
        draws = means * scatter_factors(scale * normal)
        parts = loss_parts(means, draws, stage.sampling)
        return replace(stage, fit_draws=means, draws=draws, parts=parts)
    if stage.point is None or (chained(fit.law) and loss.draws is None):
        return stage
    means, new, loss_fit, error_fit, scattered = _carried(fit, theta, x, loss)
    parts = error_parts(loss_fit, error_fit, scattered + scale * normal, stage.sampling)
    # A cell yet to be measured has about the sampling error of those that were.
    draws = np.clip(new + np.hypot(scale, stage.sampling) * normal, 0.0, 1.0)
    return replace(stage, fit_draws=means, draws=draws, parts=parts)


def _carried(fit: FitResult, theta: Array, x: Inputs, loss: Stage) -> list[Array]:
    """Carry the draws of the loss through the error law, (draws, n) each.

    Returns
    -------
    list of array
        Errors at the fitted losses of the draws and at those of the new run; then with only the
        loss law, only the error law, and only the scatter of the new loss moving. For a direct
        law, which takes no loss, the losses change nothing.
    """
    law, point, moved = fit.law, loss.point, None
    if point is not None and loss.draws is not None and loss.fit_draws is not None:
        moved = point * loss.draws / loss.fit_draws
    pairs = (
        (theta, loss.fit_draws),
        (theta, loss.draws),
        (fit.theta, loss.fit_draws),
        (theta, point),
        (fit.theta, moved),
    )
    errors = [law.predict(which, ahead(law, x, at)) for which, at in pairs]
    return [np.broadcast_to(error, errors[0].shape) for error in errors]


def law_scatters(sets: Sequence[Runs], response: str, kind: str, settings: Settings) -> Scatters:
    """Scatter of every data set about its law, from which each takes that of the others.

    Losses are those of the cells that are no targets, errors those of the fit besides, given the
    measured loss.
    """
    scatters = Scatters()
    for runs in sets:
        whole, _ = measured_of(runs, response, kind, settings)
        fitted = runs.fit_loss if kind == "loss" else runs.fit_error
        use = runs.scattered if kind == "loss" else runs.scattered | runs.fit_error
        use = use & runs.same_recipe & whole.known
        known = (whole.law, whole.x, whole.y, whole.apart)
        scatters[runs.dataset] = scatter(*known, use, fitted, whole.options)
    return scatters
