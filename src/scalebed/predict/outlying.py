"""Rows that no law with a common scatter accounts for: found by a robust fit, judged by the others.

A robust fit names suspects; the posterior of all other rows predicts them, and those it cannot
account for are left out. Only rows that stand alone: where most rows of a size or of an M
are off the law is wrong there, and its intervals must show it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.centre import LAW
from scalebed.fit.posterior.points import size_codes
from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Mask
from scalebed.predict.draws import one_sigma
from scalebed.predict.scatter import normals, stream

_SUSPECT: Final = 4.0
"""Robust standard deviations from which on a row is suspected."""
_OUT: Final = 8.0
"""Predictive standard deviations from which on a suspect is left out."""
_MOST: Final = 0.15
"""Share of the rows that may be left out: more is no outliers but another law."""
_ALIKE: Final = 3
"""Rows of one size or one token multiplier from which on they show a law that fails there."""
_FEWEST: Final = 8
_DRAWS: Final = 1000
# Of a normal distribution: standard deviation over median absolute deviation.
_MAD: Final = 1.4826


def outlying(points: Points, beliefs: Beliefs, scatter: LogDensity) -> tuple[Mask, Array]:
    """Find rows to leave out.

    Parameters
    ----------
    points : Points
    beliefs : Beliefs
    scatter : callable
        As in `scalebed.fit.posterior.fit_posterior`.

    Returns
    -------
    bool array (n,)
        Rows to leave out.
    array (n,)
        How far each lies from what the others predict, relative to that; 0 where not suspected.
    """
    nothing = np.zeros(points.loss.size, dtype=bool), np.zeros(points.loss.size)
    suspected = _suspects(points)
    if not suspected.any():
        return nothing
    new = points.take(suspected)
    posterior = fit_posterior(points.take(~suspected), beliefs, scatter)
    draws = Draws.of(posterior, _DRAWS, stream(0, "outlying"))
    names = tuple(map(str, range(new.loss.size)))
    apart = draws.deviations(new, normals(0, names, _DRAWS, "outlying", "own"))
    value = get_law(LAW).value(draws.theta, (new.params, new.tokens)) * (1 + apart)
    middle = np.median(value, axis=0)
    left, off = nothing
    off[suspected] = new.loss / middle - 1
    left[suspected] = np.abs(new.loss - middle) > _OUT * one_sigma(value)
    return left, off


def _suspects(points: Points) -> Mask:
    """Rows far from a robust fit; none where they are too few or too many to tell."""
    rows = points.loss.size
    nothing = np.zeros(rows, dtype=bool)
    if rows < _FEWEST:
        return nothing
    law = get_law(LAW)
    try:
        fit = fit_law(law, (points.params, points.tokens), points.loss, Options("huber_log"))
    except FitRefusedError:
        return nothing
    rest = np.log(points.loss / fit.fitted)
    # A robust fit goes through as many points as it has parameters.
    scale = _MAD * float(np.median(np.abs(rest))) * rows / max(rows - len(law.parameters), 1)
    found: Mask = np.abs(rest) > _SUSPECT * max(scale, 1e-6)
    alone = found.sum() <= _MOST * rows and not _together(points, found)
    return found if alone else nothing


def _together(points: Points, found: Mask) -> bool:
    """Whether most rows of one size, or of one token multiplier, are suspected.

    Then it is the law that fails there, and without them it would look better than it is.
    """
    for values in (points.params, points.tokens / points.params):
        codes = size_codes(values)[0]
        rows = np.bincount(codes)
        share = np.bincount(codes, found) / rows
        if np.any((rows >= _ALIKE) & (share > 0.5)):
            return True
    return False
