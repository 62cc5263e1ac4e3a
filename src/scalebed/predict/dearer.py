"""Whether a law predicts forward in compute: the dearer half of its runs from the cheaper half.

Sizes predicted from smaller ones may reach no further in compute than those did, since the smaller
were trained longer. What a target asks of the law is mostly compute, so this is tried apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.centre import LAW
from scalebed.laws import get_law
from scalebed.predict.scatter import normals, stream

_FEWEST: Final = 5
_FEWEST_SIZES: Final = 3
_DRAWS: Final = 1000
_SURE: Final = 0.99
"""Level of the interval outside of which the dearer half counts as missed."""


@dataclass(frozen=True)
class Dearer:
    """What became of the dearer half.

    Attributes
    ----------
    tried : float
        Factor of 6 N D that the dearest run lies beyond the cheaper half; 1 where it was not tried.
    rows, inside : int
        Runs that were predicted, and how many lay inside their intervals.
    level : float
    missed : bool
        Whether the mean deviation of the dearer half lies outside of its 99 % interval, or so few
        of its runs lie inside that less than 1 % of the draws would have as few.
    """

    tried: float = 1.0
    rows: int = 0
    inside: int = 0
    level: float = 0.9
    missed: bool = False

    @property
    def words(self) -> str:
        """What is said of it; empty where it was not tried."""
        if not self.rows:
            return ""
        return (
            f"of the dearer half, {self.rows} runs up to {self.tried:.3g} times the compute of the "
            f"cheaper, {self.inside} inside {self.level:.0%} when predicted from it"
        )


UNTRIED_HALF: Final = Dearer()


def dearer(points: Points, beliefs: Beliefs, scatter: LogDensity, level: float) -> Dearer:
    """Predict the dearer half of the runs from the cheaper half.

    Parameters
    ----------
    points : Points
    beliefs : Beliefs
    scatter : callable
        As in `scalebed.fit.posterior.fit_posterior`.
    level : float
        Of the intervals.
    """
    flops = 6 * points.params * points.tokens
    # Runs of equal compute stay together, on the cheaper side.
    below = flops <= np.sort(flops)[(flops.size - 1) // 2]
    few = below.sum() < _FEWEST or np.unique(points.sizes[below]).size < _FEWEST_SIZES
    if few or below.all():
        return UNTRIED_HALF
    cheap, new = points.take(below), points.take(~below)
    draws = Draws.of(fit_posterior(cheap, beliefs, scatter), _DRAWS, stream(0, "dearer"))
    # Runs of one size may deviate together; one deviation for all of them is the careful case.
    sizes = np.unique(new.sizes, return_inverse=True)[1]
    names = tuple(map(str, range(int(sizes.max()) + 1)))
    normal = normals(0, names, _DRAWS, "dearer", "own")[:, sizes]
    law = get_law(LAW).value(draws.theta, (new.params, new.tokens))
    value = law * (1 + draws.deviations(new, normal))
    tails = (1 - level) / 2, (1 + level) / 2
    low, high = np.quantile(value, tails, axis=0)
    inside = (low <= new.loss) & (new.loss <= high)
    off = (value / new.loss).mean(1)
    least, most = np.quantile(off, ((1 - _SURE) / 2, (1 + _SURE) / 2))
    # What errs together in the runs errs together in the draws, so their counts are the measure.
    counts = ((low <= value) & (value <= high)).sum(1)
    rare = np.mean(counts <= inside.sum()) < 1 - _SURE
    return Dearer(
        tried=float(flops.max() / flops[below].max()),
        rows=int(inside.size),
        inside=int(inside.sum()),
        level=level,
        missed=bool(rare or not least <= 1 <= most),
    )
