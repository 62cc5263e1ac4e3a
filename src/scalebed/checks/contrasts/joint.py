"""Draw two data sets together where runs that are alike deviate together.

The draws of each data set stay what they are; which of one goes with which of the other follows a
normal copula of the values compared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scalebed.checks.contrasts.laws import Fitted, Frames, Side
from scalebed.laws.forms.base import Array
from scalebed.predict.build import measured_of
from scalebed.predict.loss_stages import posteriors
from scalebed.predict.luck import Cells, cells_of, normal_scores, together
from scalebed.predict.open_study import StudyFit
from scalebed.predict.runs import Runs
from scalebed.predict.scatter import stream

_MOST = 1000
"""More runs tell the correlation whatever they share within a data set."""


class Joined(NamedTuple):
    """Two sides in an order of their draws in which they belong together.

    Attributes
    ----------
    one, two : Side
    runs : array (draws,)
        Correlation of two new runs that are alike.
    matched : int
        Runs that both data sets have.
    correlation : float
        Of the two predictions, the mean of all draws.
    """

    one: Side
    two: Side
    runs: Array
    matched: int = 0
    correlation: float = 0.0


def joined(one: Side, two: Side, values: tuple[Array, Array], seed: int) -> Joined:
    """Order the draws of the second side so that they go with those of the first.

    Parameters
    ----------
    one, two : Side
        With as many draws each.
    values : pair of arrays (draws,)
        What is compared, in every draw.
    seed : int
    """
    count, matched = len(values[0]), 0
    whole = runs = np.zeros(count)
    rng = stream(seed, "together", one.runs.dataset, two.runs.dataset, one.response)
    for pair in zip(one.cells, two.cells, strict=True):
        found = together(pair)
        if found is not None:
            # The last stage is the one whose scatter a new run has.
            runs = found.correlation.draw(rng, count)
            whole = whole + runs * found.carried(values)
            matched = max(matched, found.sets[0].rest.size)
    if not matched:
        return Joined(one, two, runs)
    whole = np.clip(whole, -1.0, 1.0)
    known = normal_scores(values[0][:, None])[:, 0]
    wanted = whole * known + np.sqrt(1 - whole**2) * rng.standard_normal(count)
    order = np.empty(count, dtype=np.intp)
    order[np.argsort(wanted, kind="stable")] = np.argsort(values[1], kind="stable")
    return Joined(one, two.ordered(order), runs, matched, float(whole.mean()))


def cells(
    study: StudyFit, frames: Frames, runs: Runs, kind: str, fit: Fitted, response: str
) -> Cells | None:
    """Return how the runs of a fit lie about its law; None where nothing tells it."""
    key = (kind, runs.dataset, response)
    if key not in frames.cells:
        frames.cells[key] = _cells(study, frames, runs, kind, fit, response)
    return frames.cells[key]


def _cells(
    study: StudyFit, frames: Frames, runs: Runs, kind: str, fit: Fitted, response: str
) -> Cells | None:
    measured, used = measured_of(runs, response, kind, study.settings)
    covariance = None
    if kind == "loss" and study.settings.interval == "posterior":
        if response not in frames.posteriors:
            frames.posteriors[response] = posteriors(study.runs, response, study.settings)
        found = frames.posteriors[response].get(runs.dataset, "")
        if not isinstance(found, str):
            used = used.copy()
            used[used] = found.kept
            few = np.count_nonzero(used) <= _MOST
            covariance = found.posterior.covariance if few else None
    taken = measured.take(used)
    sampling = float(np.sqrt(np.mean(taken.apart**2))) if used.any() else 0.0
    scatter = float(np.hypot(fit.sigma, sampling))
    return cells_of(runs, used, taken, (fit.law, fit.theta), scatter, covariance)
