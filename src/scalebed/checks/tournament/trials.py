"""Let one entry try one split: fit every data set, and keep what it has to predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scalebed.checks.tournament.batch import fit_many, fit_one
from scalebed.checks.tournament.believed import believe
from scalebed.checks.tournament.entries import Entry
from scalebed.checks.tournament.redraw import Fitted, Redraws
from scalebed.checks.tournament.splits import Masks, Split
from scalebed.fit import FitRefusedError, FitResult
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Inputs, Law, Mask
from scalebed.predict.runs import Runs


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


class Tried(NamedTuple):
    """A fit, the inputs of what it has to predict, the same with the losses redrawn, the truth."""

    fitted: Fitted
    new: Inputs
    redrawn: Inputs
    truth: Array


class Last(NamedTuple):
    """No fit but one run, by its data set and cell: its error is what is predicted."""

    at: int
    cell: int
    error: float
    truth: Array


class Refused(NamedTuple):
    """A fit that was refused: ``data set: reason``, and what it would have had to predict."""

    reason: str
    truth: Array


Trial = Tried | Last | Refused


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


def try_losses(entry: Entry, split: Split, sets: Sequence[Runs], response: str) -> list[Trial]:
    """Fit a loss law to every data set."""
    law = get_law(entry.law)
    known = [np.isfinite(runs.loss(response)) for runs in sets]
    uses = [train & finite for train, finite in zip(split.train, known, strict=True)]
    posteriors = believe(entry.options, sets, uses, response) if entry.posterior else {}
    found: list[Trial] = []
    for i, (runs, use, test) in enumerate(zip(sets, uses, split.test, strict=True)):
        loss, test = runs.loss(response), test & known[i]
        one: Fitted | str | None = posteriors.get(i)
        try:
            if one is None:
                x = inputs(law, runs, response, use)
                one = Fitted(i, use, x, fit_one(law, x, loss[use], entry.options))
            elif isinstance(one, str):
                raise FitRefusedError(one)
            new = inputs(law, runs, response, test)
        except FitRefusedError as refused:
            found.append(Refused(f"{runs.dataset}: {refused}", loss[test]))
            continue
        found.append(Tried(one, new, new, loss[test]))
    return found


def predict_losses(
    entry: Entry,
    split: Split,
    sets: Sequence[Runs],
    response: str,
    redraws: Redraws | None = None,
) -> list[Predicted]:
    """Losses of every cell of each data set, as measured and as the loss law predicts them."""
    law, tried = get_law(entry.law), try_losses(entry, split, sets, response)
    noise = (
        redraws.noise([one.fitted for one in tried if isinstance(one, Tried)]) if redraws else None
    )
    result = []
    for runs, one in zip(sets, tried, strict=True):
        predicted = again = None
        if isinstance(one, Tried):
            every = np.ones(len(runs.cells), dtype=bool)
            new = inputs(law, runs, response, every)
            predicted = one.fitted.predict(new)
            again = redraws.predictions(one.fitted, noise, new) if redraws and noise else None
        result.append(Predicted(runs.loss(response), predicted, again))
    return result


def try_errors(
    entry: Entry,
    split: Split,
    sets: Sequence[Runs],
    responses: Sequence[str],
    losses: Sequence[Predicted],
) -> dict[str, list[Trial]]:
    """Fit tasks and averages of every data set.

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
    """
    parts: list[Mapping[str, Trial]] = []
    masks: tuple[Masks, Masks] = (split.error_train, split.error_test)
    for i, (runs, train, test, loss) in enumerate(zip(sets, *masks, losses, strict=True)):
        if entry.route == "baseline":
            parts.append({name: _last((i, runs), name, train, test) for name in responses})
        else:
            parts.append(_tried(entry, (i, runs), responses, (train, test), loss))
    return {name: [part[name] for part in parts] for name in responses}


def _tried(
    entry: Entry,
    data: tuple[int, Runs],
    responses: Sequence[str],
    masks: tuple[Mask, Mask],
    losses: Predicted,
) -> dict[str, Trial]:
    """Fit one data set; responses with the same inputs are fitted together."""
    law, (i, runs), (train, test) = get_law(entry.law), data, masks
    if entry.route == "two-step":
        train = train & np.isfinite(losses.measured)
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name in responses:
        known = np.isfinite(runs.errors[name])
        chance = runs.column("chance", name, name) if "chance" in law.inputs else np.empty(0)
        groups.setdefault((known.tobytes(), chance.tobytes()), []).append(name)
    found: dict[str, Trial] = {}
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
                found[name] = Refused(f"{runs.dataset}: {fit}", truth)
            else:
                found[name] = Tried(Fitted(i, use, x, fit), at, ahead, truth)
    return found


def _ahead(law: Law, new: Inputs, losses: Array | None, use: Mask) -> Inputs:
    """Return the inputs of the predicted cells, the losses redrawn if the law takes them."""
    if losses is None or "loss" not in law.inputs or not new:
        return new
    return tuple(
        losses[:, use] if name == "loss" else column
        for name, column in zip(law.inputs, new, strict=True)
    )


def _last(data: tuple[int, Runs], response: str, train: Mask, test: Mask) -> Trial:
    """Take the fitted run of most compute."""
    i, runs = data
    error = runs.errors[response]
    used, truth = np.flatnonzero(train & np.isfinite(error)), error[test & np.isfinite(error)]
    if not used.size:
        return Refused(f"{runs.dataset}: no cell to take the error from", truth)
    cell = int(used[np.argmax(runs.flops[used])])
    return Last(i, cell, float(error[cell]), truth)
