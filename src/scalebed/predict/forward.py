"""Whether a law predicts forward inside its data: every size from the smaller ones.

Nothing that is to be predicted is looked at. What is compared is the mean deviation of a size,
since runs of one size may deviate together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtrc

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior, known_scatter
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.centre import LAW
from scalebed.fit.posterior.covariance import Covariance
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Index, Mask
from scalebed.predict.scatter import normals, stream

HELD, MISSED, UNTRIED = "held", "missed", "could not be tried"
_FEWEST_SIZES: Final = 3
_MOST: Final = 6
_DRAWS: Final = 1000
_DOUBTED: Final = 0.05
FEW_SIZES: Final = f"fewer than {_FEWEST_SIZES + 1} sizes"


@dataclass(frozen=True)
class Rung:
    """One size, predicted from the smaller ones.

    Attributes
    ----------
    params : float
        Geometric mean of N.
    rows : int
    deviation : float
        Mean of measured over predicted median, less 1; of errors their difference.
    inside : bool
        Whether the mean lies within its interval.
    """

    params: float
    rows: int
    deviation: float
    inside: bool


@dataclass(frozen=True)
class Forward:
    """What the rungs say together."""

    rungs: tuple[Rung, ...]
    level: float
    untried: str = FEW_SIZES
    """Why there are no rungs."""
    absolute: bool = False
    """Whether deviations are those of errors, not relative."""

    @property
    def verdict(self) -> str:
        """`HELD`; `MISSED` where so few inside would be rare; `UNTRIED` without rungs."""
        if not self.rungs:
            return UNTRIED
        outside = sum(not rung.inside for rung in self.rungs)
        rare = improbable(outside, len(self.rungs), self.level)
        # The largest size is the nearest to what is asked, so it counts by itself.
        missed = outside and (rare or not self.rungs[-1].inside)
        return MISSED if missed else HELD

    @property
    def words(self) -> str:
        """A sentence for the reader."""
        return f"{self.verdict}: {self.found}"

    @property
    def found(self) -> str:
        """What the verdict rests on."""
        if not self.rungs:
            return self.untried
        inside, last = sum(rung.inside for rung in self.rungs), self.rungs[-1]
        sizes = f"{len(self.rungs)} size{'s' if len(self.rungs) != 1 else ''}"
        return (
            f"of {sizes} predicted from the smaller ones, {inside} "
            f"inside {self.level:.0%}; the largest is {self._off(last.deviation)} off"
        )

    def _off(self, deviation: float) -> str:
        return f"{100 * deviation:+.2f} points" if self.absolute else f"{deviation:+.2%}"


def improbable(outside: int, count: int, level: float) -> bool:
    """Tell whether so many of a count would rarely lie outside intervals of a level."""
    return bool(outside and bdtrc(outside - 1, count, 1 - level) < _DOUBTED)


def forward(
    points: Points,
    beliefs: Beliefs | None = None,
    scatter: LogDensity | None = None,
    level: float = 0.9,
) -> Forward:
    """Predict every size from the smaller ones, at most the largest few.

    Parameters
    ----------
    points : Points
    beliefs : Beliefs, optional
    scatter : callable, optional
        As in `scalebed.fit.posterior.fit_posterior`.
    level : float
    """
    beliefs = beliefs or Beliefs()
    rungs = [
        _rung(points, below, here, (beliefs, scatter or known_scatter(beliefs)), level)
        for below, here in rungs_of(points.sizes)
    ]
    return Forward(tuple(rungs), level)


def rungs_of(sizes: Index) -> list[tuple[Mask, Mask]]:
    """Rows below, and rows of each size that has enough smaller ones: the largest few, ascending.

    Parameters
    ----------
    sizes : int array (n,)
        Codes of the sizes, ascending with N.
    """
    found = range(_FEWEST_SIZES, int(sizes.max(initial=0)) + 1)
    return [(sizes < size, sizes == size) for size in found][-_MOST:]


def _shared(covariance: Covariance, new: Points) -> float:
    """Variance that all rows would have to share for their mean to vary as it does."""
    count = new.loss.size
    if count == 1:
        return covariance.size_share
    # Where they share nothing, rounding may leave less than that.
    return max(0.0, (covariance.common(new) - 1 / count) / (1 - 1 / count))


def _rung(
    points: Points, below: Mask, here: Mask, given: tuple[Beliefs, LogDensity], level: float
) -> Rung:
    beliefs, scatter = given
    new = points.take(here)
    draws = Draws.of(
        fit_posterior(points.take(below), beliefs, scatter), _DRAWS, stream(0, "forward")
    )
    value = get_law(LAW).value(draws.theta, (new.params, new.tokens))
    names = tuple(map(str, range(new.loss.size)))
    apart = draws.deviations(new, normals(0, names, _DRAWS, "forward", "own"))
    # What the rows of this size share: one deviation for all of them.
    each = [_shared(part.covariance, new) for part in draws.posterior.parts]
    shared = np.array(each)[draws.part]
    own = stream(0, "forward", "shared").standard_normal(_DRAWS) * draws.scatter * np.sqrt(shared)
    mean: Array = (value * (1 + apart * np.sqrt(1 - shared)[:, None] + own[:, None])).mean(1)
    low, high = np.quantile(mean, ((1 - level) / 2, (1 + level) / 2))
    measured = float(new.loss.mean())
    return Rung(
        float(np.exp(np.log(new.params).mean())),
        new.loss.size,
        measured / float(np.median(mean)) - 1,
        bool(low <= measured <= high),
    )
