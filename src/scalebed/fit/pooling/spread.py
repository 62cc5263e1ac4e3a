"""How much to pool: cross-validation between data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from scalebed.fit.options import Options
from scalebed.fit.pooling.fit import fit_ladder
from scalebed.fit.pooling.stacked import Points
from scalebed.fit.result import FitRefusedError
from scalebed.laws.forms.base import Array, Index, Law, Mask, names

SPREADS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, float("inf"))
"""Ladder of relative spreads between data sets that cross-validation chooses from."""

# Condition number above which cells hardly differ in what they say of A and B, as on one ray of M.
_DECIDED: Final = 1e3


def _identified(law: Law, points: Points, pooled: Sequence[str], options: Options) -> bool:
    """Whether a data set decides its own parameters once those that are pooled are known."""
    own = [j for j, name in enumerate(names(law.parameters)) if name not in pooled]
    if points.y.size < len(own):
        return False
    try:
        middle = law.frame(points.x, points.y)
        theta = law.starts(middle.x, points.y / middle.unit, np.ones(points.y.size))[0]
    except (FitRefusedError, ValueError):
        return False
    columns = law.gradient(theta, middle.x)[:, own]
    length = np.linalg.norm(columns, axis=0)
    return bool(np.all(length > 0) and np.linalg.cond(columns / length) < _DECIDED)


def _take(points: Points, use: Mask) -> Points:
    return Points(tuple(column[use] for column in points.x), points.y[use])


class Choice(NamedTuple):
    """What cross-validation says.

    Attributes
    ----------
    spread : float
        The chosen one: the smallest whose error is within one standard error of the least.
    spreads, errors, standard_errors : array (k,)
        Mean absolute relative error of the cells left out, and its standard error.
    cells : int
        Cells that were left out in turn.
    """

    spread: float
    spreads: Array
    errors: Array
    standard_errors: Array
    cells: int


def choose_spread(
    law: Law,
    sets: Sequence[Points],
    pooled: Sequence[str],
    options: Options | None = None,
    spreads: Sequence[float] = SPREADS,
    groups: Sequence[Index] | None = None,
) -> Choice:
    """Choose how much to pool by leaving out every cell in turn, with all that goes with it.

    Parameters
    ----------
    law, sets, pooled, options
        As in `fit_pooled`.
    spreads : sequence of float
        Candidates, increasing.
    groups : sequence of int arrays (n,), optional
        Codes of each data set, equal for cells that go together; every cell is alone without.

    Raises
    ------
    FitRefusedError
        If no cell can be left out of any data set.
    """
    options = options or Options()
    misses: list[list[float]] = []
    cells = 0
    for s, points in enumerate(sets):
        codes = np.arange(points.y.size) if groups is None else groups[s]
        for code in np.unique(codes):
            rest, left = list(sets), _take(points, codes == code)
            rest[s] = _take(points, codes != code)
            if not _identified(law, rest[s], pooled, options):
                continue
            try:
                fits = fit_ladder(law, rest, pooled, spreads, options)
            except FitRefusedError:
                continue
            ahead = [law.predict(fit.theta[s], left.x) / left.y - 1 for fit in fits]
            misses.append([float(np.mean(np.abs(off))) for off in ahead])
            cells += left.y.size
    if len(misses) < 2:
        raise FitRefusedError("too few cells to leave one out")
    table = np.array(misses)
    means = table.mean(0)
    errors = table.std(0, ddof=1) / np.sqrt(len(table))
    least = int(np.argmin(means))
    chosen = int(np.argmax(means <= means[least] + errors[least]))
    return Choice(float(spreads[chosen]), np.array(spreads), means, errors, cells)
