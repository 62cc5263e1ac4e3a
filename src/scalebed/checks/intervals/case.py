"""Case bootstrap: runs are drawn with replacement."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem, from_draws
from scalebed.checks.intervals.design import Design, not_enough
from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Index

PER_PARAMETER = 4
_TRIES = 20


class Case:
    """Runs are drawn with replacement; samples with fewer points than parameters are redrawn."""

    name = "case"
    title = "case bootstrap"
    contains = (
        "the uncertainty of the fit over the choice of runs, whatever their scatter, and the "
        "scatter of the new run as that of any run"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Resamples of few points interpolate them."""
        refused = not_enough(design, 1, "the case bootstrap")
        if refused:
            return refused
        least = PER_PARAMETER * design.parameters
        if design.different < least:
            return (
                f"not valid: resamples of {design.different} different points leave too few of "
                f"them; {design.parameters} parameters need {least}"
            )
        return "valid"

    def interval(self, problem: Problem) -> Interval:
        """Refits of resampled runs, as weights."""
        return resampled(self.name, problem, np.arange(problem.y.size))


def resampled(name: str, problem: Problem, groups: Index) -> Interval:
    """Interval from drawing groups of points with replacement."""
    rng = problem.stream(name)
    counts = draw_counts(rng, problem, groups)
    # Few points make few different samples: each is fitted once.
    different, which = np.unique(counts, axis=0, return_inverse=True)
    means = {name: prior.mean for name, prior in problem.fit.options.priors.items()}
    priors = problem.redrawn(means, len(different))
    theta = problem.refit(problem.y, different.astype(float), priors)[which.ravel()]
    residuals = problem.residuals * np.sqrt(problem.y.size / max(problem.dof, 1))
    new = rng.choice(residuals, (problem.draws, problem.point.size))
    return from_draws(name, problem, theta, new)


def draw_counts(rng: np.random.Generator, problem: Problem, groups: Index) -> Index:
    """How often each point is drawn, (draws, n); every sample can identify the law.

    Raises
    ------
    ScalebedError
        If hardly any sample has as many different points as the law has parameters.
    """
    rows = np.column_stack(problem.x)
    _, point = np.unique(rows, axis=0, return_inverse=True)
    _, group = np.unique(groups, return_inverse=True)
    kept: list[Index] = []
    count, members = 0, int(group.max()) + 1
    for _ in range(_TRIES):
        drawn = rng.integers(0, members, (problem.draws, members))
        times = np.stack([np.bincount(row, minlength=members) for row in drawn])[:, group.ravel()]
        fine = _distinct(times, point.ravel()) >= len(problem.law.parameters)
        kept.append(times[fine])
        count += int(fine.sum())
        if count >= problem.draws:
            return np.concatenate(kept)[: problem.draws]
    raise ScalebedError(
        f"of {_TRIES * problem.draws} resamples only {count} have {len(problem.law.parameters)} "
        "different points, as many as the law has parameters: use another interval"
    )


def _distinct(times: Index, point: Index) -> Index:
    """Different points in every sample."""
    found = np.zeros((times.shape[0], int(point.max()) + 1), dtype=bool)
    for column, which in enumerate(point):
        found[:, which] |= times[:, column] > 0
    result: Index = found.sum(1)
    return result


METHOD = Case()
