"""Cluster bootstrap: whole runs are drawn with all of their checkpoints."""

from __future__ import annotations

from scalebed.checks.intervals.base import Interval, Problem
from scalebed.checks.intervals.case import PER_PARAMETER, resampled
from scalebed.checks.intervals.design import Design
from scalebed.core.errors import ScalebedError


class Cluster:
    """Runs are drawn with replacement, each with all points that belong to it."""

    name = "cluster"
    title = "cluster bootstrap by run"
    contains = (
        "the uncertainty of the fit over the choice of runs, where the points of one run share "
        "their noise, and the scatter of a new run as that of any point"
    )
    prediction = True

    def status(self, design: Design) -> str:
        """Clusters count as points do in the case bootstrap."""
        if design.clusters is None:
            return "not valid: it was not said which points belong to one run"
        if not design.clustered:
            return "not valid: each point is a run of its own; use the case bootstrap"
        least = PER_PARAMETER * design.parameters
        if design.clusters < least:
            return (
                f"not valid: {design.clusters} runs are too few to resample; "
                f"{design.parameters} parameters need {least}"
            )
        return "valid"

    def interval(self, problem: Problem) -> Interval:
        """Refits of resampled runs."""
        if problem.clusters is None:
            raise ScalebedError("the cluster bootstrap needs to know which points are of one run")
        return resampled(self.name, problem, problem.clusters)


METHOD = Cluster()
