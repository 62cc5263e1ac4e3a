"""Runs of equal compute: rows whose 6 N D agree with a budget to within a tolerance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from scalebed.laws.forms.base import Array, Index
from scalebed.tables.designs import near_codes

TOLERANCE: Final = 0.1
"""Relative distance from a budget up to which a run belongs to it."""
LEAST: Final = 3
"""Sizes that a parabola needs."""


class Budget(NamedTuple):
    """Runs of one compute.

    Attributes
    ----------
    flops : float
        C.
    rows : int array (n,)
    """

    flops: float
    rows: Index


def budgets_found(flops: Array, params: Array, tolerance: float = TOLERANCE) -> list[Budget]:
    """Find budgets: again and again the densest stretch of ln C, while it has `LEAST` sizes.

    A stretch is twice as wide as the tolerance, and its budget the middle of its runs, so that
    none is farther from it than the tolerance.

    Parameters
    ----------
    flops : array (n,)
        6 N D.
    params : array (n,)
    tolerance : float
        Relative.
    """
    width = 2 * np.log1p(tolerance)
    left, budgets = np.argsort(flops, kind="stable"), []
    while left.size >= LEAST:
        logs = np.log(flops[left])
        ends = np.searchsorted(logs, logs + width * (1 + 1e-12), side="right")
        start = int(np.argmax(ends - np.arange(left.size)))
        inside = slice(start, int(ends[start]))
        rows = left[inside]
        if rows.size < LEAST:
            break
        if sizes_of(params[rows]) >= LEAST:
            budgets.append(Budget(float(np.sqrt(flops[rows[0]] * flops[rows[-1]])), np.sort(rows)))
        left = np.delete(left, inside)
    return sorted(budgets, key=lambda budget: budget.flops)


def budgets_given(
    flops: Array, wanted: Iterable[float], tolerance: float = TOLERANCE
) -> list[Budget]:
    """Take the runs of given budgets, perhaps none; see `budgets_found`."""
    apart = np.log1p(tolerance) * (1 + 1e-12)
    return [
        Budget(one, np.flatnonzero(np.abs(np.log(flops / one)) <= apart))
        for one in sorted(set(wanted))
    ]


def overlapping(wanted: Sequence[float], tolerance: float) -> tuple[float, float] | None:
    """Two given budgets that one run could belong to both."""
    ordered = sorted(set(wanted))
    for low, high in pairwise(ordered):
        if high < low * (1 + tolerance) ** 2:
            return low, high
    return None


def sizes_of(params: Array) -> int:
    """Count different N."""
    return int(near_codes(params).max(initial=-1)) + 1
