"""Let one entry play one split: fit, predict, and keep every error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.checks.tournament.batch import fit_many, fit_one
from scalebed.checks.tournament.entries import Entry
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
    """

    errors: Array
    in_sample: Array
    refused: tuple[str, ...]
    fits: int
    unconverged: int


def joined(scores: Iterable[Score]) -> Score:
    """One score of several, one after the other."""
    parts = list(scores)
    return Score(
        np.concatenate([part.errors for part in parts]) if parts else np.empty(0),
        np.concatenate([part.in_sample for part in parts]) if parts else np.empty(0),
        tuple(reason for part in parts for reason in part.refused),
        sum(part.fits for part in parts),
        sum(part.unconverged for part in parts),
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


def loss_score(entry: Entry, split: Split, sets: Sequence[Runs], response: str) -> Score:
    """Errors of a loss law, in per cent of the measured loss."""
    law, parts = get_law(entry.law), []
    for runs, train, test in zip(sets, split.train, split.test, strict=True):
        loss = runs.loss(response)
        train, test = train & np.isfinite(loss), test & np.isfinite(loss)
        truth = loss[test]
        try:
            fit = fit_one(law, inputs(law, runs, response, train), loss[train], entry.options)
            predicted = fit.predict(*inputs(law, runs, response, test))
        except FitRefusedError as refused:
            parts.append(_nothing(truth, runs, refused))
            continue
        errors = 100 * np.abs(predicted / truth - 1)
        parts.append(_score(errors, 100 * fit.residuals / (loss[train] - fit.residuals), fit))
    return joined(parts)


def error_scores(
    entry: Entry,
    split: Split,
    sets: Sequence[Runs],
    responses: Sequence[str],
    losses: Sequence[tuple[Array, Array | None]],
) -> list[Score]:
    """Errors of task errors, in percentage points, one score a response.

    Parameters
    ----------
    entry : Entry
    split : Split
    sets : sequence of Runs
    responses : sequence of str
        Tasks and averages.
    losses : sequence of (array (n,), array (n,) or None)
        Measured and predicted losses of every data set; an error law is fitted to the one and
        predicts from the other.
    """
    parts: list[dict[str, Score]] = []
    masks: tuple[Masks, Masks] = (split.error_train, split.error_test)
    for runs, train, test, loss in zip(sets, *masks, losses, strict=True):
        if entry.route == "baseline":
            parts.append({name: _baseline(runs, name, train, test) for name in responses})
        else:
            parts.append(_error_part(entry, runs, responses, (train, test), loss))
    return [joined(part[name] for part in parts) for name in responses]


def _error_part(
    entry: Entry,
    runs: Runs,
    responses: Sequence[str],
    masks: tuple[Mask, Mask],
    losses: tuple[Array, Array | None],
) -> dict[str, Score]:
    """Scores of one data set; responses with the same inputs are fitted together."""
    law, (train, test), (measured, predicted) = get_law(entry.law), masks, losses
    if entry.route == "two-step":
        train = train & np.isfinite(measured)
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name in responses:
        known = np.isfinite(runs.errors[name])
        chance = runs.column("chance", name, name) if "chance" in law.inputs else np.empty(0)
        groups.setdefault((known.tobytes(), chance.tobytes()), []).append(name)
    found: dict[str, Score] = {}
    for names in groups.values():
        known = np.isfinite(runs.errors[names[0]])
        use, new = train & known, test & known
        fits: dict[str, FitResult | FitRefusedError]
        try:
            if entry.route == "two-step" and predicted is None:
                raise FitRefusedError("its loss law is refused")
            x = inputs(law, runs, names[0], use, measured)
            at = inputs(law, runs, names[0], new, predicted)
            ys = {name: runs.errors[name][use] for name in names}
            fits = fit_many(law, x, ys, entry.options)
        except FitRefusedError as refused:
            fits, at = dict.fromkeys(names, refused), ()
        for name, fit in fits.items():
            truth = runs.errors[name][new]
            if isinstance(fit, FitRefusedError):
                found[name] = _nothing(truth, runs, fit)
                continue
            errors = 100 * np.abs(fit.predict(*at) - truth)
            found[name] = _score(errors, 100 * fit.residuals, fit)
    return found


def predicted_losses(
    entry: Entry, split: Split, sets: Sequence[Runs], response: str
) -> list[tuple[Array, Array | None]]:
    """Measured loss, and the loss law's prediction for every cell, of each data set."""
    law = get_law(entry.law)
    found: list[tuple[Array, Array | None]] = []
    for runs, train in zip(sets, split.train, strict=True):
        loss = runs.loss(response)
        use, every = train & np.isfinite(loss), np.ones(loss.size, dtype=bool)
        try:
            fit = fit_one(law, inputs(law, runs, response, use), loss[use], entry.options)
            predicted = fit.predict(*inputs(law, runs, response, every))
        except FitRefusedError:
            found.append((loss, None))
            continue
        found.append((loss, predicted))
    return found


def _score(errors: Array, residuals: Array, fit: FitResult) -> Score:
    capped = np.where(np.isfinite(errors), np.minimum(errors, WORST), WORST)
    return Score(capped, residuals, (), 1, int(not fit.certificate.converged))


def _nothing(truth: Array, runs: Runs, refused: FitRefusedError) -> Score:
    blank = np.full(truth.size, np.nan)
    return Score(blank, np.empty(0), (f"{runs.dataset}: {refused}",), 1, 0)


def _baseline(runs: Runs, response: str, train: Mask, test: Mask) -> Score:
    error = runs.errors[response]
    at, truth = np.flatnonzero(train & np.isfinite(error)), error[test & np.isfinite(error)]
    if not at.size:
        return _nothing(truth, runs, FitRefusedError("no cell to take the error from"))
    value = error[at[np.argmax(runs.flops[at])]]
    return Score(100 * np.abs(truth - value), np.empty(0), (), 1, 0)
