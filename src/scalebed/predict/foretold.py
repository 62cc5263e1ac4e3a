"""Runs predicted from other runs of the same data, by the posterior of those."""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.centre import LAW
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Mask
from scalebed.predict.scatter import stream

DRAWS: Final = 1000
_FEWEST: Final = 5
_FEWEST_SIZES: Final = 3


def enough(points: Points) -> bool:
    """Tell whether runs are enough, and of enough sizes, to predict others from."""
    return points.loss.size >= _FEWEST and np.unique(points.sizes).size >= _FEWEST_SIZES


def foretold(
    known: Points, new: Points, normal: Array, given: tuple[Beliefs, LogDensity], name: str
) -> Array:
    """Draw the losses of runs from the posterior of others, (draws, m).

    Parameters
    ----------
    known, new : Points
    normal : array (draws, m)
        Standard normals, the own deviations of the new runs.
    given : pair
        Beliefs, and the scatter as in `scalebed.fit.posterior.fit_posterior`.
    name : str
        Of the stream of random numbers.
    """
    draws = Draws.of(fit_posterior(known, *given), len(normal), stream(0, name))
    value = get_law(LAW).value(draws.theta, (new.params, new.tokens))
    losses: Array = value * (1 + draws.deviations(new, normal))
    return losses


def inside(losses: Array, drawn: Array, level: float) -> Mask:
    """Tell which losses lie inside the intervals of drawn ones; one world a row or one in all."""
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    found: Mask = (low <= losses) & (losses <= high)
    return found
