"""The loss law fitted to all data sets of a study together, beside the separate fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scalebed.fit.pooling.fit import PooledFit, fit_pooled, refit_pooled
from scalebed.fit.pooling.spread import SPREADS, Choice, choose_spread
from scalebed.fit.pooling.stacked import Points
from scalebed.fit.result import FitRefusedError
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array
from scalebed.predict.draws import interval_of, number_or_none, scatter_factors
from scalebed.predict.pooled_noise import pooled_noise
from scalebed.predict.rows import Row, parameter_values
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import normals, stream
from scalebed.predict.settings import Pool, Settings
from scalebed.predict.stages import Stage

# Refits of all data sets together are slow, and a 90 % interval of 1,000 draws is good to 2 %.
_DRAWS = 1000
_CONVERGED = 1e-6


def pool_rows(
    sets: Sequence[Runs], stages: Sequence[Stage], settings: Settings
) -> dict[str, list[Row]]:
    """Fit all data sets together and predict every cell.

    Parameters
    ----------
    sets : sequence of Runs
    stages : sequence of Stage
        The separate fits of the loss law to the same loss, which bring the scatter of runs.
    settings : Settings

    Returns
    -------
    dict
        Rows of ``pooling``, ``pooled_parameters`` and ``pooled_predictions``; none without
        `Settings.pool`.
    """
    empty: dict[str, list[Row]] = {
        "pooling": [],
        "pooled_parameters": [],
        "pooled_predictions": [],
    }
    pool = settings.pool
    if pool is None:
        return empty
    inside = [
        (runs, stage)
        for runs, stage in zip(sets, stages, strict=True)
        if stage.used.any() and runs.mixed is None
    ]
    if len(inside) < 2:
        # Data sets whose cells all failed do not take the study down.
        reason = f"pooling needs two data sets or more with fit cells, found {len(inside)}"
        empty["pooling"] = [_ladder_row(settings, pool, reason=reason)]
        return empty
    try:
        points = [_points(runs, stage, settings) for runs, stage in inside]
        law = get_law(settings.loss_law, "loss")
        choice = None
        if pool.spread == "auto":
            groups = [runs.groups(stage.used) for runs, stage in inside]
            known = (law, points, pool.parameters, pool.options)
            choice = choose_spread(*known, groups=groups)
        spread = choice.spread if choice else float(pool.spread)
        fit = fit_pooled(law, points, pool.parameters, spread, pool.options)
    except FitRefusedError as refused:
        empty["pooling"] = [_ladder_row(settings, pool, reason=str(refused))]
        return empty
    theta = _draws(fit, inside, points, settings)
    verdict = _verdict(fit, [stage for _, stage in inside])
    return {
        "pooling": _ladder(settings, pool, choice, fit, verdict),
        "pooled_parameters": [
            row
            for s, (runs, _) in enumerate(inside)
            for row in _parameters(fit, runs, s, theta, settings)
        ],
        "pooled_predictions": [
            row
            for s, (runs, stage) in enumerate(inside)
            for row in _predictions(fit, runs, stage, s, theta, verdict, settings)
        ],
    }


def _points(runs: Runs, stage: Stage, settings: Settings) -> Points:
    law = get_law(settings.loss_law, "loss")
    loss = runs.loss(stage.response)
    x = [runs.column(name, stage.response, stage.response)[stage.used] for name in law.inputs]
    return Points(tuple(x), loss[stage.used])


def _verdict(fit: PooledFit, stages: Sequence[Stage]) -> str:
    dof = sum(stage.independent for stage in stages) - fit.parameters
    if fit.gradient > _CONVERGED:
        return f"doubtful: not converged (gradient {fit.gradient:.1e})"
    if dof <= 2:
        return f"doubtful: degrees of freedom: {dof}, so its residuals hardly show lack of fit"
    return "certified"


def _draws(
    fit: PooledFit,
    inside: Sequence[tuple[Runs, Stage]],
    points: Sequence[Points],
    settings: Settings,
) -> Array | None:
    """Refits with the scatter of the separate fits, (draws, sets, p)."""
    if any(stage.sigma is None for _, stage in inside):
        return None
    count = min(settings.draws, _DRAWS)
    samples = []
    noises = pooled_noise(inside, settings.seed, count)
    for s, ((runs, stage), noise) in enumerate(zip(inside, noises, strict=True)):
        scale = _scale(runs, stage, settings, count)
        fitted = fit.law.predict(fit.theta[s], points[s].x)
        samples.append(Points(points[s].x, fitted * scatter_factors(scale * noise)))
    pool = settings.pool
    return refit_pooled(fit, samples, pool.options if pool else None)


def _scale(runs: Runs, stage: Stage, settings: Settings, count: int) -> Array:
    if stage.sigma is None:
        return np.zeros((count, 1))
    generator = stream(settings.seed, "sigma", "pooled", runs.dataset, stage.response)
    return stage.sigma.sample(generator, count)[:, None]


def _ladder_row(settings: Settings, pool: Pool, **found: Any) -> Row:
    row: Row = {
        "response": settings.loss,
        "law": settings.loss_law,
        "pooled": ", ".join(pool.parameters),
        "objective": pool.objective,
        "spread": None,
        "chosen": False,
        "error": None,
        "standard_error": None,
        "cells": None,
        "reason": None,
        "verdict": None,
    }
    if found.get("reason"):
        row["verdict"] = f"refused: {found['reason']}"
    return row | found


def _ladder(
    settings: Settings, pool: Pool, choice: Choice | None, fit: PooledFit, verdict: str
) -> list[Row]:
    """One row for every spread that was tried; infinity is written as None."""
    if choice is None:
        return [_ladder_row(settings, pool, spread=fit.spread, chosen=True, verdict=verdict)]
    return [
        _ladder_row(
            settings,
            pool,
            spread=number_or_none(float(spread)),
            chosen=bool(spread == fit.spread),
            error=float(error),
            standard_error=float(uncertain),
            cells=choice.cells,
            verdict=verdict if spread == fit.spread else None,
        )
        for spread, error, uncertain in zip(
            SPREADS, choice.errors, choice.standard_errors, strict=True
        )
    ]


def _parameters(
    fit: PooledFit, runs: Runs, s: int, theta: Array | None, settings: Settings
) -> list[Row]:
    draws = None if theta is None else theta[:, s]
    found = parameter_values(fit.law, fit.theta[s], draws, settings.level)
    return [
        {"dataset": runs.dataset, "pooled": row["parameter"] in fit.pooled} | row for row in found
    ]


def _predictions(
    fit: PooledFit,
    runs: Runs,
    stage: Stage,
    s: int,
    theta: Array | None,
    verdict: str,
    settings: Settings,
) -> list[Row]:
    law = fit.law
    x = tuple(runs.column(name, stage.response, stage.response) for name in law.inputs)
    point = law.predict(fit.theta[s], x)
    limits = np.full((2, point.size), np.nan)
    if theta is not None:
        count = len(theta)
        scale = _scale(runs, stage, settings, count)
        noise = normals(settings.seed, runs.cells, count, "pooled", stage.response, "new")
        samples = law.predict(theta[:, s], x) * scatter_factors(scale * noise)
        limits = interval_of(samples, settings.level)
    measured = runs.loss(stage.response)
    rows = []
    for i in map(int, np.flatnonzero(runs.same_recipe)):
        truth, low, high = (number_or_none(column[i]) for column in (measured, *limits))
        known = truth is not None
        rows.append(
            {
                "cell": runs.cells[i],
                "dataset": runs.dataset,
                "response": stage.response,
                "law": law.name,
                "role": "fit" if stage.used[i] else "target" if runs.target[i] else "held_out",
                "predicted": float(point[i]),
                "lower": low,
                "upper": high,
                "level": settings.level,
                "measured": truth,
                "relative_error": abs(float(point[i]) / measured[i] - 1) if known else None,
                "covered": None
                if truth is None or low is None or high is None
                else low <= truth <= high,
                "verdict": verdict,
            }
        )
    return rows
