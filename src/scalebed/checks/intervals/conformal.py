"""Conformal interval across data sets: as far off as the same design was elsewhere."""

from __future__ import annotations

import numpy as np

from scalebed.checks.intervals.base import Interval, Problem, symmetric
from scalebed.checks.intervals.design import Design
from scalebed.core.errors import ScalebedError
from scalebed.laws.forms.base import Array


class Conformal:
    """The quantile of the absolute errors of the same design on the other data sets' runs."""

    name = "conformal"
    title = "conformal across data sets"
    contains = (
        "whatever made predictions of the same design wrong on the other data sets' runs that were "
        "not fitted, lack of fit included, as far as they extrapolate as far"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Ask for other data sets with runs as far out as the targets."""
        if not design.others:
            return "not valid: there is no other data set with runs that were not fitted"
        if design.scores < design.needed:
            return (
                f"not valid: {design.scores} runs of other data sets, "
                f"{design.needed} are needed for the level"
            )
        if design.beyond:
            return (
                "not valid: a target lies further out than every run of the other data sets that "
                "was not fitted"
            )
        return "valid"

    def interval(self, problem: Problem) -> Interval:
        """Limits at the same distance from every prediction, relative for losses."""
        scores, _ = problem.other_scores
        if not scores.size:
            raise ScalebedError("there is no other data set with runs that were not fitted")
        half = np.full(problem.point.size, upper_quantile(scores, problem.level))
        return symmetric(self.name, problem, half)


def upper_quantile(scores: Array, level: float) -> float:
    """Return the ceil((n + 1) level)-th smallest score, or the largest if there are too few."""
    rank = int(np.ceil((scores.size + 1) * level - 1e-9))
    return float(np.sort(scores)[min(rank, scores.size) - 1])


METHOD = Conformal()
