"""Intervals of predictions, one file a method, and which to use for a design.

>>> from scalebed.checks.intervals import Design, choose, get_method
>>> get_method("evaluation").status(Design(points=5, parameters=4))[:9]
'not valid'
>>> choose(Design(points=5, parameters=4, others=2, others_dof=10))[0]
'parametric'
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from scalebed.checks.intervals.base import Interval, Method, Other, Problem
from scalebed.checks.intervals.design import Design
from scalebed.core.errors import ScalebedError

NAMES = (
    "parametric",
    "delta",
    "profile",
    "residual",
    "wild",
    "case",
    "cluster",
    "cv_plus",
    "conformal",
    "evaluation",
)
LARGE = 500
"""Points above which refitting resamples is not worth its cost."""


def get_method(name: str) -> Method:
    """Return the method of that name.

    Raises
    ------
    ScalebedError
        If no method has that name.
    """
    if name not in NAMES:
        raise ScalebedError(
            f"interval method {name!r} is unknown, expected one of {', '.join(NAMES)}"
        )
    return cast(Method, import_module(f"scalebed.checks.intervals.{name}").METHOD)


def choose(design: Design) -> tuple[str | None, str]:
    """Name the default method for a design, and say why in words for the reader.

    Returns
    -------
    (str or None, str)
        None if the design allows no prediction interval at all.
    """
    d = design
    if d.clustered:
        status = get_method("cluster").status(d)
        if status == "valid":
            return (
                "cluster",
                f"{d.points} points come from {d.clusters} runs, {d.parameters} needed",
            )
        if d.told:
            return "parametric", (
                f"{d.points} points come from {d.clusters} runs, and the scatter says what points "
                "of one run share"
            )
        return None, f"points of one run are not independent, and the cluster bootstrap is {status}"
    if d.points > LARGE:
        return "delta", f"{d.points} points: above {LARGE} refits add cost and nothing else"
    if d.dof >= d.own_dof:
        return "parametric", f"the fit leaves {d.dof} degrees of freedom to estimate the scatter"
    if d.others_dof > 0:
        return "parametric", (
            f"the fit leaves {d.dof} degrees of freedom, too few to know its scatter, which is "
            f"taken from {d.others} other data sets ({d.others_dof:.3g} degrees of freedom)"
        )
    if d.dof > 0:
        return "parametric", (
            f"there is nothing but the {d.dof} degrees of freedom of this fit, so the interval "
            "has the wide tails of Student's t"
        )
    return None, "no degree of freedom anywhere to estimate the scatter of runs from"


__all__ = [
    "LARGE",
    "NAMES",
    "Design",
    "Interval",
    "Method",
    "Other",
    "Problem",
    "choose",
    "get_method",
]
