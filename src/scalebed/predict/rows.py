"""From fitted stages to the rows of the tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalebed.fit.influence import influence
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Inputs, Law
from scalebed.predict.draws import PARTS, interval_of, number_or_none, one_sigma
from scalebed.predict.runs import Runs
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Stage, chained, inputs
from scalebed.predict.words import evidence_words, method, numbers_of, prediction_words, verdict

Row = dict[str, Any]


def fit_id(stage: Stage, kind: str) -> str:
    """Key of a fit: kind/law/data set/response."""
    return f"{kind}/{stage.law}/{stage.dataset}/{stage.response}"


def fit_row(stage: Stage, runs: Runs, kind: str) -> Row:
    """One row of table fits."""
    parameters = len(get_law(stage.law).parameters)
    row: Row = {
        "fit": fit_id(stage, kind),
        "kind": kind,
        "law": stage.law,
        "dataset": stage.dataset,
        "response": stage.response,
        "points": stage.points,
        "parameters": parameters,
        "degrees_of_freedom": stage.points - parameters,
        "rmse": None,
        "sigma": stage.sigma.value if stage.sigma else None,
        "sigma_source": stage.sigma.source if stage.sigma else "none: nothing to estimate it from",
        "objective": None,
        "converged": False,
        "gradient": None,
        "condition": None,
        "effective_parameters": None,
        "minima": 0,
        "starts": 0,
        "starts_agreeing": 0,
        "bounds_hit": "",
        "flops": runs.spent(stage.used),
        "status": "refused",
        "reason": stage.reason,
        "numbers": numbers_of(stage, runs),
        "evidence": evidence_words(stage),
        "verdict": f"refused: {stage.reason}",
    }
    if stage.fit is None:
        return row | {"sigma_source": "none: the fit was refused"}
    certificate = stage.fit.certificate
    return row | {
        "rmse": stage.fit.rmse,
        "degrees_of_freedom": certificate.degrees_of_freedom,
        "objective": stage.fit.options.objective,
        "converged": certificate.converged,
        "gradient": number_or_none(certificate.gradient),
        "condition": number_or_none(certificate.condition),
        "effective_parameters": certificate.effective_parameters,
        "minima": certificate.minima,
        "starts": certificate.starts,
        "starts_agreeing": certificate.starts_agreeing,
        "bounds_hit": ", ".join(certificate.bounds_hit),
        "status": "fitted",
        "verdict": verdict(numbers_of(stage, runs), evidence_words(stage)),
    }


def influence_rows(stage: Stage, runs: Runs, kind: str, settings: Settings) -> list[Row]:
    """How much each cell decides a fit; nothing for a posterior of hundreds of runs."""
    columns = stage.influence
    if columns is None:
        # Linearised at one law, a posterior of few runs would seem to go through all of them.
        if stage.fit is None or stage.doubts is not None:
            return []
        every = inputs(stage.fit.law, runs, stage.response, settings)
        x = tuple(column[stage.used] for column in every)
        y = (runs.losses if kind == "loss" else runs.errors)[stage.response][stage.used]
        columns = influence(stage.fit, x, y)
    return [
        {"fit": fit_id(stage, kind), "cell": runs.cells[i]}
        | {name: number_or_none(column[k]) for name, column in columns._asdict().items()}
        for k, i in enumerate(map(int, np.flatnonzero(stage.used)))
        # Nothing is told of a row that was left out.
        if np.isfinite(columns.leverage[k])
    ]


def parameter_rows(stage: Stage, kind: str, level: float) -> list[Row]:
    """Fitted and derived parameters of one fit with their intervals from the draws."""
    if stage.fit is None:
        return []
    found = parameter_values(stage.fit.law, stage.fit.theta, stage.theta, level)
    return [{"fit": fit_id(stage, kind)} | row for row in found]


def parameter_values(law: Law, theta: Array, draws: Array | None, level: float) -> list[Row]:
    """Fitted and derived parameters with their intervals.

    Parameters
    ----------
    law : Law
    theta : array (p,)
    draws : array (draws, p) or None
    level : float
    """
    values = np.concatenate([theta, law.derive(theta)])
    limits = np.full((2, values.size), np.nan)
    if draws is not None:
        samples = np.concatenate([draws, law.derive(draws)], axis=1)
        limits = interval_of(samples, level)
    return [
        {
            "parameter": parameter.name,
            "value": number_or_none(value),
            "lower": number_or_none(low),
            "upper": number_or_none(high),
            "unit": parameter.unit,
        }
        for parameter, value, low, high in zip(
            (*law.parameters, *law.derived), values, *limits, strict=True
        )
    ]


def prediction_rows(
    stage: Stage, runs: Runs, kind: str, loss: Stage | None, settings: Settings
) -> list[Row]:
    """Predictions of one fit for every finished cell of its recipe.

    Parameters
    ----------
    stage : Stage
    runs : Runs
    kind : {"loss", "error"}
    loss : Stage or None
        The loss law that was chained into an error law.
    settings : Settings
    """
    if stage.fit is None or stage.point is None:
        return []
    measured = (runs.losses if kind == "loss" else runs.errors)[stage.response]
    if loss is not None and not chained(get_law(stage.law)):
        loss = None
    used = stage.used if loss is None else stage.used | loss.used
    direct = kind == "error" and loss is None
    # An error law fed the measured loss; a direct law takes none.
    x: Inputs = ()
    if loss is not None:
        x = inputs(stage.fit.law, runs, stage.response, settings)
    flops = runs.spent(used)
    words = method(stage, loss, settings, direct)
    intervals = _intervals(stage, settings.level)
    rows = []
    for i in map(int, np.flatnonzero(runs.same_recipe)):
        role = "fit" if stage.used[i] else "target" if runs.target[i] else "held_out"
        predicted = float(stage.point[i])
        low, high, of_fit, of_noise = (number_or_none(column[i]) for column in intervals)
        truth = number_or_none(measured[i])
        run = (float(runs.params[i]), float(runs.tokens[i]))
        numbers, evidence = prediction_words(stage, loss, runs, run)
        row: Row = {
            "cell": runs.cells[i],
            "dataset": runs.dataset,
            "kind": kind,
            "response": stage.response,
            "law": stage.law,
            "role": role,
            "predicted": predicted,
            "lower": low,
            "upper": high,
            "level": settings.level,
            "measured": truth,
            "relative_error": _relative(predicted, truth),
            "covered": None,
            **_parts(stage, i),
            "share_fit": of_fit,
            "share_noise": of_noise,
            "fit_flops": flops,
            "target_flops": float(runs.flops[i]),
            "flops_ratio": float(runs.flops[i]) / flops,
            "method": words,
            "numbers": numbers,
            "evidence": evidence,
            "verdict": verdict(numbers, evidence),
        }
        if truth is not None and low is not None and high is not None:
            row["covered"] = low <= truth <= high
        rows.append(row | _second_stage(stage, runs, x, i, truth))
    return rows


def _second_stage(stage: Stage, runs: Runs, x: Inputs, i: int, truth: float | None) -> Row:
    """Feed the error law the measured loss, which shows errors of the two stages that cancel."""
    value = None
    one = tuple(column[i : i + 1] for column in x)
    if stage.fit is not None and one and all(np.isfinite(column[0]) for column in one):
        value = float(stage.fit.predict(*one)[0])
    return {
        "predicted_from_measured_loss": value,
        "relative_error_from_measured_loss": _relative(value, truth),
    }


def _intervals(stage: Stage, level: float) -> Array:
    """Lower, upper, standard deviation from the fit and from the noise: shape (4, n)."""
    if stage.draws is None or stage.fit_draws is None or stage.point is None:
        return np.full((4, 0 if stage.point is None else stage.point.size), np.nan)
    parts = [one_sigma(stage.fit_draws), one_sigma(stage.draws - stage.fit_draws)]
    return np.stack([*interval_of(stage.draws, level), *parts])


def _parts(stage: Stage, i: int) -> Row:
    """Split the standard deviation of one prediction by its sources."""
    return {
        f"share_{name}": number_or_none(stage.parts[name][i]) if name in stage.parts else None
        for name in PARTS
    }


def _relative(predicted: float | None, truth: float | None) -> float | None:
    if predicted is None or truth is None or truth == 0:
        return None
    return abs(predicted - truth) / truth
