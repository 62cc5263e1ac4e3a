"""Judge what one entry tried on a split: every error, and the errors of redrawn fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.checks.tournament.redraw import Noise, Redraws
from scalebed.checks.tournament.trials import Last, Refused, Trial, Tried
from scalebed.laws.forms.base import Array

WORST = 100.0
"""Errors above this count as this: such a prediction is useless, however far off it is."""


@dataclass(frozen=True)
class Score:
    """What an entry did on a split.

    Attributes
    ----------
    errors : array (targets,)
        Absolute error of every prediction, relative and in per cent for a loss, in percentage
        points for an error, at most `WORST`; NaN where the fit was refused. All entries of a split
        and response have the same targets in the same order.
    in_sample : array
        Residuals at the fitted points, in the same unit.
    refused : tuple of str
        ``data set: reason`` of every refused fit.
    fits, unconverged : int
        Fits that were tried, and those that did not end at an optimum.
    redrawn : array (draws, targets)
        The errors of laws fitted to redrawn runs, see `scalebed.checks.tournament.redraw`.
    dof : float
        Degrees of freedom of the scatter they were redrawn with.
    """

    errors: Array
    in_sample: Array
    refused: tuple[str, ...]
    fits: int
    unconverged: int
    redrawn: Array
    dof: float


def joined(scores: Iterable[Score]) -> Score:
    """One score of several, one after the other."""
    parts = list(scores)
    return Score(
        np.concatenate([part.errors for part in parts]),
        np.concatenate([part.in_sample for part in parts]),
        tuple(reason for part in parts for reason in part.refused),
        sum(part.fits for part in parts),
        sum(part.unconverged for part in parts),
        np.concatenate([part.redrawn for part in parts], axis=1),
        min(part.dof for part in parts),
    )


def judge(
    trials: Sequence[Trial], redraws: Redraws | None = None, noise: Noise | None = None
) -> Score:
    """Score of one law on all data sets.

    Parameters
    ----------
    trials : sequence of Trial
        One a data set.
    redraws : Redraws, optional
        Deviations of the fitted runs; without them nothing is redrawn.
    noise : Noise, optional
        Scatter of the fitted runs; that about this law itself where it is not known.
    """
    if redraws and not (noise and noise.dof):
        noise = redraws.noise([one.fitted for one in trials if isinstance(one, Tried)])
    return joined(_judged(one, redraws, noise) for one in trials)


def _judged(one: Trial, redraws: Redraws | None, noise: Noise | None) -> Score:
    draws, truth = redraws.draws if redraws else 0, one.truth
    dof = noise.dof if noise else np.inf
    again = np.empty((0, truth.size))
    if isinstance(one, Refused):
        nothing = np.full((draws, truth.size), np.nan)
        return Score(np.full(truth.size, np.nan), np.empty(0), (one.reason,), 1, 0, nothing, np.inf)
    if isinstance(one, Last):
        if redraws and noise:
            again = np.abs(redraws.error(one.at, one.cell, one.error, noise)[:, None] - truth)
        return Score(100 * np.abs(truth - one.error), np.empty(0), (), 1, 0, 100 * again, dof)
    fit = one.fitted.fit
    relative = fit.law.kind == "loss"
    scale = 100 / (truth if relative else 1.0)
    if redraws and noise:
        again = _size((redraws.predictions(one.fitted, noise, one.redrawn) - truth) * scale)
    errors = _size((one.fitted.predict(one.new) - truth) * scale)
    residuals = 100 * fit.residuals / (fit.fitted if relative else 1.0)
    return Score(errors, residuals, (), 1, int(not fit.certificate.converged), again, dof)


def _size(errors: Array) -> Array:
    """Return absolute errors, limited."""
    size = np.abs(errors)
    return np.where(np.isfinite(size), np.minimum(size, WORST), WORST)
