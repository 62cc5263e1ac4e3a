"""Delta method: the law is a plane near the optimum, and residuals give Student's t."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem, symmetric
from scalebed.checks.intervals.design import Design, not_enough
from scalebed.fit.sensitivity import sensitivity

LEAST = 1


class Delta:
    """Half width t(n - p) s sqrt(1 + h), h the variance of the fitted law at the target."""

    name = "delta"
    title = "delta method with Student's t"
    contains = (
        "the uncertainty of the fit to first order and the scatter of the new run, from the "
        "residuals of this fit, with the quantiles of Student's t"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Accept any degree of freedom; the interval is wide with few."""
        return not_enough(design, LEAST, "the delta method") or "valid"

    def interval(self, problem: Problem) -> Interval:
        """Limits from derivatives; no refits."""
        return symmetric(self.name, problem, half_width(problem))


def half_width(problem: Problem) -> np.ndarray:
    """Half width in units of scatter, (m,)."""
    from scipy.special import stdtrit

    moves = sensitivity(problem.fit, problem.x, problem.targets)
    spread = np.sqrt(1 + np.sum(moves**2, axis=1))
    own = problem.own
    quantile = float(stdtrit(max(own.dof, 1), (1 + problem.level) / 2))
    half: np.ndarray = quantile * own.value * spread
    return half


METHOD = Delta()
