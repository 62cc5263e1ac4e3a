"""The tests behind the class of a task: trend, chance, shape, and how much of it is noise.

Every test takes strata, one a data set: pairs are compared within a data set only, as the same loss
means different errors after different training data. Branches of one trunk are compared with each
other, and the means of trunks with each other: neither is moved by what a trunk's branches share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalebed.checks.reliability.kendall import kendall
from scalebed.laws.forms.base import Array, Index, Mask

# Where a curve may turn, as shares of its runs.
_TURNS = (1 / 3, 1 / 2, 2 / 3)
_LEAST_RUNS = 4
_BEST = 3


@dataclass(frozen=True)
class Stratum:
    """Runs of one data set: loss, error and its sampling error, each (n,).

    Those of one trunk have the same code; without codes all are independent.
    """

    loss: Array
    error: Array
    sampling: Array
    trunk: Index | None = None


@dataclass(frozen=True)
class Trend:
    """Kendall's rank correlation of error and loss.

    Attributes
    ----------
    tau : float
        Tau-b; 1 if error always falls with the loss, -1 if it always rises. 0 if all are equal.
    rising, falling : float
        One-sided p values: of tau above 0, and of tau below 0.
    """

    tau: float
    rising: float
    falling: float

    @property
    def p(self) -> float:
        """Two-sided p value."""
        return min(1.0, 2 * min(self.rising, self.falling))


def trend(strata: Sequence[Stratum]) -> Trend:
    """Test whether error and loss go together (Kendall 1938; strata as in Hirsch et al. 1982).

    With one data set the p value is exact for up to 33 runs without ties, see `kendall`; with
    several the sum of the pair counts over its variance, corrected for ties, against a normal.
    """
    from scipy.special import ndtr

    strata = [part for s in strata for part in _apart(s)]
    usable = [s for s in strata if s.loss.size > 1 and np.ptp(s.error) > 0 and np.ptp(s.loss) > 0]
    if not usable:
        return Trend(0.0, 1.0, 1.0)
    if len(usable) == 1:
        return Trend(*kendall(usable[0].loss, usable[0].error))
    parts = [_pairs(s.loss, s.error) for s in usable]
    total, variance, scale = (float(sum(column)) for column in zip(*parts, strict=True))
    spread = float(np.sqrt(variance))
    # One step of the pair count is the continuity correction.
    rising, falling = ndtr(-(total - 1) / spread), ndtr((total + 1) / spread)
    return Trend(total / scale, float(rising), float(falling))


def _apart(s: Stratum) -> list[Stratum]:
    """Split into strata whose runs are exchangeable where error has nothing to do with the loss.

    These are the branches of each trunk, and the means of all trunks.
    """
    if s.trunk is None:
        return [s]
    codes, count = np.unique(s.trunk, return_inverse=True, return_counts=True)[1:]
    branches = [_part(s, codes == code) for code in np.flatnonzero(count > 1)]
    loss, error, sampling = (
        np.bincount(codes, column) / count for column in (s.loss, s.error, s.sampling)
    )
    return [*branches, Stratum(loss, error, sampling)]


def _pairs(x: Array, y: Array) -> tuple[float, float, float]:
    """Concordant less discordant pairs, its variance without a trend, and its largest value."""
    n = x.size
    upper = np.triu_indices(n, 1)
    signs = np.sign(x[:, None] - x)[upper] * np.sign(y[:, None] - y)[upper]
    tied = [np.unique(column, return_counts=True)[1].astype(float) for column in (x, y)]
    first = [float((t * (t - 1)).sum()) for t in tied]
    second = [float((t * (t - 1) * (t - 2)).sum()) for t in tied]
    third = [float((t * (t - 1) * (2 * t + 5)).sum()) for t in tied]
    variance = (n * (n - 1) * (2 * n + 5) - sum(third)) / 18
    variance += first[0] * first[1] / (2 * n * (n - 1))
    if n > 2:
        variance += second[0] * second[1] / (9 * n * (n - 1) * (n - 2))
    pairs = n * (n - 1) / 2
    scale = float(np.sqrt((pairs - first[0] / 2) * (pairs - first[1] / 2)))
    return float(signs.sum()), variance, scale


def turning(strata: Sequence[Stratum]) -> float:
    """P value of error rising with the loss on one side of some point and falling on the other.

    Each side has to show its trend: the larger p value of the two counts (intersection-union), and
    the least over three places and both orders counts, times their number. A plateau, at chance or
    at the floor, is no turn. 1 if there are too few runs.
    """
    found = []
    places = [np.quantile(s.loss, _TURNS) if s.loss.size else np.zeros(len(_TURNS)) for s in strata]
    for cuts in zip(*places, strict=True):
        sides = [
            [_part(s, s.loss <= cut) for s, cut in zip(strata, cuts, strict=True)],
            [_part(s, s.loss > cut) for s, cut in zip(strata, cuts, strict=True)],
        ]
        if any(max((s.loss.size for s in side), default=0) < _LEAST_RUNS for side in sides):
            continue
        low, high = (trend(side) for side in sides)
        found += [max(low.rising, high.falling), max(low.falling, high.rising)]
    return min(1.0, len(found) * min(found)) if found else 1.0


def above_chance(strata: Sequence[Stratum], chance: float) -> tuple[float, float]:
    """How far the third of runs with the least loss beats guessing, and the p value of that.

    Runs are chosen by their loss, not by their error. All of them answer the same items, so their
    mean is taken to be no more certain than one of them.
    """
    from scipy.special import ndtr

    best = [_part(s, s.loss <= np.quantile(s.loss, 1 / _BEST)) for s in strata if s.loss.size]
    error = np.concatenate([s.error for s in best])
    spread = float(np.sqrt(np.mean(np.concatenate([s.sampling for s in best]) ** 2)))
    gain = chance - float(error.mean())
    if spread == 0:
        return gain, 0.0 if gain > 0 else 1.0
    return gain, float(ndtr(-gain / spread))


@dataclass(frozen=True)
class Noise:
    """How far runs lie from a curve that only rises (or only falls) with the loss.

    Attributes
    ----------
    range : float
        From the lowest to the highest point of the curve, mean over data sets.
    scatter : float
        Root mean square distance of runs from the curve, corrected for its levels.
    sampling : float
        Root mean square sampling error of the measured errors.
    """

    range: float
    scatter: float
    sampling: float

    @property
    def total(self) -> float:
        """The larger of the two: scatter contains the sampling error that differs between runs."""
        return max(self.scatter, self.sampling)


def noise(strata: Sequence[Stratum], increasing: bool) -> Noise:
    """Scatter of runs about the best monotone curve of each data set (isotonic regression)."""
    from scipy.optimize import isotonic_regression

    squares, dof, spans = 0.0, 0, []
    for s in strata:
        if not s.loss.size:
            continue
        order = np.argsort(s.loss, kind="stable")
        found = isotonic_regression(s.error[order], increasing=increasing)
        squares += float(np.sum((s.error[order] - found.x) ** 2))
        dof += s.loss.size - (found.blocks.size - 1)
        spans.append(float(np.ptp(found.x)))
    sampling = np.concatenate([s.sampling for s in strata])
    return Noise(
        float(np.mean(spans)),
        float(np.sqrt(squares / dof)) if dof else 0.0,
        float(np.sqrt(np.mean(sampling**2))),
    )


def _part(s: Stratum, use: Mask) -> Stratum:
    trunk = None if s.trunk is None else s.trunk[use]
    return Stratum(s.loss[use], s.error[use], s.sampling[use], trunk)
