"""How much single runs decide a posterior, from its draws.

A draw counts for the posterior without a run by one over the density of that run given the others
and the law of the draw (Gelfand, Dey and Chang 1992; weights truncated as in Ionides 2008). Where a
run decides much, few draws are left to say where the law goes without it, and they say too little:
there the posterior is computed without the run.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.fit.influence import Influence
from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.fit.posterior.centre import LAW
from scalebed.fit.posterior.draw import Draws
from scalebed.fit.posterior.grid import Posterior, fit_posterior
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array

MOST: Final = 400
"""Rows up to which it is told: of more, none decides by itself, and time grows with the square."""
_MUCH: Final = 0.3
"""Cook's distance from which on the posterior is computed anew."""
_AGAIN: Final = 4
"""So many times at most."""


def influence(draws: Draws, beliefs: Beliefs) -> Influence | None:
    """Influence of each row on a posterior.

    Parameters
    ----------
    draws : Draws
    beliefs : Beliefs
        Those of the posterior.

    Returns
    -------
    Influence or None
        None above `MOST` rows. Of rows that share what they are off, each is judged given the
        others; where all are independent and nothing is believed beforehand, the numbers are
        those of `scalebed.fit.influence.influence`.

    Notes
    -----
    With P the inverse of the mean covariance of the rows, a row is off by (P r)_i / P_ii given all
    others, with variance scatter^2 / P_ii. Its leverage is the variance of the first over draws in
    units of the second, the effective number of parameters p the sum of the leverages, and Cook's
    distance d' P d / (p scatter^2), d the move of the fitted values.
    """
    posterior = draws.posterior
    points = posterior.points
    if not 1 < points.loss.size <= MOST:
        return None
    precision = np.linalg.inv(posterior.covariance)
    own = np.diag(precision)
    fitted = _fitted(draws, posterior)
    off = (points.loss / points.guess - fitted) @ precision / own
    sd = draws.scatter[:, None] / np.sqrt(own)
    middle, scatter = off.mean(0), float(np.median(draws.scatter))
    leverage = np.clip(np.mean(((off - middle) / sd) ** 2, axis=0), 0.0, 1.0)
    unit = leverage.sum() * scatter**2
    move = _weights(0.5 * (off / sd) ** 2 + np.log(sd)) @ (fitted - fitted.mean(0))
    distance = np.einsum("ij,jk,ik->i", move, precision, move) / unit
    for row in np.argsort(-distance, kind="stable")[:_AGAIN]:
        if distance[row] >= _MUCH:
            moved = _without(posterior, beliefs, int(row), len(fitted)) - fitted.mean(0)
            distance[row] = moved @ precision @ moved / unit
    left = np.sqrt(np.maximum(1 - leverage, 1e-9))
    return Influence(leverage, distance, middle * np.sqrt(own) / (scatter * left))


def _fitted(draws: Draws, posterior: Posterior) -> Array:
    """Value of the law of each draw at the rows of a posterior, in units of its guess."""
    points = posterior.points
    value = get_law(LAW).value(draws.theta, (points.params, points.tokens))
    found: Array = value / points.guess
    return found


def _without(posterior: Posterior, beliefs: Beliefs, row: int, count: int) -> Array:
    """Mean fitted values of the posterior without a row."""
    kept = posterior.points.take(np.arange(posterior.points.loss.size) != row)
    draws = Draws.of(
        fit_posterior(kept, beliefs, posterior.scatter), count, np.random.default_rng([row, count])
    )
    found: Array = _fitted(draws, posterior).mean(0)
    return found


def _weights(log: Array) -> Array:
    """Weights of the draws without each row, (rows, draws), from their logarithms (draws, rows)."""
    weights = np.exp(log - log.max(0))
    weights = np.minimum(weights, weights.mean(0) * np.sqrt(len(log)))
    found: Array = (weights / weights.sum(0)).T
    return found
