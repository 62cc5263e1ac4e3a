"""Residual bootstrap: residuals, enlarged for degrees of freedom, are drawn with replacement."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem, from_draws, with_noise
from scalebed.checks.intervals.design import Design, not_enough

# In simulation it covers 85 % at 6, 87 % at 12 to 16 degrees of freedom (docs/uncertainty.md).
LEAST = 30


class Residual:
    """Residuals times sqrt(n / (n - p)) are drawn with replacement about the fitted law."""

    name = "residual"
    title = "residual bootstrap"
    contains = (
        "the uncertainty of the fit and the scatter of the new run, as large and as skewed as the "
        "residuals of this fit, enlarged by sqrt(n / (n - p))"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """With few degrees of freedom the residuals are too small by chance."""
        return not_enough(design, LEAST, "the residual bootstrap") or "valid"

    def interval(self, problem: Problem) -> Interval:
        """Refits of resampled residuals."""
        rng = problem.stream(self.name)
        residuals = problem.residuals - problem.residuals.mean()
        residuals = residuals * np.sqrt(residuals.size / max(problem.dof, 1))
        y = with_noise(
            problem,
            problem.fit.fitted,
            rng.choice(residuals, (problem.draws, residuals.size)),
        )
        new = rng.choice(residuals, (problem.draws, problem.point.size))
        return from_draws(self.name, problem, problem.refit(y), new)


METHOD = Residual()
