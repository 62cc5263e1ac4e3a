"""Whether a law predicts forward in M inside its data: runs of a large M from those of smaller M.

A law that holds from size to size may still fail where a run is trained on many times the tokens a
parameter of all others, so this is said of targets whose M lies beyond that of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scalebed.fit.posterior import Beliefs, Draws, Points, fit_posterior
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.centre import LAW
from scalebed.fit.posterior.points import size_codes
from scalebed.laws import get_law
from scalebed.laws.forms.base import Mask
from scalebed.predict.forward import MISSED, improbable
from scalebed.predict.scatter import normals, stream

_FEWEST: Final = 5
_FEWEST_SIZES: Final = 3
_MOST: Final = 3
_DRAWS: Final = 1000
_BEYOND: Final = 1.05


@dataclass(frozen=True)
class Over:
    """What the data say of larger M.

    Attributes
    ----------
    largest : float
        Largest M among the points.
    tried : float
        Largest factor that a run which was tried lies beyond the M it was predicted from; 1 without
        any.
    rows, inside : int
        Runs that were predicted, and how many lay inside their intervals.
    level : float
    """

    largest: float
    tried: float = 1.0
    rows: int = 0
    inside: int = 0
    level: float = 0.9

    @property
    def missed(self) -> bool:
        """Whether so few inside would be rare."""
        return improbable(self.rows - self.inside, self.rows, self.level)

    def at(self, multiplier: float) -> str | None:
        """Return what is said of a target of this M; None within the M of the data."""
        times = multiplier / self.largest
        if not times > _BEYOND:
            return None
        far = f"M is {times:.3g} times the largest of the data"
        if not self.rows:
            return f"{far}, no such step was tried"
        runs = f"{self.rows} run{'s' if self.rows != 1 else ''}"
        return (
            f"{far}, tried up to {self.tried:.3g} times: of {runs} predicted from smaller M, "
            f"{self.inside} inside {self.level:.0%}"
        )

    def words(self, multiplier: float, said: str) -> str:
        """Put it after what is said of sizes, and before it where it missed."""
        own = self.at(multiplier)
        if own is None:
            return said
        if self.missed:
            return f"{MISSED} along M: {own}; from size to size {said}"
        return f"{said}; {own}"


def over(points: Points, beliefs: Beliefs, scatter: LogDensity, level: float) -> Over:
    """Predict the runs of the largest few M from those of smaller M.

    Parameters
    ----------
    points : Points
    beliefs : Beliefs
    scatter : callable
        As in `scalebed.fit.posterior.fit_posterior`.
    level : float
        Of the intervals.
    """
    multiplier = points.tokens / points.params
    codes = size_codes(multiplier)[0]
    tried, rows, inside = 1.0, 0, 0
    for code in range(1, int(codes.max(initial=0)) + 1)[-_MOST:]:
        below, here = codes < code, codes == code
        if below.sum() < _FEWEST or np.unique(points.sizes[below]).size < _FEWEST_SIZES:
            continue
        hits = _hits(points, below, here, (beliefs, scatter, level))
        rows, inside = rows + hits.size, inside + int(hits.sum())
        tried = max(tried, float(multiplier[here].max() / multiplier[below].max()))
    return Over(float(multiplier.max()), tried, rows, inside, level)


def _hits(
    points: Points, below: Mask, here: Mask, given: tuple[Beliefs, LogDensity, float]
) -> Mask:
    """Tell which runs lie inside the intervals that the others predict."""
    beliefs, scatter, level = given
    new = points.take(here)
    draws = Draws.of(fit_posterior(points.take(below), beliefs, scatter), _DRAWS, stream(0, "over"))
    names = tuple(map(str, range(new.loss.size)))
    apart = draws.deviations(new, normals(0, names, _DRAWS, "over", "own"))
    value = get_law(LAW).value(draws.theta, (new.params, new.tokens)) * (1 + apart)
    low, high = np.quantile(value, ((1 - level) / 2, (1 + level) / 2), axis=0)
    found: Mask = (low <= new.loss) & (new.loss <= high)
    return found
