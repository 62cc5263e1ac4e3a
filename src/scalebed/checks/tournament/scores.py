"""Let one entry play one split: fit, predict, and keep every error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scalebed.checks.tournament.batch import fit_many, fit_one
from scalebed.checks.tournament.entries import Entry
from scalebed.checks.tournament.redraw import Fitted, Redraws
from scalebed.checks.tournament.splits import Masks, Split
from scalebed.fit import FitRefusedError, FitResult
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Inputs, Law, Mask
from scalebed.predict.runs import Runs

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


class Predicted(NamedTuple):
    """Losses of all cells of a data set.

    Attributes
    ----------
    measured : array (n,)
    law : array (n,) or None
        Predictions of the study's loss law; None if it is refused.
    redrawn : array (draws, n) or None
        Its predictions if it is fitted to redrawn runs.
    """

    measured: Array
    law: Array | None
    redrawn: Array | None


class _Tried(NamedTuple):
    """A fit with the cells it has to predict: inputs, their redraws, and the truth."""

    fitted: Fitted
    new: Inputs
    redrawn: Inputs
    truth: Array


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


def inputs(
    law: Law, runs: Runs, response: str, use: Mask, loss: str | Array | None = None
) -> Inputs:
    """Return the inputs of a law at the cells used.

    Parameters
    ----------
    law : Law
    runs : Runs
    response : str
        Validation set, task or average the law is about.
    use : bool array (n,)
    loss : str or array (n,), optional
        Validation set whose loss the law takes, or the losses themselves.

    Raises
    ------
    FitRefusedError
        If one is not known.
    """
    columns = []
    for name in law.inputs:
        if name == "loss" and loss is not None and not isinstance(loss, str):
            value = loss
        else:
            value = runs.column(name, response, loss if isinstance(loss, str) else response)
        if not np.all(np.isfinite(value[use])):
            raise FitRefusedError(f"{name.replace('_', ' ')} is not known")
        columns.append(value[use])
    return tuple(columns)


def loss_score(
    entry: Entry,
    split: Split,
    sets: Sequence[Runs],
    response: str,
    redraws: Redraws | None = None,
) -> Score:
    """Errors of a loss law, in per cent of the measured loss."""
    law = get_law(entry.law)
    parts: list[_Tried | Score] = []
    for i, (runs, train, test) in enumerate(zip(sets, split.train, split.test, strict=True)):
        loss = runs.loss(response)
        train, test = train & np.isfinite(loss), test & np.isfinite(loss)
        try:
            x = inputs(law, runs, response, train)
            fit = fit_one(law, x, loss[train], entry.options)
            new = inputs(law, runs, response, test)
        except FitRefusedError as refused:
            parts.append(_nothing(loss[test], runs, refused, redraws))
            continue
        parts.append(_Tried(Fitted(i, train, x, fit), new, new, loss[test]))
    return _scored(parts, redraws)


def error_scores(
    entry: Entry,
    split: Split,
    sets: Sequence[Runs],
    responses: Sequence[str],
    losses: Sequence[Predicted],
    redraws: Redraws | None = None,
) -> list[Score]:
    """Errors of task errors, in percentage points, one score a response.

    Parameters
    ----------
    entry : Entry
    split : Split
    sets : sequence of Runs
    responses : sequence of str
        Tasks and averages.
    losses : sequence of Predicted
        Losses of every data set; an error law is fitted to the measured ones and predicts from
        those of the law.
    redraws : Redraws, optional
        Deviations of the fitted runs; without them nothing is redrawn.
    """
    parts: list[Mapping[str, _Tried | Score]] = []
    masks: tuple[Masks, Masks] = (split.error_train, split.error_test)
    for i, (runs, train, test, loss) in enumerate(zip(sets, *masks, losses, strict=True)):
        if entry.route == "baseline":
            parts.append(
                {name: _baseline(i, runs, name, train, test, redraws) for name in responses}
            )
        else:
            parts.append(_error_part(entry, (i, runs), responses, (train, test), loss, redraws))
    return [_scored([part[name] for part in parts], redraws) for name in responses]


def _error_part(
    entry: Entry,
    data: tuple[int, Runs],
    responses: Sequence[str],
    masks: tuple[Mask, Mask],
    losses: Predicted,
    redraws: Redraws | None,
) -> dict[str, _Tried | Score]:
    """Fits of one data set; responses with the same inputs are fitted together."""
    law, (i, runs), (train, test) = get_law(entry.law), data, masks
    if entry.route == "two-step":
        train = train & np.isfinite(losses.measured)
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name in responses:
        known = np.isfinite(runs.errors[name])
        chance = runs.column("chance", name, name) if "chance" in law.inputs else np.empty(0)
        groups.setdefault((known.tobytes(), chance.tobytes()), []).append(name)
    found: dict[str, _Tried | Score] = {}
    for names in groups.values():
        known = np.isfinite(runs.errors[names[0]])
        use, new = train & known, test & known
        fits: dict[str, FitResult | FitRefusedError]
        try:
            if entry.route == "two-step" and losses.law is None:
                raise FitRefusedError("its loss law is refused")
            x = inputs(law, runs, names[0], use, losses.measured)
            at = inputs(law, runs, names[0], new, losses.law)
            ys = {name: runs.errors[name][use] for name in names}
            fits = fit_many(law, x, ys, entry.options)
        except FitRefusedError as refused:
            fits, x, at = dict.fromkeys(names, refused), (), ()
        ahead = _ahead(law, at, losses.redrawn, new)
        for name, fit in fits.items():
            truth = runs.errors[name][new]
            if isinstance(fit, FitRefusedError):
                found[name] = _nothing(truth, runs, fit, redraws)
            else:
                found[name] = _Tried(Fitted(i, use, x, fit), at, ahead, truth)
    return found


def _ahead(law: Law, new: Inputs, losses: Array | None, use: Mask) -> Inputs:
    """Return the inputs of the predicted cells, the losses redrawn if the law takes them."""
    if losses is None or "loss" not in law.inputs or not new:
        return new
    return tuple(
        losses[:, use] if name == "loss" else column
        for name, column in zip(law.inputs, new, strict=True)
    )


def predicted_losses(
    entry: Entry,
    split: Split,
    sets: Sequence[Runs],
    response: str,
    redraws: Redraws | None = None,
) -> list[Predicted]:
    """Losses of every cell of each data set, as measured and as the loss law predicts them."""
    law = get_law(entry.law)
    found: dict[int, tuple[Fitted, Inputs]] = {}
    for i, (runs, train) in enumerate(zip(sets, split.train, strict=True)):
        loss = runs.loss(response)
        use, every = train & np.isfinite(loss), np.ones(loss.size, dtype=bool)
        try:
            x = inputs(law, runs, response, use)
            fit = fit_one(law, x, loss[use], entry.options)
            found[i] = Fitted(i, use, x, fit), inputs(law, runs, response, every)
        except FitRefusedError:
            continue
    fits = [fitted for fitted, _ in found.values()]
    noise = redraws.noise(fits) if redraws else None
    result = []
    for i, runs in enumerate(sets):
        predicted = again = None
        if i in found:
            fitted, new = found[i]
            predicted = fitted.fit.predict(*new)
            again = redraws.predictions(fitted, noise, new) if redraws and noise else None
        result.append(Predicted(runs.loss(response), predicted, again))
    return result


def _scored(parts: Sequence[_Tried | Score], redraws: Redraws | None) -> Score:
    """Judge the fits of one law to all data sets."""
    fits = [part.fitted for part in parts if isinstance(part, _Tried)]
    noise = redraws.noise(fits) if redraws else None
    scores = []
    for part in parts:
        if isinstance(part, Score):
            scores.append(part)
            continue
        fit, truth = part.fitted.fit, part.truth
        scale = 100 / (truth if fit.law.kind == "loss" else 1.0)
        redrawn, dof = np.empty((0, truth.size)), np.inf
        if redraws and noise:
            again = redraws.predictions(part.fitted, noise, part.redrawn)
            redrawn, dof = _capped((again - truth) * scale), noise.dof
        residuals = 100 * fit.residuals / (fit.fitted if fit.law.kind == "loss" else 1.0)
        errors = _capped((fit.predict(*part.new) - truth) * scale)
        failed = int(not fit.certificate.converged)
        scores.append(Score(errors, residuals, (), 1, failed, redrawn, dof))
    return joined(scores)


def _capped(errors: Array) -> Array:
    size = np.abs(errors)
    return np.where(np.isfinite(size), np.minimum(size, WORST), WORST)


def _nothing(truth: Array, runs: Runs, refused: FitRefusedError, redraws: Redraws | None) -> Score:
    blank = np.full((redraws.draws if redraws else 0, truth.size), np.nan)
    reason = (f"{runs.dataset}: {refused}",)
    return Score(np.full(truth.size, np.nan), np.empty(0), reason, 1, 0, blank, np.inf)


def _baseline(
    i: int, runs: Runs, response: str, train: Mask, test: Mask, redraws: Redraws | None
) -> Score:
    """Score of the fitted run of most compute; redrawn is what its items leave to chance."""
    error = runs.errors[response]
    used, truth = np.flatnonzero(train & np.isfinite(error)), error[test & np.isfinite(error)]
    if not used.size:
        refused = FitRefusedError("no cell to take the error from")
        return _nothing(truth, runs, refused, redraws)
    at = used[np.argmax(runs.flops[used])]
    normal = redraws.cells[i][:, at] if redraws else np.empty(0)
    again = np.clip(error[at] + runs.sampling[response][at] * normal, 0.0, 1.0)
    redrawn = 100 * np.abs(truth - again[:, None])
    return Score(100 * np.abs(truth - error[at]), np.empty(0), (), 1, 0, redrawn, np.inf)
