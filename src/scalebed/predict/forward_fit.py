"""What the data say of a law that is fitted by least squares, or another objective."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from scalebed.fit.influence import outlying
from scalebed.fit.posterior.points import size_codes
from scalebed.fit.result import FitRefusedError, FitResult
from scalebed.fit.sensitivity import sensitivity, unit
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.predict.build import measured_of
from scalebed.predict.evidence import Evidence, bends, lack_of_fit, reach
from scalebed.predict.forward import FEW_SIZES, Forward, Rung, rungs_of
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import scatter_of
from scalebed.predict.settings import Settings
from scalebed.predict.stages import Measured, Stage


def with_evidence(stage: Stage, runs: Runs, kind: str, settings: Settings) -> Stage:
    """Add what the data say of the law, unless it was refused or the way to draw has said it."""
    if stage.fit is None or stage.evidence is not None:
        return stage
    whole, _ = measured_of(runs, stage.response, kind, settings)
    return replace(stage, evidence=evidence_of(stage, runs, whole.take(stage.used), settings.level))


def evidence_of(stage: Stage, runs: Runs, measured: Measured, level: float) -> Evidence | None:
    """Collect what the points of a stage say of its law; None if it was refused.

    Parameters
    ----------
    stage : Stage
    runs : Runs
    measured : Measured
        What its law was fitted to, in the order of the cells used.
    level : float
        Of the intervals that predictions inside the data are held against.
    """
    if stage.fit is None:
        return None
    used = stage.used
    params, tokens = runs.params[used], runs.tokens[used]
    rest = stage.fit.residuals / unit(stage.fit, stage.fit.fitted)
    count = stage.fit.law.parameters
    design = None if runs.design is None else runs.design[used]
    trunk = None if runs.trunk is None else runs.trunk[used]
    tried = forward_fit(measured, params, level, trunk)
    alone = stage.independent == stage.points
    return Evidence(
        forward=tried,
        largest=float(np.max(6 * params * tokens)),
        tried=reach(params, tokens, tried),
        findings=(
            *(bends(params, tokens, rest, len(count)) if alone else ()),
            *lack_of_fit(design, rest, len(count)),
            *_outlying(stage.fit, runs, stage.used, rest),
        ),
    )


def _outlying(fit: FitResult, runs: Runs, used: Mask, rest: Array) -> list[str]:
    """Name the rows that Huber's fit does not account for; other fits hide theirs."""
    if fit.options.objective != "huber_log":
        return []
    names = [runs.cells[i] for i in map(int, np.flatnonzero(used))]
    found = [f"{names[i]} ({rest[i]:+.1%})" for i in map(int, np.flatnonzero(outlying(fit)))]
    return [f"outlying, so left out of the scatter: {', '.join(found)}"] if found else []


def forward_fit(
    measured: Measured, params: Array, level: float = 0.9, trunk: Index | None = None
) -> Forward:
    """Predict every size from the smaller ones, to first order.

    The mean of r rows of a size lies within t sigma sqrt(1/r + h) of its prediction: sigma and its
    degrees of freedom from the residuals of the smaller sizes, h from their fit. Branches of one
    trunk deviate together, so of them r is the number of trunks.

    Parameters
    ----------
    measured : Measured
    params : array (n,)
        N of the points.
    level : float
    trunk : int array (n,), optional
    """
    found, reason = [], FEW_SIZES
    for below, here in rungs_of(size_codes(params)[0]):
        try:
            fit = measured.take(below).fit()
        except FitRefusedError as refused:
            reason = str(refused)
            continue
        if fit.certificate.degrees_of_freedom < 1:
            reason = "the smaller sizes leave no degree of freedom"
            continue
        count = np.unique(np.arange(params.size)[here] if trunk is None else trunk[here]).size
        found.append(_rung(fit, measured, (below, here), params[here], (level, count)))
    return Forward(tuple(found), level, reason, absolute=measured.law.kind != "loss")


def _rung(
    fit: FitResult,
    measured: Measured,
    rows: tuple[Mask, Mask],
    params: Array,
    asked: tuple[float, int],
) -> Rung:
    """Judge the mean of a size at a level, of which so many rows or trunks are independent."""
    level, count = asked
    below, new = (measured.take(use) for use in rows)
    predicted = fit.predict(*new.x)
    scattered = scatter_of(fit, below.apart)
    dof = scattered.dof
    sigma = np.sqrt(scattered.squares / scattered.dof)
    moves = sensitivity(fit, below.x, new.x).mean(0)
    scale = float(unit(fit, predicted).mean())
    sd = scale * float(sigma * np.sqrt(1 / count + moves @ moves))
    off = float(new.y.mean() - predicted.mean())
    inside = abs(off) <= stdtrit(dof, (1 + level) / 2) * sd
    size = float(np.exp(np.log(params).mean()))
    return Rung(size, new.y.size, off / scale, bool(inside))
