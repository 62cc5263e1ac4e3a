"""Bootstrap of the evaluation error alone: what published intervals of losses amount to."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem, from_draws
from scalebed.checks.intervals.design import Design
from scalebed.core.errors import ScalebedError


class Evaluation:
    """Measured values are drawn with their sampling errors, and the law is refitted."""

    name = "evaluation"
    title = "bootstrap of the evaluation error"
    contains = (
        "the sampling errors of the measured values of the fit and of the new run, nothing else"
    )
    prediction = False

    def status(self, design: Design) -> str:
        """Never a prediction interval."""
        return (
            "not valid: it contains neither lack of fit nor the scatter of a new run, so it is no "
            "prediction interval; shown as the evaluation part alone"
        )

    def interval(self, problem: Problem) -> Interval:
        """Refits of redrawn measurements; the new run is measured as well as the mean point."""
        if problem.evaluation is None:
            raise ScalebedError("the sampling errors of the measured values are not known")
        rng = problem.stream(self.name)
        normal = rng.standard_normal((problem.draws, problem.y.size))
        theta = problem.refit(problem.y + problem.evaluation * normal, priors={})
        error = float(np.sqrt(np.mean((problem.evaluation / problem.unit) ** 2)))
        new = error * rng.standard_normal((problem.draws, problem.point.size))
        return from_draws(self.name, problem, theta, new)


METHOD = Evaluation()
