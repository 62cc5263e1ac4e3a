"""Parametric bootstrap with a lack-of-fit sigma, from elsewhere where it can be had."""

from __future__ import annotations

from scalebed.checks.intervals.base import Interval, Problem, from_draws, with_noise
from scalebed.checks.intervals.design import Design, not_enough
from scalebed.predict.draws import with_luck


class Parametric:
    """Points are drawn about the fitted law with sigma, and the law is refitted to each draw.

    Sigma is drawn too, as its degrees of freedom say, so that the interval has the width of
    Student's t; what points of one run share is drawn once. This is what predictions of studies
    and tables use, jointly for loss and error.
    """

    name = "parametric"
    title = "parametric bootstrap with pooled lack of fit"
    contains = (
        "the uncertainty of the fit and the scatter of the new run, both from a scatter that other "
        "data sets show, or this fit's own residuals where they are enough"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Accept any degree of freedom, here or elsewhere."""
        if design.clustered and design.told:
            return "valid"
        if design.others_dof > 0:
            refused = not_enough(design, 0, "the bootstrap")
            return refused or "valid"
        return not_enough(design, 1, "without other data sets the bootstrap") or "valid"

    def interval(self, problem: Problem) -> Interval:
        """Refits of simulated points, and simulated new runs."""
        rng = problem.stream(self.name)
        sigma = problem.sigma or problem.own
        scale = sigma.sample(rng, problem.draws)[:, None]
        shape = (problem.draws, problem.y.size)
        normal = rng.standard_normal(shape)
        if sigma.shared:
            common = rng.standard_normal((problem.draws, int(problem.codes.max()) + 1))
            normal = with_luck(normal, common, problem.codes, sigma.shared)
        y = with_noise(problem, problem.fit.fitted, scale * normal)
        new = scale * rng.standard_normal((problem.draws, problem.point.size))
        return from_draws(self.name, problem, problem.refit(y), new)


METHOD = Parametric()
