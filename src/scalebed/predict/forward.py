"""Whether a law predicts forward inside its data: every size from the smaller ones.

Nothing that is to be predicted is looked at. What is compared is the mean deviation of a size,
since runs of one size may deviate together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import bdtrc

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior, known_scatter
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.centre import LAW
from scalebed.laws import get_law
from scalebed.laws.forms.base import Array, Mask
from scalebed.predict.scatter import normals, stream

HELD, MISSED, UNTRIED = "held", "missed", "could not be tried"
_FEWEST_SIZES: Final = 3
_MOST: Final = 6
_DRAWS: Final = 1000
_DOUBTED: Final = 0.05


@dataclass(frozen=True)
class Rung:
    """One size, predicted from the smaller ones.

    Attributes
    ----------
    params : float
        Geometric mean of N.
    rows : int
    deviation : float
        Mean of measured over predicted median, less 1.
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

    @property
    def verdict(self) -> str:
        """`HELD`; `MISSED` where so few inside would be rare; `UNTRIED` without rungs."""
        if not self.rungs:
            return UNTRIED
        outside = sum(not rung.inside for rung in self.rungs)
        rare = bdtrc(outside - 1, len(self.rungs), 1 - self.level)
        # The largest size is the nearest to what is asked, so it counts by itself.
        missed = outside and (rare < _DOUBTED or not self.rungs[-1].inside)
        return MISSED if missed else HELD

    @property
    def words(self) -> str:
        """A sentence for the reader."""
        if not self.rungs:
            return f"{UNTRIED}: fewer than {_FEWEST_SIZES + 1} sizes"
        inside, last = sum(rung.inside for rung in self.rungs), self.rungs[-1]
        sizes = f"{len(self.rungs)} size{'s' if len(self.rungs) != 1 else ''}"
        return (
            f"{self.verdict}: of {sizes} predicted from the smaller ones, {inside} "
            f"inside {self.level:.0%}; the largest is {last.deviation:+.2%} off"
        )


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
        for below, here in list(_rungs(points))[-_MOST:]
    ]
    return Forward(tuple(rungs), level)


def _rungs(points: Points) -> Iterator[tuple[Mask, Mask]]:
    """Rows below, and rows of each size that has enough smaller ones, ascending."""
    sizes = points.sizes
    for size in range(_FEWEST_SIZES, int(sizes.max()) + 1):
        yield sizes < size, sizes == size


def _rung(
    points: Points, below: Mask, here: Mask, given: tuple[Beliefs, LogDensity], level: float
) -> Rung:
    beliefs, scatter = given
    new = _take(points, here)
    draws = Draws.of(
        fit_posterior(_take(points, below), beliefs, scatter), _DRAWS, stream(0, "forward")
    )
    value = get_law(LAW).value(draws.theta, (new.params, new.tokens))
    names = tuple(map(str, range(new.loss.size)))
    apart = draws.deviations(new, normals(0, names, _DRAWS, "forward", "own"))
    # What the rows of this size share: one deviation for all of them.
    parts = [part.covariance for part in draws.posterior.parts]
    one_run = any(np.unique(group).size == 1 < group.size for group in new.groups)
    each = [1 - part.own if one_run else part.size_share for part in parts]
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


def _take(points: Points, use: Mask) -> Points:
    groups = tuple(group[use] for group in points.groups)
    return replace(
        points,
        params=points.params[use],
        tokens=points.tokens[use],
        loss=points.loss[use],
        groups=groups,
    )
