"""Whether a law predicts forward in M inside its data: runs of a large M from those of smaller M.

A law that holds from size to size may still fail where a run is trained on many times the tokens a
parameter of all others, so this is said of targets whose M lies beyond that of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scalebed.fit.posterior import Beliefs, Points
from scalebed.fit.posterior.between import LogDensity
from scalebed.fit.posterior.points import size_codes
from scalebed.predict.foretold import DRAWS, enough, foretold, inside
from scalebed.predict.forward import MISSED, improbable
from scalebed.predict.scatter import normals

_MOST: Final = 3
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
    tried, rows, within = 1.0, 0, 0
    for code in range(1, int(codes.max(initial=0)) + 1)[-_MOST:]:
        below, here = codes < code, codes == code
        known, new = points.take(below), points.take(here)
        if not enough(known):
            continue
        names = tuple(map(str, range(new.loss.size)))
        normal = normals(0, names, DRAWS, "over", "own")
        hits = inside(new.loss, foretold(known, new, normal, (beliefs, scatter), "over"), level)
        rows, within = rows + hits.size, within + int(hits.sum())
        tried = max(tried, float(multiplier[here].max() / multiplier[below].max()))
    return Over(float(multiplier.max()), tried, rows, within, level)
