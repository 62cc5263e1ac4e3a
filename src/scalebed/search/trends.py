"""How the best value of a hyper-parameter moves with the size, where the runs show it.

A law value = s N^p is fitted by least squares of logarithms to one optimum a size. Symbols: N
parameters, p exponent. Intervals are those of linear regression (Student's t), since a handful of
sizes is too few to resample.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

Row = dict[str, Any]

_LEAST = 3  # Sizes with an optimum inside of what was tried; two would fit exactly.
_SPREAD = 2.0  # Least ratio of the largest to the smallest of them.


class Optimum(NamedTuple):
    """Best value at one size."""

    params: int
    value: float
    edge: bool
    """Whether it is the least or the greatest value tried, so that the optimum may lie beyond."""


class Trend(NamedTuple):
    """The power law of a hyper-parameter."""

    name: str
    points: int
    scale: float
    exponent: float
    lower: float
    """Interval of the exponent."""
    upper: float

    def at(self, params: float) -> float:
        """Return the value at N parameters."""
        return float(self.scale * params**self.exponent)


def optima(rows: Sequence[Row], name: str, others: Sequence[str]) -> list[Optimum]:
    """Return the best value of a hyper-parameter at each N, where more than one was tried.

    The best run of each N is taken, and those that differ from it in `name` alone. Inside of what
    was tried the optimum is the vertex of the parabola through the best run and its neighbours,
    loss over the logarithm of the value.

    Parameters
    ----------
    rows
        Runs; those without a loss are left out.
    name
        The hyper-parameter.
    others
        What must be equal: the other hyper-parameters and the name of the size.
    """
    done = [row for row in rows if row["loss"] is not None and row[name] > 0]
    found = []
    for params in sorted({row["params"] for row in done}):
        same = [row for row in done if row["params"] == params]
        best = min(same, key=lambda row: (row["loss"], row["configuration"]))
        line = [row for row in same if all(row[other] == best[other] for other in others)]
        line.sort(key=lambda row: float(row[name]))
        if len(line) > 1:
            at = line.index(best)
            edge = at in (0, len(line) - 1)
            value = float(best[name]) if edge else _vertex(name, *line[at - 1 : at + 2])
            found.append(Optimum(params, value, edge))
    return found


def _vertex(name: str, left: Row, middle: Row, right: Row) -> float:
    """Return the minimum of the parabola through three runs of which the middle one is lowest."""
    x = np.log([row[name] for row in (left, middle, right)])
    y = [row["loss"] for row in (left, middle, right)]
    curvature, slope, _ = np.polyfit(x - x[1], y, 2)
    # Equal losses make no parabola.
    return float(np.exp(x[1] - slope / (2 * curvature))) if curvature > 0 else float(middle[name])


def fit_trend(name: str, points: Sequence[Optimum], level: float) -> Trend | str:
    """Return the law of a hyper-parameter, or in words why the runs do not support one.

    Parameters
    ----------
    name
        The hyper-parameter.
    points
        Its best value at each size.
    level
        Coverage of the interval of the exponent; a law is refused whose interval holds zero.
    """
    if not points:
        return "one value was tried at each size"
    inside = [point for point in points if not point.edge]
    if len(inside) < _LEAST:
        return (
            f"at {len(points) - len(inside)} of {len(points)} sizes the best value is the least or "
            f"the greatest that was tried, and a law needs {_LEAST} sizes where it is not"
        )
    params = np.array([point.params for point in inside], dtype=float)
    if params.max() < _SPREAD * params.min():
        return f"the sizes with an optimum differ by less than a factor of {_SPREAD:g}"
    line = scipy.stats.linregress(np.log(params), np.log([point.value for point in inside]))
    half = scipy.stats.t.ppf((1 + level) / 2, len(inside) - 2) * line.stderr
    low, high = float(line.slope - half), float(line.slope + half)
    if low <= 0 <= high:
        return (
            f"the exponent of N is {line.slope:.2f} with an interval of {low:.2f} to {high:.2f}, "
            "which holds zero"
        )
    return Trend(name, len(inside), math.exp(line.intercept), float(line.slope), low, high)
