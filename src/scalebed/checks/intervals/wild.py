"""Wild bootstrap: every point keeps its residual, with a random sign and size.

Points of one run have one weight (Cameron, Gelbach and Miller 2008).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem, from_draws, with_noise
from scalebed.checks.intervals.design import Design, not_enough

# Webb (2014): six equal chances, mean 0, variance 1; two points repeat too often for few runs.
WEBB: Final = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
# In simulation it covers 84 % at 6, 87 % at 12 to 20 degrees of freedom (docs/uncertainty.md).
LEAST = 30


class Wild:
    """Residuals over sqrt(1 - leverage) (HC2) are multiplied with Webb's weights."""

    name = "wild"
    title = "wild bootstrap"
    contains = (
        "the uncertainty of the fit where some points scatter more than others (each keeps its own "
        "residual), and the scatter of the new run as that of any point"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """With few degrees of freedom the residuals are too small by chance."""
        if design.clustered and design.clusters is not None:
            free = design.clusters - design.parameters
            if free >= LEAST:
                return "valid"
            return (
                "not valid: points of one run are not independent; with one weight a run the "
                f"wild bootstrap needs {LEAST} degrees of freedom, its runs leave {free}"
            )
        return not_enough(design, LEAST, "the wild bootstrap") or "valid"

    def interval(self, problem: Problem) -> Interval:
        """Refits of residuals with random weights."""
        rng = problem.stream(self.name)
        residuals = problem.residuals / np.sqrt(1 - problem.leverage())
        weights = rng.choice(WEBB, (problem.draws, int(problem.codes.max()) + 1))
        noise = residuals * weights[:, problem.codes]
        y = with_noise(problem, problem.fit.fitted, noise)
        shape = (problem.draws, problem.point.size)
        new = rng.choice(residuals, shape) * rng.choice(WEBB, shape)
        return from_draws(self.name, problem, problem.refit(y), new)


METHOD = Wild()
