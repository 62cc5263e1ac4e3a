"""Whether a law predicts forward in compute: the dearer half of its runs from the cheaper half.

Sizes predicted from smaller ones may reach no further in compute than those did, since the smaller
were trained longer. What a target asks of the law is mostly compute, so this is tried apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.fit.posterior import Beliefs, Points
from scalebed.fit.posterior.between import LogDensity
from scalebed.predict.foretold import DRAWS, enough, foretold, inside
from scalebed.predict.scatter import normals

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
    known, new = points.take(below), points.take(~below)
    if below.all() or not enough(known):
        return UNTRIED_HALF
    # Runs of one size may deviate together; one deviation for all of them is the careful case.
    sizes = np.unique(new.sizes, return_inverse=True)[1]
    names = tuple(map(str, range(int(sizes.max()) + 1)))
    normal = normals(0, names, DRAWS, "dearer", "own")[:, sizes]
    value = foretold(known, new, normal, (beliefs, scatter), "dearer")
    hits = inside(new.loss, value, level)
    off = (value / new.loss).mean(1)
    least, most = np.quantile(off, ((1 - _SURE) / 2, (1 + _SURE) / 2))
    # What errs together in the runs errs together in the draws, so their counts are the measure.
    rare = np.mean(inside(value, value, level).sum(1) <= hits.sum()) < 1 - _SURE
    return Dearer(
        tried=float(flops.max() / flops[below].max()),
        rows=int(hits.size),
        inside=int(hits.sum()),
        level=level,
        missed=bool(rare or not least <= 1 <= most),
    )
