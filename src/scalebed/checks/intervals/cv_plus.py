"""CV+ by model size: each size is predicted from the others (Barber et al. 2021)."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem
from scalebed.checks.intervals.design import Design, not_enough
from scalebed.fit.result import FitRefusedError, fit_law
from scalebed.fit.sensitivity import unit
from scalebed.laws.forms.base import Array

_LEAST_SIZES, _LEAST_DOF = 3, 10


class CVPlus:
    """Quantiles of the predictions without each size, plus and minus the errors on that size."""

    name = "cv_plus"
    title = "CV+ by model size"
    contains = (
        "the errors on every model size of fits without that size, and how those fits differ at "
        "the target: an extrapolation, measured where it can be"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Needs runs for the level and sizes to leave out; covers more than it says."""
        refused = not_enough(design, 0, "CV+")
        if refused:
            return refused
        if design.points < design.needed:
            return f"not valid: {design.points} points, {design.needed} are needed for the level"
        if design.dof < _LEAST_DOF:
            return (
                f"not valid: {design.dof} degrees of freedom, to do without a size "
                f"{_LEAST_DOF} are needed"
            )
        if design.sizes < _LEAST_SIZES:
            return f"not valid: {design.sizes} model sizes, {_LEAST_SIZES} are needed to leave out"
        smallest = design.points - -(-design.points // design.sizes)
        if smallest <= design.parameters:
            return "not valid: without one size too few points are left to fit"
        return "conservative: fits without one model size are worse than the fit with all"

    def interval(self, problem: Problem) -> Interval:
        """Limits from one fit a model size; sizes the rest cannot do without are not left out."""
        lows, highs = [], []
        for size in np.unique(problem.groups):
            out = problem.groups == size
            inside, left = _take(problem, ~out), _take(problem, out)
            try:
                fit = fit_law(problem.law, inside, problem.y[~out], problem.options)
            except FitRefusedError:
                continue
            ahead, there = fit.predict(*left), fit.predict(*problem.targets)
            errors = np.abs(problem.y[out] - ahead) / unit(fit, ahead)
            step = errors[:, None] * unit(fit, there)
            lows.append(there - step)
            highs.append(there + step)
        if not lows:
            raise FitRefusedError("without any one model size the law is refused")
        low, high = np.sort(np.concatenate(lows), 0), np.sort(np.concatenate(highs), 0)
        rank = min(int(np.ceil((len(low) + 1) * problem.level - 1e-9)), len(low))
        lower, upper = low[len(low) - rank], high[rank - 1]
        if problem.law.kind != "loss":
            lower, upper = np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0)
        return Interval(self.name, lower, upper)


def _take(problem: Problem, use: Array) -> tuple[Array, ...]:
    return tuple(column[use] for column in problem.x)


METHOD = CVPlus()
