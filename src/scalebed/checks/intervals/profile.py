"""Profile likelihood: values of the new run that the points and the law do not contradict."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem
from scalebed.checks.intervals.delta import half_width
from scalebed.checks.intervals.design import Design, not_enough
from scalebed.fit.influence import outlying
from scalebed.fit.refit import refit
from scalebed.fit.sensitivity import prior_scatter
from scalebed.laws.forms.base import Array, names

_GROWTH, _STEPS, _FINE = 12, 30, 1e-4


class Profile:
    """All values y of the new run for which refitting with it costs less than F(1, n - p) allows.

    (RSS with the new run - RSS) / s^2 <= F: the new run is a further point of the fit, so its own
    scatter is contained.
    """

    name = "profile"
    title = "profile likelihood"
    contains = (
        "the uncertainty of the fit, its curvature and bounds included, and the scatter of the new "
        "run, from the residuals of this fit, by the quantiles of F"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Accept any degree of freedom; the interval is wide with few."""
        return not_enough(design, 1, "the profile likelihood") or "valid"

    def interval(self, problem: Problem) -> Interval:
        """Find the limits of all targets at once."""
        from scipy.special import stdtrit

        own = problem.own
        quantile = float(stdtrit(max(own.dof, 1), (1 + problem.level) / 2))
        allowed = (quantile * own.value) ** 2
        cost = _Cost(problem)
        half = half_width(problem) * problem.ahead
        lower = _limit(cost, problem.point, -half, allowed)
        upper = _limit(cost, problem.point, half, allowed)
        if problem.law.kind != "loss":
            lower, upper = np.maximum(lower, 0.0), np.minimum(upper, 1.0)
        return Interval(self.name, lower, upper)


class _Cost:
    """Rise of the sum of squares, in units of scatter, by a new run at each target.

    Priors are points of the fit too: (theta - mean) / sd, times the scatter they are weighed
    against.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        rows = problem.point.size
        self.x = tuple(
            np.column_stack([np.broadcast_to(column, (rows, column.size)), new])
            for column, new in zip(problem.x, problem.targets, strict=True)
        )
        self.scale = np.column_stack(
            [np.broadcast_to(problem.unit, (rows, problem.y.size)), problem.ahead]
        )
        base = np.column_stack([np.broadcast_to(problem.y, (rows, problem.y.size)), problem.point])
        self.base = base
        self.kept = np.ones(problem.y.size + 1, dtype=bool)
        if problem.fit.options.objective == "huber_log":
            self.kept[:-1] = ~outlying(problem.fit)
        self.against = prior_scatter(problem.fit)
        rest = problem.residuals[self.kept[:-1]]
        self.least = float(rest @ rest + self._priors(problem.fit.theta[None])[0])

    def __call__(self, values: Array) -> Array:
        """Return the rise for one value a target, (m,)."""
        y = self.base.copy()
        y[:, -1] = values
        problem = self.problem
        found = refit(
            problem.law,
            self.x,
            y,
            options=problem.fit.options,
            start=problem.fit.theta,
            domain=problem.fit.domain,
        )
        rest = (y - problem.law.value(found.theta, self.x)) / self.scale
        rise: Array = np.sum(rest[:, self.kept] ** 2, axis=1) + self._priors(found.theta)
        return rise - self.least

    def _priors(self, theta: Array) -> Array:
        """Sum of squares of the priors, (m,) of parameters (m, p)."""
        fit = self.problem.fit
        known, squares = names(fit.law.parameters), np.zeros(len(theta))
        for name, prior in fit.options.priors.items():
            squares += ((theta[:, known.index(name)] - prior.mean) / prior.sd) ** 2
        return self.against**2 * squares


def _limit(cost: _Cost, point: Array, step: Array, allowed: float) -> Array:
    """Value on the side of `step` where the cost reaches what is allowed, (m,)."""
    inside, outside = np.zeros(point.size), np.ones(point.size)
    loss = cost.problem.law.kind == "loss"
    reach = np.where(step < 0, (1 - 1e-6) * point, np.inf) if loss else np.full(point.size, np.inf)
    reach = reach / np.maximum(np.abs(step), 1e-300)
    outside = np.minimum(outside, reach)
    goal = np.sqrt(allowed)
    low, high = np.full(point.size, -goal), _root(cost, point + outside * step) - goal
    for _ in range(_GROWTH):
        short = (high < 0) & (outside < reach)
        if not short.any():
            break
        inside, low = np.where(short, outside, inside), np.where(short, high, low)
        outside = np.where(short, np.minimum(2 * outside, reach), outside)
        high = np.where(short, _root(cost, point + outside * step) - goal, high)
    # The root of the cost is a straight line where the law is: false position, Illinois' way.
    weight_low, weight_high = np.ones(point.size), np.ones(point.size)
    last = outside
    for _ in range(_STEPS):
        a, b = low * weight_low, high * weight_high
        middle = np.where(high > 0, (inside * b - outside * a) / np.where(b > a, b - a, 1), outside)
        rise = _root(cost, point + middle * step) - goal
        below = rise < 0
        weight_high = np.where(below, weight_high / 2, 1.0)
        weight_low = np.where(below, 1.0, weight_low / 2)
        inside, low = np.where(below, middle, inside), np.where(below, rise, low)
        outside, high = np.where(below, outside, middle), np.where(below, high, rise)
        if np.all(np.abs(middle - last) < _FINE * middle):
            break
        last = middle
    limit: Array = point + middle * step
    return limit


def _root(cost: _Cost, values: Array) -> Array:
    root: Array = np.sqrt(np.maximum(cost(values), 0.0))
    return root


METHOD = Profile()
