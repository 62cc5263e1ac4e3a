"""What the data say for or against a law, apart from whether its numbers were found.

Forward prediction inside the data, repeats against lack of fit, residuals that bend, rows that were
left out, and how far beyond the data a target lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import fdtrc

from scalebed.fit.posterior.points import size_codes
from scalebed.laws.forms.base import Array, Index
from scalebed.predict.dearer import UNTRIED_HALF, Dearer
from scalebed.predict.forward import HELD, MISSED, Forward, rungs_of
from scalebed.predict.over import Over

_RARE: Final = 0.01
_FEWEST: Final = 3
"""Degrees of freedom below which residuals show no structure."""
_FAR: Final = 1.05


@dataclass(frozen=True)
class Evidence:
    """What the data say of a law.

    Attributes
    ----------
    forward : Forward
    largest : float
        Largest 6 N D among the points.
    tried : float
        Largest factor of 6 N D that a rung of `forward` lies beyond the rows below it.
    outlying : tuple of str
        Rows that were left out, and how far off they lie.
    findings : tuple of str
        What speaks against the law, in words.
    over : Over or None
        What the data say of larger M, where that was asked.
    """

    forward: Forward
    largest: float
    tried: float
    outlying: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    over: Over | None = None
    dearer: Dearer = UNTRIED_HALF

    @property
    def words(self) -> str:
        """Sentence for the reader: held, missed or could not be tried, then what else was found."""
        return self._words(self.forward.verdict)

    def _words(self, verdict: str) -> str:
        if self.dearer.missed:
            found = [f"{MISSED} along compute: {self.dearer.words}"]
            found.append(f"from size to size {self.forward.words}")
        else:
            found = [f"{verdict}: {self.forward.found}", *filter(None, [self.dearer.words])]
        found += self.findings
        if self.outlying:
            count = len(self.outlying)
            rows = f"{count} outlying row{'s' if count != 1 else ''}"
            found.append(f"{rows} left out: {', '.join(self.outlying)}")
        return "; ".join(found)

    def at(self, flops: float, multiplier: float) -> str:
        """Return the same for a target of some compute and M, with how far it lies beyond."""
        said = self._far(flops)
        return said if self.over is None else self.over.words(multiplier, said)

    def _far(self, flops: float) -> str:
        times = flops / self.largest
        if not times > _FAR:
            return f"{self.words}; within the compute of the data"
        tried = max(self.tried, self.dearer.tried)
        if self.forward.verdict == HELD and not self.dearer.missed:
            # How far it was tried belongs to the first word, which is all that many places show.
            far = f"to {tried:.3g}x of {times:.3g}x" if tried > 1 else f"at 1x, not at {times:.3g}x"
            return self._words(f"{HELD} {far} the compute")
        step = f"tried up to {tried:.3g} times" if tried > 1 else "no such step was tried"
        return f"{self.words}; {times:.3g} times the largest compute of the data, {step}"


def reach(params: Array, tokens: Array, tried: Forward) -> float:
    """Largest factor of 6 N D that a tried size lies beyond the smaller ones; 1 without any.

    Parameters
    ----------
    params, tokens : array (n,)
    tried : Forward
    """
    if not tried.rungs:
        return 1.0
    flops = params * tokens
    steps = [
        flops[here].max() / flops[below].max() for below, here in rungs_of(size_codes(params)[0])
    ]
    return float(max(steps, default=1.0))


def bends(params: Array, tokens: Array, residuals: Array, parameters: int) -> list[str]:
    """Name the axes along which residuals have structure.

    Residuals are regressed on the axis and its square; F of what that explains, against 1 % for the
    three axes together.

    Parameters
    ----------
    params, tokens, residuals : array (n,)
        Relative residuals of independent points.
    parameters : int
        Of the law that was fitted.
    """
    dof = residuals.size - parameters - 2
    if dof < _FEWEST:
        return []
    found = []
    for name, axis in (("N", params), ("D", tokens), ("M", tokens / params)):
        at = np.log(axis / axis[0])
        if np.ptp(at) < np.log(_FAR):
            continue
        at = (at - at.mean()) / at.std()
        columns = np.stack([np.ones(at.size), at, at**2], axis=1)
        solution = np.linalg.lstsq(columns, residuals, rcond=None)[0]
        explained = float(np.sum((columns @ solution - residuals.mean()) ** 2))
        rest = float(np.sum((residuals - columns @ solution) ** 2))
        # Least squares of the law has taken some out already, so the test finds too little.
        if fdtrc(2, dof, explained / 2 / (rest / dof)) < _RARE / 3:
            found.append(name)
    return [f"residuals bend along {', '.join(found)}"] if found else []


def lack_of_fit(design: Index | None, residuals: Array, parameters: int) -> list[str]:
    """Compare what repeats of one design share with how they differ.

    Parameters
    ----------
    design : int array (n,) or None
        Codes, equal for repeats.
    residuals : array (n,)
        Relative residuals.
    parameters : int
    """
    if design is None:
        return []
    codes, count = np.unique(design, return_inverse=True, return_counts=True)[1:]
    within, between = residuals.size - count.size, count.size - parameters
    if within < 1 or between < 1:
        return []
    mean = np.bincount(codes, residuals) / count
    pure = float(np.sum((residuals - mean[codes]) ** 2)) / within
    lack = float(np.sum(count * mean**2)) / between
    if pure == 0 or fdtrc(between, within, lack / pure) >= _RARE:
        return []
    return [
        f"lack of fit: designs lie {np.sqrt(np.mean(mean**2)):.2%} off the law, their repeats "
        f"{np.sqrt(pure):.2%} apart"
    ]
